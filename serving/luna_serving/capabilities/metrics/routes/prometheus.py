"""The HTTP API of Prometheus: GET and POST with forms, its answers and its errors.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final

from luna_serving.access.denied import Denied
from luna_serving.capabilities.metrics.rendering.answers import list_answer, query_answer
from luna_serving.capabilities.metrics.rendering.errors import ErrorType, PrometheusError, of_problem
from luna_serving.capabilities.metrics.rendering.parameters import (
    FORM_TYPE,
    Fields,
    Instant,
    Range,
    label_in_path,
    read_fields,
    read_instant,
    read_listing,
    read_range,
)
from luna_serving.capabilities.metrics.requests import Listed, ListLabels, ListSeries, Metadata
from luna_serving.capabilities.metrics.routes.calls import QUERY, Calls
from luna_serving.capabilities.metrics.routes.own import cause_of
from luna_serving.capabilities.metrics.routes.parameters import now_ms
from luna_serving.capabilities.metrics.routes.promql import QUERY_BYTES, Bounds, Options, Promql
from luna_serving.edge.operation import Answer, Asked
from luna_serving.engines.promql.api import InstantResult, Matrix, Vector
from luna_serving.samples.answers import QueryRefused, Refusal
from luna_serving.wire.problems import Problem

JSON: Final = ((b"content-type", b"application/json"),)
UNAVAILABLE: Final = 503
RETRY: Final = ((b"retry-after", b"5"),)
# Items of a list at most, where the caller does not say.
MOST: Final = 100_000
CUT: Final = "results truncated due to limit"
# The version whose language and API this is: clients decide by it what they may ask.
PROMETHEUS: Final = "3.14.0"
_TYPES: Final = {
    Refusal.PARSE: ErrorType.BAD_DATA,
    Refusal.EVALUATION: ErrorType.EXECUTION,
    Refusal.LIMIT: ErrorType.EXECUTION,
    Refusal.TIMEOUT: ErrorType.TIMEOUT,
    Refusal.BUSY: ErrorType.UNAVAILABLE,
}

Serve = Callable[["PrometheusApi", Asked, Fields], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class PrometheusApi:
    """Serves the API."""

    calls: Calls
    promql: Promql

    def route(self, serve: Serve) -> Callable[[Asked], Awaitable[Answer]]:
        """A route: parameters from the form and the query, and errors in Prometheus' format."""

        async def served(asked: Asked) -> Answer:
            try:
                return Answer(await serve(self, asked, await _fields(asked)), headers=JSON)
            except PrometheusError as e:
                return Answer(e.body(), e.status, [*JSON, *RETRY] if e.status == UNAVAILABLE else JSON)
            except Denied as e:
                asked.standing = e.standing or asked.standing
                return _answered(e.problem)
            except Problem as problem:
                return _answered(problem)

        return served

    async def query(self, asked: Asked, given: Fields) -> bytes:
        """`/query`. One unit."""
        wanted = read_instant(given, now_ms())
        return await self._evaluated(asked, "prometheus/query", wanted, wanted.at_ms)

    async def query_range(self, asked: Asked, given: Fields) -> bytes:
        """`/query_range`. One unit."""
        wanted = read_range(given)
        bounds = Bounds(wanted.start_ms, wanted.end_ms, wanted.step_ms)
        return await self._evaluated(asked, "prometheus/query_range", wanted, bounds)

    async def series(self, asked: Asked, given: Fields) -> bytes:
        """`/series`. Costs nothing."""
        wanted = read_listing(given, needs_match=True)
        request = ListSeries(wanted.match, wanted.start_ms, wanted.end_ms, wanted.limit or MOST)
        return await self._list(asked, "prometheus/series", request)

    async def labels(self, asked: Asked, given: Fields) -> bytes:
        """`/labels`. Costs nothing."""
        return await self._labels(asked, "prometheus/labels", None, given)

    async def label_values(self, asked: Asked, given: Fields) -> bytes:
        """`/label/{name}/values`. Costs nothing."""
        name = label_in_path(asked.parameters.path["name"])
        return await self._labels(asked, "prometheus/label/values", name, given)

    async def metadata(self, asked: Asked, given: Fields) -> bytes:
        """`/metadata`. Costs nothing."""
        wanted = read_listing(given)
        name = next(iter(given.get("metric", ())), "") or None
        async with self.calls.charged(asked, "prometheus/metadata", QUERY, 0):
            found: Mapping[str, tuple[str, str, str]] = await self.calls.samples(asked).ask(
                asked.account_id, Metadata(name, wanted.limit or MOST)
            )
        members = ("type", "help", "unit")
        return list_answer({each: [dict(zip(members, of, strict=True))] for each, of in found.items()})

    async def build_info(self, asked: Asked, given: Fields) -> bytes:  # noqa: ARG002
        """`/status/buildinfo`. Costs nothing."""
        empty = dict.fromkeys(("buildUser", "buildDate", "goVersion"), "")
        return list_answer({"version": PROMETHEUS, "revision": version("luna"), "branch": "luna", **empty})

    async def _labels(self, asked: Asked, route: str, label: str | None, given: Fields) -> bytes:
        wanted = read_listing(given)
        request = ListLabels(label, wanted.match, wanted.start_ms, wanted.end_ms, wanted.limit or MOST)
        return await self._list(asked, route, request)

    async def _evaluated(self, asked: Asked, route: str, wanted: Instant | Range, at: int | Bounds) -> bytes:
        options = Options(wanted.timeout_s, wanted.lookback_ms)
        async with self.calls.charged(asked, route, QUERY, 1):
            result = await self.promql.asked_for(asked, wanted.query, at, options)
            if isinstance(result, QueryRefused):
                raise _error(result)
        return query_answer(cut(result, wanted.limit))

    async def _list(self, asked: Asked, route: str, request: Any) -> bytes:  # noqa: ANN401
        async with self.calls.charged(asked, route, QUERY, 0):
            try:
                listed: Listed = await self.calls.samples(asked).ask(asked.account_id, request)
            except ValueError as e:
                message = f'invalid parameter "match[]": {cause_of(e)}'
                raise PrometheusError(ErrorType.BAD_DATA, message) from e
        return list_answer(list(listed.items), [CUT] if listed.cut else ())


def cut(result: InstantResult, limit: int) -> InstantResult:
    """A result with at most `limit` series, and a warning if there were more; 0 for all."""
    match result:
        case Vector() if 0 < limit < len(result.labels):
            warnings = (*result.warnings, CUT)
            return replace(result, labels=result.labels[:limit], values=result.values[:limit], warnings=warnings)
        case Matrix() if 0 < limit < len(result.series):
            return replace(result, series=result.series[:limit], warnings=(*result.warnings, CUT))
        case _:
            return result


async def _fields(asked: Asked) -> Fields:
    """Parameters of the form, then those of the query."""
    content_type = asked.headers.get(b"content-type", b"").decode("latin-1")
    form: Fields = {}
    if content_type.partition(";")[0].strip().lower() == FORM_TYPE:
        form = read_fields(b"", content_type, await asked.body(QUERY_BYTES))
    found = {name: [*values] for name, values in form.items()}
    for name, values in asked.parameters.query.items():
        found.setdefault(name, []).extend(values)
    return found


def _error(why: QueryRefused) -> PrometheusError:
    detail = f'invalid parameter "query": {why.detail}' if why.why is Refusal.PARSE else why.detail
    return PrometheusError(_TYPES[why.why], detail)


def _answered(problem: Problem) -> Answer:
    more = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    return Answer(of_problem(problem), problem.status, [*JSON, *more])
