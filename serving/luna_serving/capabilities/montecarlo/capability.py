"""The declaration of the capability: its route, replicas, settings and kind of job."""

from typing import Final

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.montecarlo.job_kind import NAME, STATE, job_kinds
from luna_serving.capabilities.montecarlo.replica import MonteCarloReplica
from luna_serving.capabilities.montecarlo.routes import door, extended
from luna_serving.capabilities.montecarlo.schemas.models import MODELS
from luna_serving.capabilities.montecarlo.settings import MonteCarloSettings
from luna_serving.capabilities.montecarlo.wire.prices import Closes
from luna_serving.capabilities.montecarlo.wire.returns import Returns
from luna_serving.jobs.kinds import Extension
from luna_serving.prices.wiring import markets_of


def serve(platform: Platform, settings: MonteCarloSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    del settings
    store = platform.objects
    # Its metrics are those of the market, which counts its own reads: not twice.
    markets = None if store is None else markets_of(store, platform.settings, CollectorRegistry())
    closes = Closes(platform.prices, markets, platform.accounts)
    calculation = door(platform.gate(NAME), Returns(platform.series, closes))
    return Routes(
        operations=[platform.doors.route(calculation)],
        jobs={NAME: platform.doors.prepare(calculation)},
        extensions={NAME: Extension(STATE, extended)},
    )


MONTECARLO: Final = Capability(
    name=NAME,
    settings=MonteCarloSettings,
    serve=serve,
    replica=MonteCarloReplica,
    grants=frozenset(MODELS),
    job_kinds=job_kinds,
)
