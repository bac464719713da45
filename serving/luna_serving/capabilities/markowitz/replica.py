"""The replica that computes portfolios, in threads: the linear algebra runs outside the interpreter's lock."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Event
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.markowitz.compute import Answer, compute
from luna_serving.capabilities.markowitz.job import Estimator, PortfolioJob
from luna_serving.capabilities.markowitz.metrics import MarkowitzMetrics
from luna_serving.capabilities.markowitz.settings import MarkowitzSettings
from luna_serving.engines.finance.markowitz.api.problems import Constraints, Group, MinVariance

WARM_ASSETS: Final = 4


class MarkowitzReplica:
    """Computes batches of problems. It is ready after the libraries were loaded."""

    def __init__(self, settings: MarkowitzSettings, registry: CollectorRegistry) -> None:
        self._metrics = MarkowitzMetrics(registry)
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="markowitz")

    async def warm_up(self) -> None:
        """Solve a small problem by each solver, so that no call waits for a library to load."""
        await asyncio.get_running_loop().run_in_executor(self._threads, _warm)

    def ping(self) -> None:
        """Answer a probe: nothing is computed or counted."""

    async def compute(self, jobs: Sequence[PortfolioJob]) -> Sequence[Answer]:
        """Answer problems in order: each with JSON or an outcome. After a cancellation, work ends at its next step."""
        abandoned = Event()
        loop = asyncio.get_running_loop()
        context = copy_context()
        work = [
            loop.run_in_executor(
                self._threads, partial(context.copy().run, compute, job, abandoned.is_set, self._metrics)
            )
            for job in jobs
        ]
        try:
            return await asyncio.gather(*work)
        except asyncio.CancelledError:
            abandoned.set()
            raise


def _warm() -> None:
    limits = Constraints.long_only(WARM_ASSETS)
    grouped = Constraints(limits.lower, limits.upper, (Group((0, 1), maximum=0.4),))
    metrics = MarkowitzMetrics(CollectorRegistry())
    for each in (limits, grouped):
        problem = PortfolioJob(
            objective_name="min_variance",
            objective=MinVariance(),
            level=0.95,
            limits=each,
            bounds_given=False,
            risk_free=0.0,
            points=2,
            estimator=Estimator("sample"),
            member="cov",
            mean=np.zeros(WARM_ASSETS),
            cov=np.eye(WARM_ASSETS),
        )
        compute(problem, lambda: False, metrics)
