"""Query parameters: parsing, and errors for parameters that a route does not take."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BeforeValidator

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

# Characters of an unknown name that an error repeats.
MAX_ECHO: Final = 64
MAX_ERRORS: Final = 10
# Names that an error lists; of more it names the most similar one.
MAX_LISTED: Final = 20
# Far more than any route takes.
MAX_PARAMETERS: Final = 64
# A documented parameter with this end stands for all whose names begin as it does; the endpoint reads them itself.
FAMILY: Final = "{key}"
NUMBER: Final = re.compile(r"\s*[-+]?[\d.]+(?:e[-+]?\d+)?\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The path and query parameters of a call."""

    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    """Of the request, in lower case: what it accepts, and what it has already."""

    def one(self, name: str, default: str = "") -> str:
        """The value of a query parameter that may be given once.

        Raises:
            Problem: 422, it is given several times.
        """
        values = self.query.get(name)
        if values is None:
            return default
        if len(values) > 1:
            raise problems.invalid(FieldError(f"/query/{_escaped(name)}", "May be given once."))
        return values[0]


NO_QUERY: Final[Mapping[str, list[str]]] = {}


def in_utc(pointer: str, instant: datetime) -> datetime:
    """An instant in UTC; one without a zone is in UTC already.

    Raises:
        Problem: 422, it lies outside the calendar there.
    """
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError as e:
        raise problems.invalid(FieldError(pointer, "Must lie in the years 1 to 9999, in UTC.")) from e


def read_query(query: bytes, known: Iterable[str]) -> Mapping[str, list[str]]:
    """The values of each parameter, in order.

    Raises:
        Problem: 422, a parameter that is not `known`, or too many.
    """
    try:
        found = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as e:
        raise problems.invalid(FieldError("/query", f"May hold {MAX_PARAMETERS} parameters.")) from e
    refuse_unknown(found, known)
    return found


def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a query parameter that neither the endpoint nor one of its dependencies takes.

    Raises:
        Problem: 422; names each unknown parameter and those that the route takes.
    """
    if not request.query_params:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)  # noqa: S101  dependencies run on FastAPI's own routes
    families = _families(route)
    sent = (
        [name for name in request.query_params if not name.startswith(families)] if families else request.query_params
    )
    refuse_unknown(sent, _taken(route.dependant))


def refuse_unknown(sent: Iterable[str], known: Iterable[str]) -> None:
    """Refuse unknown names: a misspelt parameter would otherwise be ignored.

    Raises:
        Problem: 422.
    """
    # Sets have an order of their own, which would differ from one process to the next.
    names = sorted(known) if isinstance(known, AbstractSet) else list(dict.fromkeys(known))
    unknown = [name[:MAX_ECHO] for name in sent if name not in names]
    if unknown:
        raise problems.invalid(
            *(
                FieldError(f"/query/{_escaped(name)}", f"Is no query parameter of this route. {_cure(name, names)}")
                for name in unknown[:MAX_ERRORS]
            )
        )


def _cure(name: str, known: Sequence[str]) -> str:
    if not known:
        return "This route takes none; leave it out."
    if len(known) <= MAX_LISTED:
        return f"Use {', '.join(known)}."
    near = get_close_matches(name, known, 1)
    return f"Perhaps {near[0]}? /docs lists all." if near else "/docs lists those that it takes."


def _families(route: APIRoute) -> tuple[str, ...]:
    """What the names of open families of parameters begin with: `label.` where the route documents `label.{key}`."""
    documented = (route.openapi_extra or {}).get("parameters", ())
    names = (each["name"] for each in documented if each["in"] == "query")
    return tuple(name.removesuffix(FAMILY) for name in names if name.endswith(FAMILY))


def _taken(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for dependency in dependant.dependencies:
        yield from _taken(dependency)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _no_number(value: object) -> object:
    if isinstance(value, str) and NUMBER.fullmatch(value):
        raise ValueError("Must be a date and time of ISO 8601, such as 2026-11-21T12:00:00Z, not a number")
    return value


Instant = Annotated[datetime, BeforeValidator(_no_number)]
"""A query parameter of date and time; by default pydantic also accepts seconds since 1970."""
