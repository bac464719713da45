"""The Kalman deployment: a replica that filters, smooths and forecasts batches of calls."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

from luna_serving.ingress.gate import Refused
from luna_serving.ingress.metrics import LUNA, SECONDS
from luna_serving.ingress.metrics_deployment import Reporter
from luna_serving.kalman.fit_compute import fit_jobs, warm_up_fits
from luna_serving.kalman.fit_job import FitJob
from luna_serving.kalman.jobs import Job
from luna_serving.kalman.render import render
from luna_serving.kalman.simulate_compute import simulate_job
from luna_serving.kalman.simulate_job import SimulateJob
from luna_serving.kalman.stream_compute import append
from luna_serving.kalman.stream_job import Appended, AppendJob
from luna_serving.statespace.model import Model
from luna_serving.statespace.precision import enable_float64
from luna_serving.statespace.results import Convention, ForecastResult, SeriesResult

# What the engine is asked for: means and full are the filter's two variants.
Work = Literal["means", "full", "smooth", "forecast"]

FILTER_SECONDS = Histogram("luna_kalman_seconds", "Time to filter a batch of calls.", buckets=SECONDS, registry=LUNA)
POINTS = Counter("luna_kalman_points_total", "Observations that were filtered.", registry=LUNA)


class KalmanReplica:
    """Filters. Compiles every shape before it is ready, and nothing afterwards."""

    async def __init__(self, metrics: Any) -> None:  # type: ignore[misc]  # noqa: ANN401  Serve awaits it
        # One thread: XLA uses the cores by itself, and the event loop stays free to receive the next batch.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kalman")
        await asyncio.get_running_loop().run_in_executor(self._thread, _warm_up)
        # A fit takes seconds: on a thread of its own it holds up no batch. One at a time, for it fills the cores.
        self._fit_thread = ThreadPoolExecutor(1, thread_name_prefix="fit")
        self._fit_thread.submit(warm_up_fits)
        Reporter(metrics).start("kalman")

    async def compute(
        self, jobs: Sequence[Job | SimulateJob | AppendJob | FitJob]
    ) -> Sequence[bytes | Appended | Refused]:
        """Answer jobs in their order: JSON, or why there is none. Fits come alone: they have a gate of their own."""
        fits = [job for job in jobs if isinstance(job, FitJob)]
        if fits:
            run = partial(fit_jobs, fits, time.monotonic())
            return await asyncio.get_running_loop().run_in_executor(self._fit_thread, run)
        others = [job for job in jobs if not isinstance(job, FitJob)]
        return await asyncio.get_running_loop().run_in_executor(self._thread, compute, others)


def _warm_up() -> None:
    # Imported here: whoever only names this deployment needs no jax.
    from luna_serving.statespace.batch import warm_up

    enable_float64()
    warm_up()


def compute(jobs: Sequence[Job | SimulateJob | AppendJob]) -> list[bytes | Appended | Refused]:
    """Compute jobs together where they want the same of the engine."""
    started = time.perf_counter()
    answers: dict[int, bytes | Appended | Refused] = {}
    groups: dict[tuple[Work, Convention], list[int]] = {}
    batched: dict[int, Job] = {}
    streamed: dict[int, AppendJob] = {}
    for i, job in enumerate(jobs):
        if isinstance(job, SimulateJob):
            answers[i] = simulate_job(job)
        elif isinstance(job, AppendJob):
            streamed[i] = job
        else:
            batched[i] = job
            groups.setdefault((_work(job), job.loglike), []).append(i)
    for (work, loglike), members in groups.items():
        answers.update(zip(members, _run([batched[i] for i in members], work, loglike), strict=True))
    answers.update(zip(streamed, append(list(streamed.values())), strict=True))
    FILTER_SECONDS.observe(time.perf_counter() - started)
    POINTS.inc(sum(len(job.values) for job in batched.values()) + sum(len(job.values) for job in streamed.values()))
    return [answers[i] for i in range(len(jobs))]


def _work(job: Job) -> Work:
    if job.task in {"smooth", "forecast"}:
        return "smooth" if job.task == "smooth" else "forecast"
    return "means" if job.task == "means" or set(job.outputs) == {"filtered_state"} else "full"


def _run(jobs: list[Job], work: Work, loglike: Convention) -> list[bytes | Refused]:
    from luna_serving.statespace.batch import filter_batch, forecast_batch, smooth_batch

    items = [item for job in jobs for item in _series(job)]
    results: Sequence[SeriesResult] | Sequence[ForecastResult]
    match work:
        case "smooth":
            batch = smooth_batch(items, loglike=loglike)
            results, report = batch.series, batch.report
        case "forecast":
            forecast = forecast_batch(items, [job.steps for job in jobs for _ in job.lengths], loglike=loglike)
            results, report = forecast.series, forecast.report
        case _:
            batch = filter_batch(items, work, loglike=loglike)
            results, report = batch.series, batch.report
    series = iter(results)
    return [render(job, [next(series) for _ in job.lengths], report) for job in jobs]


def _series(job: Job) -> list[tuple[NDArray[np.float64], Model]]:
    model = job.model.build()
    return [(job.values[a:b], model) for a, b in pairwise((0, *accumulate(job.lengths)))]
