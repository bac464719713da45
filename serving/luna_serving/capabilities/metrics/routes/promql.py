"""PromQL: `POST /metrics/query`, `GET /metrics/query/{instant,range}`; Prometheus' API asks by the same class."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from luna_serving.capabilities.metrics.rendering.answers import query_answer
from luna_serving.capabilities.metrics.routes.calls import QUERY, Calls, refused_query
from luna_serving.capabilities.metrics.routes.parameters import duration, instant, now_ms, quoted, selector
from luna_serving.edge.operation import Answer, Asked
from luna_serving.engines.promql.api import LOOKBACK_MS
from luna_serving.samples.answers import QueryRefused
from luna_serving.samples.requests import InstantQuery
from luna_serving.wire import problems
from luna_serving.wire.documents import refuse_mark
from luna_serving.wire.problems import FieldError, Problem

JSON: Final = ((b"content-type", b"application/json"),)
SECOND_MS: Final = 1_000
# Of a body with a query, which is parsed on the event loop: PromQL has 16,384 characters at most.
QUERY_BYTES: Final = 256 * 1024
# As Prometheus limits a range query: the period divided by the step.
MOST_POINTS: Final = 11_000
AGGREGATIONS: Final = ("avg", "sum", "min", "max", "count")
_MEMBERS: Final = frozenset({"query", "name", "labels", "start", "end", "step", "aggregation", "group_by", "limit"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """The steps of a range query, ms."""

    start_ms: int
    end_ms: int
    step_ms: int


@dataclass(frozen=True, slots=True)
class Options:
    """What Prometheus' clients may ask for besides."""

    timeout_s: float | None = None
    """Seconds of the evaluation at most; None, or more than the server's own: those of the server."""
    lookback_ms: int = LOOKBACK_MS
    """How old the sample of an instant selector may be."""


DEFAULTS: Final = Options()


