"""The Serve deployment around `MetricsBoard`, and the reporter that every replica runs."""

import asyncio
import logging
import uuid
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

from luna_serving.settings import LogSettings, TraceSettings
from luna_serving.telemetry.board import Family, MetricsBoard, snapshot
from luna_serving.telemetry.process import begin

log = logging.getLogger("luna.metrics")

# A snapshot of some thousand samples takes 20 ms: once a second, it would be seen in the latency of calls. A process
# that is killed loses the counts of this time; what is charged is in the ledger.
REPORT_EVERY_S = 5.0
FIRST_REPORT_S = 1.0


class MetricsReplica:
    """One for the whole application."""

    def __init__(self, log_settings: LogSettings) -> None:
        begin("metrics", log_settings, TraceSettings())
        self._board = MetricsBoard()

    async def report(self, replica: str, families: tuple[Family, ...]) -> None:
        """Take a replica's snapshot."""
        self._board.report(replica, families)

    async def render(self, replica: str, families: tuple[Family, ...]) -> bytes:
        """Take a replica's snapshot and answer the sums in Prometheus' text format."""
        self._board.report(replica, families)
        return self._board.render()

    async def replicas(self) -> dict[str, int]:
        """How many replicas of each deployment report."""
        return self._board.replicas()


class Reporter:
    """Sends this process' metrics to the board."""

    def __init__(self, board: Any, registry: CollectorRegistry) -> None:  # noqa: ANN401  a Serve DeploymentHandle
        self._board = board
        self._registry = registry
        self._replica = ""
        # A snapshot is taken in steps: no earlier one reaches the board after a later one, or counters would fall.
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self, kind: str) -> None:
        """Begin to report, under a new name, on the running loop."""
        self._replica = f"{kind}-{uuid.uuid4().hex}"
        self._task = asyncio.get_running_loop().create_task(self._report())

    async def _report(self) -> None:
        await asyncio.sleep(FIRST_REPORT_S)
        while True:
            try:
                async with self._one_at_a_time:
                    await self._board.report.remote(self._replica, await self._families())
            except Exception as e:  # noqa: BLE001  metrics never take a replica down; the board comes back
                log.warning("the metrics board is away: %s", e)
            await asyncio.sleep(REPORT_EVERY_S)

    async def render(self) -> bytes:
        """The metrics of the whole application, this process' up to this instant."""
        async with self._one_at_a_time:
            text: bytes = await self._board.render.remote(self._replica, await self._families())
        return text

    async def _families(self) -> tuple[Family, ...]:
        families = []
        for registry in (self._registry, REGISTRY):
            for family in snapshot(registry):
                families.append(family)
                await asyncio.sleep(0)  # calls go first
        return tuple(families)
