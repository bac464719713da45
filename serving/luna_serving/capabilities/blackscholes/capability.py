"""The declaration of the Black-Scholes capability."""

from typing import Final

from luna_serving.capabilities.blackscholes.job_kind import job_kinds
from luna_serving.capabilities.blackscholes.replica import BlackScholesReplica
from luna_serving.capabilities.blackscholes.routes import door
from luna_serving.capabilities.blackscholes.settings import BlackScholesSettings
from luna_serving.capabilities.blackscholes.wire.reading import Reader
from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.engines.finance.blackscholes.api.names import STYLES

NAME: Final = "blackscholes"


def serve(platform: Platform, settings: BlackScholesSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    doors = platform.doors
    opened = door(platform.gate(NAME), Reader(settings.max_rows), settings.max_body_bytes)
    return Routes(operations=[doors.route(opened)], jobs={NAME: doors.prepare(opened)})


BLACKSCHOLES: Final = Capability(
    name=NAME,
    settings=BlackScholesSettings,
    serve=serve,
    replica=BlackScholesReplica,
    grants=frozenset(STYLES),
    # Compiling its programs would delay the first call of everything by seconds.
    local={"compile_ahead": "false"},
    job_kinds=lambda settings: job_kinds(settings.max_rows),
)
