"""The Monte Carlo deployment: a replica that computes whole runs, pilots and blocks."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Event

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.montecarlo.compute import Abandoned, Worker
from luna_serving.capabilities.montecarlo.metrics import MonteCarloMetrics
from luna_serving.capabilities.montecarlo.settings import MonteCarloSettings
from luna_serving.capabilities.montecarlo.wire.requests import parse
from luna_serving.capabilities.montecarlo.wire.travelling import AnyJob, Computed, WholeRun
from luna_serving.dispatch.outcomes import Failed, Refused


class MonteCarloReplica:
    """Computes jobs in threads. Live calls have threads of their own, so that no job's blocks delay them."""

    def __init__(self, settings: MonteCarloSettings, registry: CollectorRegistry) -> None:
        self._worker = Worker(MonteCarloMetrics(registry))
        self._live = ThreadPoolExecutor(settings.threads, thread_name_prefix="montecarlo-live")
        self._blocks = ThreadPoolExecutor(settings.threads, thread_name_prefix="montecarlo-blocks")

    async def warm_up(self) -> None:
        """Import what blocks need, and touch it once. There is nothing to compile."""
        await asyncio.get_running_loop().run_in_executor(self._live, _touch)

    def ping(self) -> None:
        """Answer a probe."""

    async def compute(self, jobs: Sequence[AnyJob]) -> Sequence[Computed | Refused | Failed]:
        """Answer jobs in order, side by side. After a cancellation they stop at the next block."""
        abandoned = Event()
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.gather(
                *(
                    loop.run_in_executor(
                        self._live if isinstance(job, WholeRun) else self._blocks,
                        # With the context of the call: what the thread logs says what it is about.
                        partial(copy_context().run, self._worker.answer, job, abandoned.is_set),
                    )
                    for job in jobs
                )
            )
        except Abandoned as e:
            raise asyncio.CancelledError from e
        except asyncio.CancelledError:
            abandoned.set()
            raise


def _touch() -> None:
    from luna_serving.engines.finance.montecarlo.api.compute import compute, pilot

    model = {"kind": "gbm", "spot": 100, "volatility": 0.2}
    payoff = {"kind": "european", "type": "call", "strike": 100}
    for sampling in ("sobol", "pseudo"):
        asked = parse({"model": model, "payoff": payoff, "expiry": 1, "paths": 1, "seed": 0, "sampling": sampling})
        compute(asked.problem, pilot(asked.problem), 0)
