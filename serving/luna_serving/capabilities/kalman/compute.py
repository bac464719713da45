"""Computes a batch of calls in a replica: calls with equal arguments for the engine share one engine call."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.fits.compute import fit_jobs
from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.answers import render
from luna_serving.capabilities.kalman.jobs.job import Job, Precision
from luna_serving.capabilities.kalman.jobs.output_sizes import DISTURBANCES
from luna_serving.capabilities.kalman.jobs.time_allowed import NO_DEADLINE, TimeAllowed, Timed
from luna_serving.capabilities.kalman.metrics import KalmanMetrics
from luna_serving.capabilities.kalman.simulations.compute import simulate_job
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.streams.compute import append
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob
from luna_serving.dispatch.outcomes import Failed, Refused, TimedOut
from luna_serving.engines.statespace.api.description import (
    Algorithm,
    Clock,
    Convention,
    ForecastResult,
    Model,
    ModelError,
    OutOfTime,
    PlanError,
    Saved,
    SeriesResult,
    Unanswered,
    check,
)

log = logging.getLogger("luna.kalman")

AnyJob = Job | SimulateJob | AppendJob | FitJob
Answer = bytes | Appended | Refused | Failed | TimedOut
OneJob = TypeVar("OneJob", bound=Timed)


class BatchKey(NamedTuple):
    """The engine's arguments for a call; calls with the same key share an engine call."""

    work: Literal["means", "full", "smooth", "forecast"]  # means and full are the filter's two variants
    loglike: Convention
    algorithm: Algorithm | None
    precision: Precision | None
    resumed: bool
    later: bool
    """Whether the engine keeps the smoothed disturbances."""


def compute(
    jobs: Sequence[AnyJob],
    allowed: TimeAllowed = NO_DEADLINE,
    cores: Executor | None = None,
    metrics: KalmanMetrics | None = None,
) -> Sequence[Answer]:
    """Answer jobs in order: each with JSON or an outcome.

    Args:
        jobs: of any types; jobs of one type share engine calls if they can.
        allowed: the time limits. A job past its deadline is `TimedOut`; a fit answers with its best so far.
        cores: threads for the engine's plans; None computes on the calling thread only.
        metrics: of the replica; None counts nothing.
    """
    series: dict[int, Job] = {}
    simulations: dict[int, SimulateJob] = {}
    appends: dict[int, AppendJob] = {}
    fits: dict[int, FitJob] = {}
    for place, job in enumerate(jobs):
        match job:
            case Job():
                series[place] = job
            case SimulateJob():
                simulations[place] = job
            case AppendJob():
                appends[place] = job
            case FitJob():
                fits[place] = job
    answers: dict[int, Answer] = dict(zip(fits, fit_jobs(list(fits.values()), allowed), strict=True))
    if len(fits) < len(jobs):
        started = time.perf_counter()
        for place, simulation in simulations.items():
            answers |= _answers({place: simulation}, _simulate, _series_pointer, allowed)
        for key, own in _by_key(series).items():
            answers |= _answers(own, partial(_run, key=key, cores=cores), _series_pointer, allowed)
        answers |= _answers(appends, append, _series_pointer, allowed)
        if metrics is not None:
            metrics.seconds.observe(time.perf_counter() - started)
            points = [*(len(job.values) for job in series.values()), *(len(job.values) for job in appends.values())]
            metrics.points.inc(sum(points))
    return [answers[place] for place in range(len(jobs))]


def _answers(
    jobs: Mapping[int, OneJob],
    run: Callable[[Sequence[OneJob], Clock], Sequence[Answer]],
    pointer_to: Callable[[OneJob], str],
    allowed: TimeAllowed,
) -> dict[int, Answer]:
    """Answer jobs by index, in one run of those that have time left.

    If a run fails, its halves are run separately, so that one bad job of 256 costs 16 more runs, not 256.

    Args:
        jobs: by index.
        run: answers jobs in order; raises OutOfTime, or the error of one of them.
        pointer_to: a job's series, which the caller must change if no plan can answer.
        allowed: the time limits.
    """
    answers: dict[int, Answer] = {place: TimedOut() for place, job in jobs.items() if allowed.over_for([job])()}
    waiting = [[place for place in jobs if place not in answers]]
    while waiting:
        places = waiting.pop()
        own = [jobs[place] for place in places]
        if not own:
            continue
        try:
            answers.update(zip(places, run(own, allowed.over_for(own)), strict=True))
        except OutOfTime:
            answers.update(dict.fromkeys(places, TimedOut()))
        except Exception as error:  # noqa: BLE001  `_no_answer` logs unexpected errors
            if len(places) == 1:
                answers[places[0]] = _no_answer(error, pointer_to(own[0]))
            else:
                half = len(places) // 2
                waiting += [places[half:], places[:half]]
    return answers


def _series_pointer(job: Job | SimulateJob | AppendJob) -> str:
    match job:
        case AppendJob():
            return "/values"
        case Job(task="means"):
            return "/results"
        case _:
            return "/observations"


def _no_answer(error: Exception, pointer: str) -> Refused | Failed:
    match error:
        case ModelError():
            return Refused(f"/model{error.pointer}", _sentence(error.message))
        case PlanError():
            return Refused("/algorithm", f"{error}.")
        case Unanswered():
            return Refused(pointer, _sentence(str(error)))
        case _:
            log.error("a call failed", exc_info=error)
            return Failed()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _by_key(jobs: Mapping[int, Job]) -> dict[BatchKey, dict[int, Job]]:
    groups: dict[BatchKey, dict[int, Job]] = {}
    for place, job in jobs.items():
        groups.setdefault(_key(job), {})[place] = job
    return groups


def _key(job: Job) -> BatchKey:
    work: Literal["means", "full", "smooth", "forecast"] = "full"
    if job.task in {"smooth", "forecast"}:
        work = "smooth" if job.task == "smooth" else "forecast"
    elif job.task == "means" or set(job.outputs) == {"filtered_state"}:
        work = "means"
    later = not set(DISTURBANCES).isdisjoint(job.outputs)
    return BatchKey(work, job.loglike, job.algorithm, job.precision, job.starts is not None, later)


def _simulate(jobs: Sequence[SimulateJob], out_of_time: Clock) -> list[bytes | Refused]:
    return [simulate_job(job, out_of_time) for job in jobs]


def _run(jobs: Sequence[Job], out_of_time: Clock, *, key: BatchKey, cores: Executor | None) -> list[bytes | Refused]:
    # Imported here: a process that only names this deployment needs no JAX.
    from luna_serving.engines.statespace.api.compute import Options, filter_batch, forecast_batch, smooth_batch

    items = [item for job in jobs for item in _series(job)]
    starts = _starts(jobs) if key.resumed else None
    options = Options(key.algorithm, key.precision, cores, out_of_time)
    results: Sequence[SeriesResult] | Sequence[ForecastResult]
    match key.work:
        case "smooth":
            batch = smooth_batch(items, loglike=key.loglike, starts=starts, later=key.later, options=options)
            results, report = batch.series, batch.report
        case "forecast":
            steps = [job.steps for job in jobs for _ in job.lengths]
            forecast = forecast_batch(items, steps, loglike=key.loglike, starts=starts, options=options)
            results, report = forecast.series, forecast.report
        case _:
            batch = filter_batch(items, key.work, loglike=key.loglike, starts=starts, options=options)
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
