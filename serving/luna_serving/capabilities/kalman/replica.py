"""The Kalman deployment: a replica that filters, smooths, forecasts, simulates and fits batches of calls."""

import asyncio
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Event
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.kalman.compute import Answer, AnyJob, compute
from luna_serving.capabilities.kalman.cost import lane_of
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.capabilities.kalman.metrics import KalmanMetrics
from luna_serving.capabilities.kalman.settings import KalmanSettings
from luna_serving.engines.statespace.api.description import MAX_STATES

# Threads per lane. XLA uses the cores by itself, and the event loop stays free to receive the next batch. Long calls
# and fits have several threads, so that the operating system shares the cores among their accounts: the gates admit one
# per account at a time. They admit two heavy batches per account, so that a third thread is left for another's.
THREADS: Final = MappingProxyType({"light": 1, "heavy": 3, "long": 4, "fit": 4})
# Threads that the engine's plans may use next to a lane's own: compiled loops run outside the interpreter's lock.
CORES: Final = 2
# How long a thread may keep the interpreter while another waits for it: by default 5 ms, with which four long calls
# would delay each step of a light one by 20 ms.
SWITCH_S: Final = 0.001


class KalmanReplica:
    """Computes batches of jobs. It is ready after warm-up."""

    def __init__(self, settings: KalmanSettings, registry: CollectorRegistry) -> None:
        sys.setswitchinterval(SWITCH_S)
        self._warm_states = settings.warm_states
        self._metrics = KalmanMetrics(registry)
        self._lanes = {name: ThreadPoolExecutor(count, thread_name_prefix=name) for name, count in THREADS.items()}
        self._cores = ThreadPoolExecutor(CORES, thread_name_prefix="cores")

    async def warm_up(self) -> None:
        """Compile the programs of models of up to `warm_states` states; 0 compiles none, `MAX_STATES` all.

        Programs for fits of the smallest models are compiled in the background; a fit that arrives meanwhile waits for
        them, as it would for its own.
        """
        await asyncio.get_running_loop().run_in_executor(self._lanes["light"], _compile_ahead, self._warm_states)
        if self._warm_states > 0:
            self._lanes["fit"].submit(_compile_fits_ahead)

    def ping(self) -> None:
        """Answer a probe: nothing is computed or counted, and no batch delays it."""

    async def compute(self, jobs: Sequence[AnyJob]) -> Sequence[Answer]:
        """Answer jobs of one lane, as a gate sends them, in order: each with JSON or an outcome.

        After a cancellation it stops within 0.2 s, or when the running compiled program ends.
        """
        if not jobs:
            return []
        abandoned = Event()
        work = partial(compute, jobs, TimeAllowed(time.monotonic(), abandoned.is_set), self._cores, self._metrics)
        # With the context of the call: what the thread logs says what it is about.
        in_context = partial(copy_context().run, work)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._lanes[lane_of(jobs[0])], in_context)
        except asyncio.CancelledError:
            # The thread continues until the engine's loops check their clock.
            abandoned.set()
            raise


def _compile_ahead(states: int) -> None:
    # Imported here: a process that only names this deployment needs no JAX.
    from luna_serving.engines.statespace.api.compute import configure_jax, warm_up, warm_up_plans

    configure_jax()
    warm_up(states=states)
    if states >= MAX_STATES:
        warm_up_plans()


def _compile_fits_ahead() -> None:
    from luna_serving.engines.statespace.api.compute import warm_up_fits

    warm_up_fits()
