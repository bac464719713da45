"""The declaration of the capability: its door, replica, kind of job and settings."""

from typing import Final

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.markowitz.door import door
from luna_serving.capabilities.markowitz.job import PortfolioJob
from luna_serving.capabilities.markowitz.job_kinds.running import job_kinds
from luna_serving.capabilities.markowitz.replica import MarkowitzReplica
from luna_serving.capabilities.markowitz.settings import MarkowitzSettings
from luna_serving.capabilities.markowitz.wire.sources import Sources
from luna_serving.capabilities.markowitz.wire.work import NAME
from luna_serving.dispatch.gate import Gate

OBJECTIVES: Final = frozenset(
    {
        "max_sharpe",
        "min_variance",
        "target_return",
        "target_risk",
        "risk_parity",
        "hrp",
        "min_cvar",
        "efficient_frontier",
    }
)


def serve(platform: Platform, settings: MarkowitzSettings) -> Routes:
    """Wire the route in an ingress replica."""
    sources = Sources(platform.series, platform.prices, platform.objects, platform.settings, settings)
    gate = Gate(
        platform.charges,
        platform.compute[NAME],
        platform.gate_limits,
        platform.dispatch_metrics.of(NAME),
        PortfolioJob.within,
    )
    made = door(gate, sources.parse)
    return Routes(operations=[platform.doors.route(made)], jobs={NAME: platform.doors.prepare(made)})


MARKOWITZ: Final = Capability(
    name=NAME,
    settings=MarkowitzSettings,
    serve=serve,
    replica=MarkowitzReplica,
    grants=OBJECTIVES,
    job_kinds=job_kinds,
)
