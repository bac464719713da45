"""The Kalman deployment: a replica that filters, smooths, forecasts, simulates and fits batches of calls."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from luna_serving.ingress.gate import Failed, Refused
from luna_serving.ingress.metrics_deployment import Reporter
from luna_serving.kalman.compute import compute
from luna_serving.kalman.fits.compute import fit_jobs, warm_up_fits
from luna_serving.kalman.fits.job import FitJob
from luna_serving.kalman.jobs import Job
from luna_serving.kalman.simulations.job import SimulateJob
from luna_serving.kalman.streams.job import Appended, AppendJob
from luna_serving.statespace.jax_process import configure_jax
from luna_serving.statespace.model import MAX_STATES

AnyJob = Job | SimulateJob | AppendJob | FitJob


class KalmanReplica:
    """Computes. Compiles what it is told to before it is ready; with all of it, nothing afterwards."""

    async def __init__(self, metrics: Any, warm_states: int) -> None:  # type: ignore[misc]  # noqa: ANN401  Serve awaits it
        # XLA uses the cores by itself, and the event loop stays free to receive the next batch: a thread a lane.
        self._light = ThreadPoolExecutor(1, thread_name_prefix="light")
        self._heavy = ThreadPoolExecutor(1, thread_name_prefix="heavy")
        # A fit takes seconds: on a thread of its own it holds up no batch. One at a time, for it fills the cores.
        self._fits = ThreadPoolExecutor(1, thread_name_prefix="fit")
        await asyncio.get_running_loop().run_in_executor(self._light, _warm_up, warm_states)
        if warm_states > 0:
            self._fits.submit(warm_up_fits)
        Reporter(metrics).start("kalman")

    async def compute(self, jobs: Sequence[AnyJob]) -> Sequence[bytes | Appended | Refused | Failed]:
        """Answer jobs in their order: JSON, or why there is none. Each lane has a gate, so a batch is of one lane."""
        loop = asyncio.get_running_loop()
        fits = [job for job in jobs if isinstance(job, FitJob)]
        if fits:
            return await loop.run_in_executor(self._fits, partial(fit_jobs, fits, time.monotonic()))
        others = [job for job in jobs if not isinstance(job, FitJob)]
        lane = self._heavy if any(job.heavy for job in others) else self._light
        return await loop.run_in_executor(lane, compute, others)


def _warm_up(states: int) -> None:
    # Imported here: whoever only names this deployment needs no jax.
    from luna_serving.statespace.warm_up import warm_up, warm_up_plans

    configure_jax()
    warm_up(states=states)
    if states >= MAX_STATES:
        warm_up_plans()
