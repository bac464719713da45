"""From the body of a call of `/kalman/fit` to a job."""

from functools import partial
from typing import Final

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.fits.schemas import FitRequest
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.wire.calls import NamedCall, open_call, under_model
from luna_serving.capabilities.kalman.wire.model import built, covering
from luna_serving.capabilities.kalman.wire.series import SeriesLimits, check_covered, check_known, read_many
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.engines.statespace.api.description import NotEstimable, default_parameters, free_parameters
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

ITERATIONS: Final = {"mle": 500, "em": 5000}


def parse_fit(limits: SeriesLimits, body: bytes) -> KalmanWork[FitJob] | NamedCall:
    """Read `{"model", "observations", "free"?, "method"?, ...}`.

    Raises:
        Problem: 422.
    """
    opened = open_call(FitRequest, body, limits)
    return under_model(opened.form.model, partial(_work, limits, opened.form, opened.series))


def _work(limits: SeriesLimits, request: FitRequest, observations: object, spec: ModelSpec) -> KalmanWork[FitJob]:
    free = _free(request, spec)
    series = tuple(read_many(observations, built(spec), limits))
    spec, model = covering(spec, max(map(len, series)))
    check_covered(model, max(map(len, series)))
    check_known(model, series, [0] * len(series))
    job = FitJob(
        model=spec,
        series=series,
        free=free,
        method=request.method,
        starts=request.starts,
        max_iterations=request.max_iterations or ITERATIONS[request.method],
        loglike=request.loglike_convention,
    )
    return KalmanWork(job)


def _free(request: FitRequest, spec: ModelSpec) -> tuple[str, ...]:
    fields = spec.fields()
    free = default_parameters(spec.kind, fields) if request.free is None else tuple(request.free)
    if not free:
        raise problems.invalid(FieldError("/free", "Name what to estimate: every variance of the model is zero."))
    try:
        free_parameters(spec.kind, fields, free)
    except NotEstimable as e:
        raise problems.invalid(FieldError(f"/free/{e.index}", f"{e.message}.")) from e
    return free
