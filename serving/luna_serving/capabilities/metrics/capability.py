"""The declaration of the capability: live metrics."""

from typing import Final

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.metrics.live.parts import live_parts
from luna_serving.capabilities.metrics.live.present import ShardPresent
from luna_serving.capabilities.metrics.loops import loops
from luna_serving.capabilities.metrics.requests import Forget
from luna_serving.capabilities.metrics.routes import operations
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.shard import MetricsShard
from luna_serving.capabilities.metrics.store import retention
from luna_serving.capabilities.metrics.store.tables import (
    MetricAccount,
    MetricChunk,
    MetricDay,
    MetricLatest,
    MetricMetadata,
    MetricRollup,
    MetricSeries,
    MetricWrite,
)
from luna_serving.jobs.background import Background
from luna_serving.samples.client import CAPABILITY, Samples

FORGET_S: Final = 30.0
# Seconds for the present values of a live subscription.
PRESENT_S: Final = 10.0


def serve(platform: Platform, settings: MetricsSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    present = ShardPresent(Samples(platform.shards[CAPABILITY], timeout_s=PRESENT_S))
    live = live_parts(
        platform,
        present,
        platform.alert_log,
        most_series=settings.live_series,
        most_connections=settings.max_connections,
    )
    return Routes(
        operations=operations.of(platform, settings),
        routers=live.routers,
        sockets=live.sockets,
        closing=live.closing,
    )


async def forget(stores: Background, account_id: int) -> None:
    """Drop the samples of a deleted account."""
    shards = stores.shards.get(CAPABILITY)
    if shards is None:
        await retention.remove_account(stores.engine, account_id)
    else:
        await shards.ask(account_id, Forget(), timeout_s=FORGET_S)


METRICS: Final = Capability(
    name=CAPABILITY,
    settings=MetricsSettings,
    serve=serve,
    shard=MetricsShard,
    grants=frozenset({operations.INGEST, operations.QUERY}),
    limits=(
        "metrics.active_series",
        "metrics.samples_per_second",
        "metrics.labels",
        "metrics.query_samples",
        "metrics.retention_days",
        "metrics.sockets",
    ),
    tables=(
        MetricAccount,
        MetricChunk,
        MetricDay,
        MetricLatest,
        MetricMetadata,
        MetricRollup,
        MetricSeries,
        MetricWrite,
    ),
    loops=loops,
    # One account has the machine to itself.
    local={"max_connections": "12000"},
    forget=forget,
)
