"""The replica of the Black-Scholes capability: evaluates options, and renders answers."""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.blackscholes.job import PricedColumns, PricingJob
from luna_serving.capabilities.blackscholes.metrics import BlackScholesMetrics
from luna_serving.capabilities.blackscholes.settings import BlackScholesSettings
from luna_serving.dispatch.outcomes import Failed

if TYPE_CHECKING:
    from luna_serving.engines.finance.blackscholes.api.compute import Engine

log = logging.getLogger("luna.blackscholes")

# XLA computes outside the interpreter's lock; two calls at once use the cores while one of them renders.
THREADS: Final = 2


class BlackScholesReplica:
    """Computes calls. It is ready after warm-up, which compiles every program, or begins to."""

    def __init__(self, settings: BlackScholesSettings, registry: CollectorRegistry) -> None:
        self._compile_ahead = settings.compile_ahead
        self._metrics = BlackScholesMetrics(registry)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blackscholes")
        self._engine: Future[Engine] | None = None

    async def warm_up(self) -> None:
        """Compile all programs, in some seconds; in the background where the settings say so."""
        self._engine = self._threads.submit(_compiled)
        if self._compile_ahead:
            await asyncio.wrap_future(self._engine)

    def ping(self) -> None:
        """Answer a probe."""

    async def compute(self, jobs: Sequence[PricingJob]) -> Sequence[Any]:
        """Answer jobs in order: with bytes, or columns for a job; a cancelled call stops at its next block."""
        abandoned = Event()
        loop = asyncio.get_running_loop()
        work = [loop.run_in_executor(self._threads, partial(self._answered, job, abandoned)) for job in jobs]
        try:
            return await asyncio.gather(*work)
        except asyncio.CancelledError:
            abandoned.set()
            raise

    def _answered(self, job: PricingJob, abandoned: Event) -> bytes | PricedColumns | Failed:
        try:
            return self._evaluated(job, abandoned)
        except Exception:
            log.exception("options could not be evaluated")
            return Failed()

    def _evaluated(self, job: PricingJob, abandoned: Event) -> bytes | PricedColumns | Failed:
        from luna_serving.capabilities.blackscholes.answers import as_json, as_table
        from luna_serving.engines.finance.blackscholes.api.compute import Options, RowCode

        if self._engine is None:
            return Failed()
        engine = self._engine.result()
        begun = time.perf_counter()
        options = Options(**job.columns, forward=job.forward, american=job.style == "american")
        answer = engine.evaluate(options, job.outputs, abandoned.is_set)
        if abandoned.is_set():
            return Failed()
        self._metrics.seconds.observe(time.perf_counter() - begun)
        self._metrics.rows.labels(job.style).inc(job.rows)
        counts = np.bincount(answer.codes, minlength=len(RowCode))
        for code in RowCode:
            if code and counts[code]:
                self._metrics.codes.labels(code.word).inc(int(counts[code]))
        match job.form:
            case "columns":
                return PricedColumns(answer.columns, answer.codes)
            case "json":
                return as_json(answer.columns, answer.codes, job.plan)
            case _:
                return as_table(answer.columns, answer.codes, job.plan, job.form)


def _compiled() -> "Engine":
    # Imported here: a process that only names this deployment needs no JAX.
    from luna_serving.engines.finance.blackscholes.api.compute import configure_jax, warm_up

    configure_jax()
    return warm_up(cores=os.cpu_count() or 1)
