"""The Kalman deployment: a replica that filters batches of calls."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

from luna_serving.ingress.gate import Refused
from luna_serving.ingress.metrics import LUNA, SECONDS
from luna_serving.ingress.metrics_deployment import Reporter
from luna_serving.kalman.jobs import Job
from luna_serving.kalman.render import render
from luna_serving.statespace.models import Model
from luna_serving.statespace.precision import enable_float64

FILTER_SECONDS = Histogram("luna_kalman_seconds", "Time to filter a batch of calls.", buckets=SECONDS, registry=LUNA)
POINTS = Counter("luna_kalman_points_total", "Observations that were filtered.", registry=LUNA)


class KalmanReplica:
    """Filters. Compiles every shape before it is ready, and nothing afterwards."""

    async def __init__(self, metrics: Any) -> None:  # type: ignore[misc]  # noqa: ANN401  Serve awaits it
        # One thread: XLA uses the cores by itself, and the event loop stays free to receive the next batch.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kalman")
        await asyncio.get_running_loop().run_in_executor(self._thread, _warm_up)
        Reporter(metrics).start("kalman")

    async def compute(self, jobs: Sequence[Job]) -> list[bytes | Refused]:
        """Answer jobs in their order: JSON, or why there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, compute, jobs)


def _warm_up() -> None:
    # Imported here: whoever only names this deployment needs no jax.
    from luna_serving.statespace.batch import warm_up

    enable_float64()
    warm_up()


def compute(jobs: Sequence[Job]) -> list[bytes | Refused]:
    """Filter jobs together where they want the same outputs and likelihood."""
    started = time.perf_counter()
    answers: dict[int, bytes | Refused] = {}
    groups: dict[tuple[Literal["means", "full"], Literal["full", "kfas"]], list[int]] = {}
    for i, job in enumerate(jobs):
        groups.setdefault((_variant(job), job.loglike), []).append(i)
    for (variant, loglike), members in groups.items():
        answers.update(zip(members, _filter([jobs[i] for i in members], variant, loglike), strict=True))
    FILTER_SECONDS.observe(time.perf_counter() - started)
    POINTS.inc(sum(len(job.values) for job in jobs))
    return [answers[i] for i in range(len(jobs))]


def _variant(job: Job) -> Literal["means", "full"]:
    return "means" if job.outputs is None or set(job.outputs) == {"filtered_state"} else "full"


def _filter(
    jobs: list[Job], variant: Literal["means", "full"], loglike: Literal["full", "kfas"]
) -> list[bytes | Refused]:
    from luna_serving.statespace.batch import filter_batch

    items = [item for job in jobs for item in _series(job)]
    batch = filter_batch(items, variant, loglike=loglike)
    series = iter(batch.series)
    return [render(job, [next(series) for _ in job.lengths], batch.report) for job in jobs]


def _series(job: Job) -> list[tuple[NDArray[np.float64], Model]]:
    model = job.model.build()
    return [(job.values[a:b], model) for a, b in pairwise((0, *accumulate(job.lengths)))]
