"""A replica's work for `/kalman/fit`: a job to the JSON of its answer, within its time."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import orjson

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.answers import plan_of
from luna_serving.capabilities.kalman.jobs.model_spec import build_model
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.fit.results import NoClosedForm, SeriesFit
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.process.deadline import Clock, never
from luna_serving.engines.statespace.results.series import BatchReport

NOTHING: Final = (
    "Are too much for the time allowed: no series came to a first estimate. Send fewer or shorter ones, "
    "or allow more time with X-Request-Timeout-Seconds."
)
ALGORITHMS: Final = {"mle": "bfgs", "em": "em"}


def fit_jobs(
    jobs: Sequence[FitJob],
    arrived: float,
    clock: Callable[[], float] = time.monotonic,
    abandoned: Clock = never,
) -> list[bytes | Refused]:
    """Answer jobs one after the other.

    Args:
        jobs: each with the seconds that it may take.
        arrived: when they came, by `clock`.
        clock: seconds.
        abandoned: whether nobody waits for the answers any more; a fit then stops as if its time were over.
    """
    allowed = TimeAllowed(arrived, abandoned, clock)
    return [_fit(job, allowed.over_for([job])) for job in jobs]


def _fit(job: FitJob, out_of_time: Callable[[], bool]) -> bytes | Refused:
    # Imported here: whoever only names this deployment needs no jax.
    import jax

    from luna_serving.engines.statespace.fit.estimate import Task, fit_batch

    kind = job.model.kind
    task = Task(
        kind=kind,
        fields=job.model.fields(),
        build=partial(build_model, kind, periods=job.model.periods),
        free=job.free,
        method=job.method,
        starts=job.starts,
        max_iterations=job.max_iterations,
        loglike=job.loglike,
    )
    try:
        fits = fit_batch(task, [each.reshape(len(each), -1) for each in job.series], out_of_time)
    except ModelError as e:
        return Refused(f"/model{e.pointer}", f"{e.message}.")
    except NoClosedForm as e:
        return Refused("/method", f"{e.name} {e.message}.")
    if all(each.why_stopped == "deadline" and each.loglike is None for each in fits):
        # An answer without an estimate is not worth its charge.
        return Refused("/observations", NOTHING)
    shape = (len(job.series), max(map(len, job.series)))
    plan = plan_of(BatchReport(ALGORITHMS[job.method], "float64", jax.default_backend(), shape, 1, _warnings(fits)))
    return orjson.dumps({"plan": plan, "results": [_answer(kind, each) for each in fits]})


def _answer(kind: str, fit: SeriesFit) -> dict[str, object]:
    known = any(error is not None for error in fit.standard_errors.values())
    return {
        "estimates": fit.estimates,
        "standard_errors": fit.standard_errors,
        "cov_type": "observed_information" if known else None,
        "at_bound": fit.at_bound,
        "loglike": fit.loglike,
        "aic": fit.aic,
        "bic": fit.bic,
        "iterations": fit.iterations,
        "evaluations": fit.evaluations,
        "converged": fit.converged,
        "why_stopped": fit.why_stopped,
        "starts": fit.starts,
        "agreed": fit.agreed,
        "model": None if fit.fields is None else {"kind": kind, **fit.fields},
    }


def _warnings(fits: Sequence[SeriesFit]) -> tuple[str, ...]:
    short = sum(not fit.converged for fit in fits)
    return (f"{short} of {len(fits)} series did not converge; why_stopped says why",) if short else ()


def warm_up_fits() -> None:
    """Compile the smallest models' programs; a fit that comes meanwhile waits for them, which it would have anyway."""
    from luna_serving.engines.statespace.fit.estimate import warm_up

    warm_up()
