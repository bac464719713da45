"""The declaration of the capability: its route, replicas, settings and kind of job."""

from typing import Final

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.montecarlo.job_kind import NAME, STATE, job_kinds
from luna_serving.capabilities.montecarlo.replica import MonteCarloReplica
from luna_serving.capabilities.montecarlo.routes import door, extended
from luna_serving.capabilities.montecarlo.schemas.models import MODELS
from luna_serving.capabilities.montecarlo.settings import MonteCarloSettings
from luna_serving.capabilities.montecarlo.wire.returns import Returns
from luna_serving.jobs.kinds import Extension


def serve(platform: Platform, settings: MonteCarloSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    del settings
    calculation = door(platform.gate(NAME), Returns(platform.series))
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
