"""`GET /metrics/names`, `/metrics/latest/{name}`, `/metrics/stats/{name}`, `/metrics/aggregated`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from luna_serving.capabilities.metrics.requests import (
    Aggregate,
    Aggregated,
    Buckets,
    Listed,
    ListLabels,
    Statistics,
    Summary,
)
from luna_serving.capabilities.metrics.routes.calls import QUERY, Calls, refused_query
from luna_serving.capabilities.metrics.routes.parameters import FIRST_MS, LAST_MS, period, selector, whole
from luna_serving.edge.operation import Answer, Asked
from luna_serving.engines.promql.api import NAME_LABEL
from luna_serving.samples.answers import LatestSamples, QueryRefused
from luna_serving.samples.identity import read_key
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

JSON: Final = ((b"content-type", b"application/json"),)
INTERVALS_MS: Final = {"1m": 60_000, "5m": 300_000, "1h": 3_600_000, "1d": 86_400_000}
QUANTILES: Final = (0.5, 0.9, 0.99)
MOST_NAMES: Final = 100_000
MOST_SERIES: Final = 10_000
MOST_BUCKETS: Final = 200_000
# A parameter `label.host=a` keeps the series whose label has this value.
LABEL_PREFIX: Final = "label."


@dataclass(frozen=True, slots=True)
class Own:
    """Serves our own routes of queries."""

    calls: Calls

    async def names(self, asked: Asked) -> Answer:
        """The names of metrics. Costs nothing."""
        match = asked.parameters.query.get("match", [])
        most = whole(asked.parameters.one("limit", str(MOST_NAMES)), "/query/limit", 1, MOST_NAMES)
        request = ListLabels(NAME_LABEL, match, FIRST_MS, LAST_MS, most)
        async with self.calls.charged(asked, "metrics/names", QUERY, 0):
            try:
                listed: Listed = await self.calls.samples(asked).ask(asked.account_id, request)
            except ValueError as e:
                raise problems.invalid(FieldError("/query/match", cause_of(e))) from e
        return Answer(orjson.dumps({"names": list(listed.items)}), headers=JSON)

    async def latest(self, asked: Asked) -> Answer:
        """The last sample of each series of a metric. One unit."""
        name = asked.parameters.path["name"]
        async with self.calls.charged(asked, "metrics/latest", QUERY, 1):
            try:
                found: LatestSamples = await self.calls.samples(asked).latest(
                    asked.account_id, [selector(name, {})], most_series=MOST_SERIES
                )
            except ValueError as e:
                raise problems.invalid(FieldError("/path/name", cause_of(e))) from e
            if not found.keys:
                raise problems.not_found(f"There are no samples of {name!r}. GET /metrics/names lists what there is.")
        samples = zip(found.keys, found.timestamps.tolist(), found.values.tolist(), strict=True)
        series = [{"labels": read_key(key)[1], "timestamp": at, "value": number(value)} for key, at, value in samples]
        return Answer(orjson.dumps({"name": name, "series": series}), headers=JSON)

    async def stats(self, asked: Asked) -> Answer:
        """Statistics of the samples of a metric. One unit."""
        name = asked.parameters.path["name"]
        first_ms, last_ms = period(
            asked.parameters.one("start"), asked.parameters.one("end"), default_start_ms=FIRST_MS, unit_ms=1
        )
        samples = self.calls.samples(asked)
        most = self.calls.limit(asked, "metrics.query_samples")
        request = Statistics(selector(name, {}), first_ms, last_ms, QUANTILES, most)
        async with self.calls.charged(asked, "metrics/stats", QUERY, 1):
            found: Summary | QueryRefused = await samples.ask(asked.account_id, request)
            if isinstance(found, QueryRefused):
                raise refused_query(found, "/path/name")
            if not found.count:
                raise problems.not_found(f"There are no samples of {name!r} in this period.")
        return Answer(orjson.dumps({"name": name, **_summary(found)}), headers=JSON)

    async def aggregated(self, asked: Asked) -> Answer:
        """Buckets of a metric by series. One unit."""
        query = asked.parameters
        name = query.one("name")
        if not name:
            raise problems.invalid(FieldError("/query/name", "Field required: the name of a metric."))
        interval = query.one("interval", "1h")
        if interval not in INTERVALS_MS:
            raise problems.invalid(FieldError("/query/interval", f"Must be one of {', '.join(INTERVALS_MS)}."))
        first_ms, last_ms = period(query.one("start"), query.one("end"), default_start_ms=FIRST_MS, unit_ms=1)
        most = self.calls.limit(asked, "metrics.query_samples")
        request = Aggregate(selector(name, {}), INTERVALS_MS[interval], first_ms, last_ms, most, MOST_BUCKETS)
        async with self.calls.charged(asked, "metrics/aggregated", QUERY, 1):
            found: Aggregated | QueryRefused = await self.calls.samples(asked).ask(asked.account_id, request)
            if isinstance(found, QueryRefused):
                raise refused_query(found, "/query/name")
        series = [{"labels": _without_name(each.labels), "buckets": _buckets(each)} for each in found.series]
        return Answer(orjson.dumps({"name": name, "interval": interval, "series": series}), headers=JSON)


def number(value: float) -> float | str:
    """A value in JSON, which has no NaN and no infinities: they are texts, as in what is ingested."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def cause_of(error: ValueError) -> str:
    """The message of an error that a shard has raised, which Ray has wrapped."""
    cause = getattr(error, "cause", None)
    return str(cause if isinstance(cause, Exception) else error)


def _summary(found: Summary) -> dict[str, Any]:
    names = {"count": found.count, "min": found.minimum, "max": found.maximum, "mean": found.mean}
    values: dict[str, Any] = {name: number(value) for name, value in names.items()}
    values["std"] = number(found.deviation)
    values["quantiles"] = {str(q): number(value) for q, value in found.quantiles.items()}
    values["first"] = number(found.first[1]) if found.first else None
    values["last"] = number(found.last[1]) if found.last else None
    return values


def _without_name(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != NAME_LABEL}


def _buckets(of: Buckets) -> list[dict[str, Any]]:
    with np.errstate(invalid="ignore"):
        means = of.total / of.count
    columns = {
        "start": of.start_ms.tolist(),
        "count": of.count.tolist(),
        "sum": [number(each) for each in of.total.tolist()],
        "min": [number(each) for each in of.minimum.tolist()],
        "max": [number(each) for each in of.maximum.tolist()],
        "mean": [number(each) for each in means.tolist()],
        "first": [number(each) for each in of.first.tolist()],
        "last": [number(each) for each in of.last.tolist()],
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