@dataclass(frozen=True, slots=True)
class Promql:
    """Serves PromQL with our errors."""

    calls: Calls

    async def instant(self, asked: Asked) -> Answer:
        """A query at a time. One unit."""
        query = required(asked, "query")
        text = asked.parameters.one("time")
        at_ms = instant(text, "/query/time", unit_ms=SECOND_MS) if text else now_ms()
        return Answer(query_answer(await self.evaluated(asked, "metrics/query/instant", query, at_ms)), headers=JSON)

    async def range(self, asked: Asked) -> Answer:
        """A query at steps. One unit."""
        query = required(asked, "query")
        bounds = checked(
            instant(required(asked, "start"), "/query/start", unit_ms=SECOND_MS),
            instant(required(asked, "end"), "/query/end", unit_ms=SECOND_MS),
            duration(required(asked, "step"), "/query/step"),
            "/query",
        )
        return Answer(query_answer(await self.evaluated(asked, "metrics/query/range", query, bounds)), headers=JSON)

    async def query(self, asked: Asked) -> Answer:
        """A query as JSON: PromQL, or a metric with an aggregation. One unit."""
        document = _document(await asked.json(QUERY_BYTES))
        text = _query_of(document)
        end_ms = _time(document, "end", now_ms())
        start_ms = _time(document, "start", end_ms - 3_600_000)
        step_ms = _step(document, max(SECOND_MS, (end_ms - start_ms) // 250 // SECOND_MS * SECOND_MS))
        bounds = checked(start_ms, end_ms, step_ms, "")
        limit = document.get("limit")
        if limit is not None and (type(limit) is not int or limit < 1):
            raise problems.invalid(FieldError("/limit", "Must be a whole number of series, at least 1."))
        result = await self.evaluated(asked, "metrics/query", text, bounds, "/query")
        return Answer(query_answer(replace(result, series=result.series[:limit])), headers=JSON)

    async def evaluated(
        self, asked: Asked, route: str, text: str, at: int | Bounds, pointer: str = "/query/query"
    ) -> Any:  # noqa: ANN401  a result of the engine
        """Charge a unit, and evaluate a query at a time or at steps.

        Raises:
            Denied: of the charge. Nothing is charged.
            Problem: 422, 503. Nothing is charged.
        """
        async with self.calls.charged(asked, route, QUERY, 1):
            result = await self.asked_for(asked, text, at)
            if isinstance(result, QueryRefused):
                raise refused_query(result, pointer)
        return result

    async def asked_for(self, asked: Asked, text: str, at: int | Bounds, options: Options = DEFAULTS) -> Any:  # noqa: ANN401
        """The result of the shard, or `QueryRefused`; not charged."""
        samples, lookback_ms = self.calls.samples(asked), options.lookback_ms
        if isinstance(at, Bounds):
            bounds = (at.start_ms, at.end_ms, at.step_ms)
            return await samples.range(
                asked.account_id, text, *bounds, timeout_s=options.timeout_s, lookback_ms=lookback_ms
            )
        queries = [InstantQuery(text, at, lookback_ms)]
        return (await samples.instant(asked.account_id, queries, timeout_s=options.timeout_s))[0]


def required(asked: Asked, name: str) -> str:
    """A query parameter that must be given.

    Raises:
        Problem: 422.
    """
    value = asked.parameters.one(name)
    if not value:
        raise problems.invalid(FieldError(f"/query/{name}", "Field required."))
    return value


def checked(start_ms: int, end_ms: int, step_ms: int, pointer: str) -> Bounds:
    """The steps of a range query.

    Raises:
        Problem: 422, the end is before the start; 400, as of Prometheus, there are too many steps.
    """
    if end_ms < start_ms:
        raise problems.invalid(FieldError(f"{pointer}/end", "Must not be before start."))
    if (end_ms - start_ms) // step_ms > MOST_POINTS:
        wrong = f"Would give more than {MOST_POINTS:,} points per series. Use a longer step, or a shorter period."
        errors = [{"pointer": f"{pointer}/step", "detail": wrong}]
        raise Problem("too-many-points", 400, "Too many points per series.", wrong, extra={"errors": errors})
    return Bounds(start_ms, end_ms, step_ms)


def _document(body: bytes) -> dict[str, Any]:
    refuse_mark(body)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise problems.invalid(FieldError("", f"Is not valid JSON: {e.msg} at line {e.lineno}.")) from e
    if not isinstance(document, dict):
        raise problems.invalid(FieldError("", "Must be a JSON object."))
    if unknown := document.keys() - _MEMBERS:
        wrong = f"Is not permitted here: the members are {', '.join(sorted(_MEMBERS))}."
        raise problems.invalid(FieldError(f"/{min(unknown)}", wrong))
    return document


def _query_of(document: Mapping[str, Any]) -> str:
    """The PromQL of a request."""
    text, name = document.get("query"), document.get("name")
    if (text is None) is (name is None):
        raise problems.invalid(FieldError("", "Must have one of query (PromQL) and name (of a metric)."))
    if text is not None:
        if not isinstance(text, str) or not text:
            raise problems.invalid(FieldError("/query", "Must be PromQL, a non-empty string."))
        if extra := document.keys() & {"labels", "aggregation", "group_by"}:
            raise problems.invalid(FieldError(f"/{min(extra)}", "Goes with name; write it into query instead."))
        return text
    labels = document.get("labels") or {}
    if not isinstance(name, str) or not name:
        raise problems.invalid(FieldError("/name", "Must be the name of a metric, a non-empty string."))
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise problems.invalid(FieldError("/labels", "Must be an object of strings."))
    selected = selector(name, labels)
    aggregation, group_by = document.get("aggregation"), document.get("group_by")
    if aggregation is None:
        if group_by is not None:
            raise problems.invalid(FieldError("/group_by", "Needs an aggregation."))
        return selected
    if aggregation not in AGGREGATIONS:
        raise problems.invalid(FieldError("/aggregation", f"Must be one of {', '.join(AGGREGATIONS)}."))
    if group_by is None:
        return f"{aggregation}({selected})"
    if not isinstance(group_by, list) or not all(isinstance(label, str) and label for label in group_by):
        raise problems.invalid(FieldError("/group_by", "Must be a list of names of labels."))
    by = ", ".join(label if label.isidentifier() and label.isascii() else quoted(label) for label in group_by)
    return f"{aggregation} by ({by}) ({selected})"


def _time(document: Mapping[str, Any], member: str, default: int) -> int:
    value = document.get(member)
    if value is None:
        return default
    if type(value) not in {int, float, str}:
        raise problems.invalid(
            FieldError(f"/{member}", "Must be RFC 3339 with a time zone, or milliseconds since 1970.")
        )
    return instant(str(value), f"/{member}", unit_ms=1)


def _step(document: Mapping[str, Any], default: int) -> int:
    value = document.get("step")
    if value is None:
        return default
    return duration(str(value) if type(value) in {int, float, str} else "", "/step")
