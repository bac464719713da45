"""Finds the route of a path: by one dictionary look-up for a fixed path, by segments for a template."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from luna_serving.wire import problems

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Routed(Protocol):
    """A route of the table."""

    @property
    def path(self) -> str:
        """A path such as `kalman/filter`, or a template such as `indicators/{name}`."""

    @property
    def method(self) -> str:
        """The HTTP method."""


R = TypeVar("R", bound=Routed)


@dataclass(frozen=True, slots=True)
class Methods(Generic[R]):
    """The routes of one path."""

    path: str
    by_name: dict[str, R]
    allow: str
    """The value of Allow; GET implies HEAD (RFC 9110, section 9.3.2)."""

    def taking(self, method: str) -> R:
        """The route for a method.

        Raises:
            Problem: 405.
        """
        route = self.by_name.get("GET" if method == "HEAD" else method)
        if route is None:
            raise problems.method_not_allowed(self.allow)
        return route


@dataclass(slots=True)
class _Segment(Generic[R]):
    """One segment of the templates."""

    fixed: dict[str, "_Segment[R]"] = field(default_factory=dict)
    parameter: "_Segment[R] | None" = None
    name: str = ""
    methods: Methods[R] | None = None


class RouteTable(Generic[R]):
    """Finds routes by path. A fixed path precedes a template, a fixed segment precedes a parameter."""

    def __init__(self, routes: Iterable[R]) -> None:
        """Build the table.

        Raises:
            ValueError: two routes have the same path and method, one path names a parameter in two ways, or a path
                begins with an account's id or a parameter.
        """
        by_path: dict[str, dict[str, R]] = {}
        for route in routes:
            first = route.path.split("/", 1)[0]
            if not first or first.isdigit() or first.startswith("{"):
                raise ValueError(f"The path {route.path!r} must begin with a word.")
            methods = by_path.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"{route.method} {route.path} is served twice.")
            methods[route.method] = route
        self._fixed: dict[str, Methods[R]] = {}
        self._templates: _Segment[R] = _Segment()
        for path, routes_of_path in by_path.items():
            methods_of_path = Methods(path, routes_of_path, ", ".join(_allowed(routes_of_path)))
            if "{" in path:
                self._add(path, methods_of_path)
            else:
                self._fixed[path] = methods_of_path

    def find(self, path: str) -> tuple[Methods[R], Mapping[str, str]] | None:
        """The routes at a path and the values of its parameters; None if there is none."""
        methods = self._fixed.get(path)
        if methods is not None:
            return methods, NOTHING
        values: dict[str, str] = {}
        found = _walk(self._templates, path.split("/"), 0, values)
        return None if found is None else (found, values)

    def _add(self, path: str, methods: Methods[R]) -> None:
        step = self._templates
        for segment in path.split("/"):
            if not segment.startswith("{"):
                step = step.fixed.setdefault(segment, _Segment())
                continue
            name = segment[1:-1]
            if step.parameter is None:
                step.parameter = _Segment(name=name)
            elif step.parameter.name != name:
                raise ValueError(f"{path} calls {{{step.parameter.name}}} of another path {{{name}}}.")
            step = step.parameter
        step.methods = methods


def _allowed(methods: Iterable[str]) -> list[str]:
    return [name for method in methods for name in (("GET", "HEAD") if method == "GET" else (method,))]


def _walk(step: _Segment[R], segments: list[str], at: int, values: dict[str, str]) -> Methods[R] | None:
    if at == len(segments):
        return step.methods
    following = step.fixed.get(segments[at])
    if following is not None and (found := _walk(following, segments, at + 1, values)) is not None:
        return found
    if step.parameter is None or not segments[at]:
        return None
    found = _walk(step.parameter, segments, at + 1, values)
    if found is not None:
        values[step.parameter.name] = segments[at]
    return found
