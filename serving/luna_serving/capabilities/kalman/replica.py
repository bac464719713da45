"""The Kalman deployment: a replica that filters, smooths, forecasts, simulates and fits batches of calls."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from types import MappingProxyType
from typing import Any, Final

from luna_serving.capabilities.kalman.compute import compute
from luna_serving.capabilities.kalman.cost import lane_of
from luna_serving.capabilities.kalman.fits.compute import fit_jobs, warm_up_fits
from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.capabilities.kalman.settings import KalmanSettings
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob
from luna_serving.dispatch.outcomes import Failed, Refused, TimedOut
from luna_serving.engines.statespace.model.model import MAX_STATES
from luna_serving.engines.statespace.process.jax_process import configure_jax

AnyJob = Job | SimulateJob | AppendJob | FitJob

# Threads of each lane: XLA uses the cores by itself, and the event loop stays free to receive the next batch. Long
# calls and fits run beside each other, so that the operating system shares the cores among the accounts that they are
# of: the gates let one of an account through at a time. Of heavy batches two of an account, so that a third thread is
# left for another's.
THREADS: Final = MappingProxyType({"light": 1, "heavy": 3, "long": 4, "fit": 4})
# How long a thread may keep the interpreter where another waits for it: by default 5 ms, which four long calls would
# make 20 for each step of a light one.
SWITCH_S: Final = 0.001


class KalmanReplica:
    """Computes. `warm_up` compiles models of up to `warm_states` states; with all of them, nothing compiles later."""

    def __init__(self, settings: KalmanSettings) -> None:
        sys.setswitchinterval(SWITCH_S)
        self._warm_states = settings.warm_states
        self._lanes = {name: ThreadPoolExecutor(count, thread_name_prefix=name) for name, count in THREADS.items()}

    async def warm_up(self) -> None:
        """Compile; the replica is ready afterwards."""
        await asyncio.get_running_loop().run_in_executor(self._lanes["light"], _warm_up, self._warm_states)
        if self._warm_states > 0:
            self._lanes["fit"].submit(warm_up_fits)

    def ping(self) -> None:
        """The process answers: there is nothing else that could fail."""

    async def compute(self, jobs: Sequence[AnyJob]) -> Sequence[bytes | Appended | Refused | Failed | TimedOut]:
        """Answer jobs in their order: JSON, or why there is none. Each lane has a gate, so a batch is of one lane.

        Cancelled, it stops within 0.2 s, but for a compiled program under way.
        """
        arrived, abandoned = time.monotonic(), Event()
        fits = [job for job in jobs if isinstance(job, FitJob)]
        others = [job for job in jobs if not isinstance(job, FitJob)]
        if fits:
            work: Callable[[], Any] = partial(fit_jobs, fits, arrived, abandoned=abandoned.is_set)
        else:
            work = partial(compute, others, TimeAllowed(arrived, abandoned.is_set))
        lane = self._lanes[lane_of(jobs[0]) if jobs else "light"]
        try:
            answers: Sequence[Any] = await asyncio.get_running_loop().run_in_executor(lane, work)
        except asyncio.CancelledError:
            # The thread goes on until its loops look.
            abandoned.set()
            raise
        return answers


def _warm_up(states: int) -> None:
    # Imported here: whoever only names this deployment needs no jax.
    from luna_serving.engines.statespace.warm_up import warm_up, warm_up_plans

    configure_jax()
    warm_up(states=states)
    if states >= MAX_STATES:
        warm_up_plans()
