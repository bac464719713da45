"""Wires a worker that runs loops: the building block of the composition root."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs.loops import Loop, Loops
from luna_serving.jobs.metrics import LoopMetrics
from luna_serving.jobs.workers import ConnectedWorker, holder_name
from luna_serving.telemetry.board_deployment import Reporter

P = TypeVar("P")


def connect_loops(
    lease_engine: AsyncEngine,
    platform: P,
    loops: Sequence[Loop[P]],
    *,
    registry: CollectorRegistry,
    reporter: Reporter,
    close: Callable[[], Awaitable[None]],
) -> ConnectedWorker:
    """Wire the loops and start to report. Call it in the replica's process, on its event loop.

    Args:
        lease_engine: for the leases alone, so that no renewal waits for a connection that a run has.
        platform: what every run is given.
        loops: the loops of all capabilities.
        registry: the one that `reporter` sends.
        reporter: sends this process' metrics to the board.
        close: closes what `platform` holds and the engines.
    """
    worker = Loops(lease_engine, platform, loops, holder=holder_name(), metrics=LoopMetrics(registry))
    reporter.start("workers")
    return ConnectedWorker((worker.run,), close)
