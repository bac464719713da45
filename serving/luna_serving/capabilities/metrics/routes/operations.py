"""All operations of the capability."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from luna_serving.access.credentials import BEARER, WITH_TOKEN
from luna_serving.capabilities.contract import Platform
from luna_serving.capabilities.metrics.routes.calls import INGEST, QUERY, Calls
from luna_serving.capabilities.metrics.routes.ingesting import Ingest
from luna_serving.capabilities.metrics.routes.openapi import described
from luna_serving.capabilities.metrics.routes.own import Own
from luna_serving.capabilities.metrics.routes.prometheus import PrometheusApi
from luna_serving.capabilities.metrics.routes.promql import Promql
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.edge.operation import Answer, Asked, Exchange
from luna_serving.samples.client import CAPABILITY
from luna_store.people.roles import Role

__all__ = ["INGEST", "QUERY", "of"]

INFLUX: Final = "influx/write"
_API: Final = "prometheus/api/v1/"
# What costs nothing, and is open to those who may only read.
FREE: Final = frozenset(
    {
        "metrics/names",
        *(_API + each for each in ("series", "labels", "label/{name}/values", "metadata", "status/buildinfo")),
    }
)
_PERIOD: Final = ("start", "end")
# Grafana and other clients of Prometheus send more than is needed.
_IGNORED: Final = ("stats", "dedup", "partial_response", "max_source_resolution")
_OPTIONS: Final = ("limit", "timeout", "lookback_delta", *_IGNORED)


def of(platform: Platform, settings: MetricsSettings) -> list[Exchange]:
    """The operations, wired for an ingress replica."""
    calls = Calls(platform.charges, platform.shards[CAPABILITY], settings)
    ingest, own, promql = Ingest(calls), Own(calls), Promql(calls)
    api = PrometheusApi(calls, promql)
    operations = [
        _exchange("POST", "metrics/ingest", ingest.one),
        _exchange("POST", "metrics/batch", ingest.batch),
        _exchange("POST", "prometheus/write", ingest.remote_write),
        _exchange("POST", "otlp/v1/metrics", ingest.otlp),
        _exchange("POST", INFLUX, ingest.influx, "precision", "db", "bucket", "org", "rp"),
        _exchange("GET", "metrics/names", own.names, "match", "limit"),
        _exchange("GET", "metrics/latest/{name}", own.latest),
        _exchange("GET", "metrics/stats/{name}", own.stats, *_PERIOD),
        _exchange("GET", "metrics/aggregated", own.aggregated, "name", "interval", *_PERIOD),
        _exchange("POST", "metrics/query", promql.query),
        _exchange("GET", "metrics/query/instant", promql.instant, "query", "time"),
        _exchange("GET", "metrics/query/range", promql.range, "query", *_PERIOD, "step"),
    ]
    for path, serve, parameters in (
        ("query", PrometheusApi.query, ("query", "time", *_OPTIONS)),
        ("query_range", PrometheusApi.query_range, ("query", *_PERIOD, "step", *_OPTIONS)),
        ("series", PrometheusApi.series, ("match[]", *_PERIOD, "limit")),
        ("labels", PrometheusApi.labels, ("match[]", *_PERIOD, "limit")),
        ("label/{name}/values", PrometheusApi.label_values, ("match[]", *_PERIOD, "limit")),
        ("metadata", PrometheusApi.metadata, ("metric", "limit", "limit_per_metric")),
        ("status/buildinfo", PrometheusApi.build_info, ()),
    ):
        operations += [_exchange(method, _API + path, api.route(serve), *parameters) for method in ("GET", "POST")]
    return operations


def _exchange(method: str, path: str, serve: Callable[[Asked], Awaitable[Answer]], *parameters: str) -> Exchange:
    openapi: dict[str, Any] = described(method, path, parameters)
    least = Role.VIEWER if path in FREE else Role.MEMBER
    # Telegraf and the clients of InfluxDB 2 write `Authorization: Token <key>`.
    schemes = WITH_TOKEN if path == INFLUX else BEARER
    return Exchange(
        method, path, serve, frozenset(parameters), openapi, capability=CAPABILITY, least=least, schemes=schemes
    )
