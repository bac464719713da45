"""A replica's work on a batch of calls: those that want the same of the engine are computed together."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

from luna_serving.capabilities.kalman.jobs.answers import render
from luna_serving.capabilities.kalman.jobs.job import Job, Precision
from luna_serving.capabilities.kalman.jobs.output_sizes import DISTURBANCES
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.capabilities.kalman.simulations.compute import simulate_job
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.streams.compute import append
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob
from luna_serving.dispatch.outcomes import Failed, Refused, TimedOut
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.process.deadline import Clock, OutOfTime, check
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.results.series import Algorithm, Convention, ForecastResult, SeriesResult
from luna_serving.telemetry.metrics import LUNA, SECONDS

log = logging.getLogger("luna.kalman")

FILTER_SECONDS = Histogram("luna_kalman_seconds", "Time to filter a batch of calls.", buckets=SECONDS, registry=LUNA)
POINTS = Counter("luna_kalman_points_total", "Observations that were filtered.", registry=LUNA)

# What plans may use beside the calling thread: compiled loops run outside the interpreter's lock.
CORES: Final = ThreadPoolExecutor(2, thread_name_prefix="cores")

NO_DEADLINE: Final = TimeAllowed()


class Wish(NamedTuple):
    """What a call wants of the engine; calls with the same wish share a batch."""

    work: Literal["means", "full", "smooth", "forecast"]  # means and full are the filter's two variants
    loglike: Convention
    algorithm: Algorithm | None
    precision: Precision | None
    resumed: bool
    later: bool
    """What later observations say, for the disturbances: kept only where they are asked for."""


def compute(
    jobs: Sequence[Job | SimulateJob | AppendJob], allowed: TimeAllowed = NO_DEADLINE
) -> list[bytes | Appended | Refused | Failed | TimedOut]:
    """Answer jobs in their order: JSON, or why there is none."""
    started = time.perf_counter()
    answers: dict[int, bytes | Appended | Refused | Failed | TimedOut] = {}
    groups: dict[Wish, list[int]] = {}
    batched: dict[int, Job] = {}
    streamed: dict[int, AppendJob] = {}
    for i, job in enumerate(jobs):
        if allowed.over_for([job])():
            answers[i] = TimedOut()
        elif isinstance(job, SimulateJob):
            answers[i] = _simulated(job, allowed.over_for([job]))
        elif isinstance(job, AppendJob):
            streamed[i] = job
        else:
            batched[i] = job
            groups.setdefault(_wish(job), []).append(i)
    for wish, members in groups.items():
        answers.update(zip(members, _answers([batched[i] for i in members], wish, allowed), strict=True))
    answers.update(zip(streamed, _appended(list(streamed.values()), allowed), strict=True))
    FILTER_SECONDS.observe(time.perf_counter() - started)
    POINTS.inc(sum(len(job.values) for job in batched.values()) + sum(len(job.values) for job in streamed.values()))
    return [answers[i] for i in range(len(jobs))]


def _simulated(job: SimulateJob, out_of_time: Clock) -> bytes | Refused | TimedOut:
    from luna_serving.engines.statespace.soundness.checked import Unanswered

    try:
        return simulate_job(job, out_of_time)
    except OutOfTime:
        return TimedOut()
    except Unanswered as e:
        return Refused("/observations", _sentence(e))


def _appended(jobs: list[AppendJob], allowed: TimeAllowed) -> Sequence[Appended | Refused | TimedOut]:
    if not jobs:
        return []
    from luna_serving.engines.statespace.soundness.checked import Unanswered

    try:
        return append(jobs, allowed.over_for(jobs))
    except OutOfTime:
        return [TimedOut()] * len(jobs)
    except Unanswered as e:
        if len(jobs) > 1:
            return [answer for job in jobs for answer in _appended([job], allowed)]
        return [Refused("/values", _sentence(e))]


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _wish(job: Job) -> Wish:
    work: Literal["means", "full", "smooth", "forecast"] = "full"
    if job.task in {"smooth", "forecast"}:
        work = "smooth" if job.task == "smooth" else "forecast"
    elif job.task == "means" or set(job.outputs) == {"filtered_state"}:
        work = "means"
    later = not set(DISTURBANCES).isdisjoint(job.outputs)
    return Wish(work, job.loglike, job.algorithm, job.precision, job.starts is not None, later)


def _answers(jobs: list[Job], wish: Wish, allowed: TimeAllowed) -> list[bytes | Refused | Failed | TimedOut]:
    """Answer jobs of one wish together; where one cannot be answered as it wishes, each alone."""
    from luna_serving.engines.statespace.plans.choose import PlanError
    from luna_serving.engines.statespace.soundness.checked import Unanswered

    try:
        return [*_run(jobs, wish, allowed.over_for(jobs))]
    except OutOfTime:
        return [TimedOut()] * len(jobs)
    except Exception as e:
        if len(jobs) > 1:
            return [answer for job in jobs for answer in _answers([job], wish, allowed)]
        if isinstance(e, ModelError):
            return [Refused(f"/model{e.pointer}", f"{e.message[:1].upper()}{e.message[1:]}.")]
        if isinstance(e, PlanError):
            return [Refused("/algorithm", f"{e}.")]
        if isinstance(e, Unanswered):
            return [
                Refused(
                    "/results" if wish.work == "means" and jobs[0].task == "means" else "/observations",
                    f"{str(e)[:1].upper()}{str(e)[1:]}.",
                )
            ]
        log.exception("a call failed")
        return [Failed()]


def _run(jobs: list[Job], wish: Wish, out_of_time: Clock) -> list[bytes | Refused]:
    from luna_serving.engines.statespace.batch import Options, filter_batch, forecast_batch, smooth_batch

    items = [item for job in jobs for item in _series(job)]
    starts = _starts(jobs) if wish.resumed else None
    options = Options(wish.algorithm, wish.precision, CORES, out_of_time)
    results: Sequence[SeriesResult] | Sequence[ForecastResult]
    match wish.work:
        case "smooth":
            batch = smooth_batch(items, loglike=wish.loglike, starts=starts, later=wish.later, options=options)
            results, report = batch.series, batch.report
        case "forecast":
            steps = [job.steps for job in jobs for _ in job.lengths]
            forecast = forecast_batch(items, steps, loglike=wish.loglike, starts=starts, options=options)
            results, report = forecast.series, forecast.report
        case _:
            batch = filter_batch(items, wish.work, loglike=wish.loglike, starts=starts, options=options)
            results, report = batch.series, batch.report
    series = iter(results)
    answers: list[bytes | Refused] = []
    for job in jobs:
        check(out_of_time)
        answers.append(render(job, [next(series) for _ in job.lengths], report))
    return answers


def _series(job: Job) -> list[tuple[NDArray[np.float64], Model]]:
    model = job.model.build()
    return [(job.values[a:b], model) for a, b in pairwise((0, *accumulate(job.lengths)))]


def _starts(jobs: Sequence[Job]) -> list[Saved | None]:
    return [start for job in jobs for start in job.starts or (None,) * len(job.lengths)]
