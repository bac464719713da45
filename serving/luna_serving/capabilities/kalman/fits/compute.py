"""Computes `/kalman/fit` in a replica: from a job to the JSON of its answer, within its time."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import orjson

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.answers import plan_of
from luna_serving.capabilities.kalman.jobs.model_spec import build_model
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.api.description import (
    BatchReport,
    Clock,
    Method,
    ModelError,
    NoClosedForm,
    SeriesFit,
    Stop,
)

NOTHING: Final = (
    "Are too much for the time allowed: no series came to a first estimate. Send fewer or shorter ones, "
    "or allow more time with X-Request-Timeout-Seconds."
)
ALGORITHMS: Final[Mapping[Method, str]] = {"mle": "bfgs", "em": "em"}
WHY_STOPPED: Final[Mapping[Stop, str]] = {
    Stop.FLAT: "gradient below tolerance",
    Stop.NO_IMPROVEMENT: "no further improvement",
    Stop.ITERATION_LIMIT: "iteration limit",
    Stop.DEADLINE: "deadline",
    Stop.NO_MAXIMUM: "the likelihood has no maximum",
    Stop.TOO_FEW_OBSERVATIONS: "too few observations",
    Stop.NOT_FINITE: "the likelihood is not finite at any start",
}


def fit_jobs(jobs: Sequence[FitJob], allowed: TimeAllowed) -> list[bytes | Refused]:
    """Answer jobs one after the other; a job past its deadline, or without a caller, gets its best so far."""
    return [_fit(job, allowed.over_for([job])) for job in jobs]


def _fit(job: FitJob, out_of_time: Clock) -> bytes | Refused:
    # Imported here: a process that only names this deployment needs no JAX.
    from luna_serving.engines.statespace.api.compute import FitTask, device, fit_batch

    kind = job.model.kind
    task = FitTask(
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
    if all(each.why_stopped is Stop.DEADLINE and each.loglike is None for each in fits):
        # An answer without an estimate is not worth its charge.
        return Refused("/observations", NOTHING)
    shape = (len(job.series), max(map(len, job.series)))
    plan = plan_of(BatchReport(ALGORITHMS[job.method], "float64", device(), shape, 1, _warnings(fits)))
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
        "why_stopped": WHY_STOPPED[fit.why_stopped],
        "starts": fit.starts,
        "agreed": fit.agreed,
        "model": None if fit.fields is None else {"kind": kind, **fit.fields},
    }


def _warnings(fits: Sequence[SeriesFit]) -> tuple[str, ...]:
    short = sum(not fit.converged for fit in fits)
    return (f"{short} of {len(fits)} series did not converge; why_stopped says why",) if short else ()
