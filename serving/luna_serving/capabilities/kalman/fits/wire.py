"""From the body of a call of `/kalman/fit` to a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.fits.schemas import FitRequest
from luna_serving.capabilities.kalman.jobs.job import ModelSpec
from luna_serving.capabilities.kalman.wire.forms import covering, read_form
from luna_serving.capabilities.kalman.wire.requests import NamedCall, under_model
from luna_serving.capabilities.kalman.wire.series import (
    Limits,
    amounts,
    check_covered,
    check_known,
    limit_error,
    read_many,
)
from luna_serving.engines.statespace.api.description import NotEstimable, default_parameters, free_parameters
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.problems import FieldError
from luna_store.quota.debits import Grant

ITERATIONS: Final = {"mle": 500, "em": 5000}


@dataclass(frozen=True, slots=True)
class FitWork:
    """A call of `/kalman/fit`."""

    job: FitJob

    @property
    def units(self) -> int:
        """Series in the call."""
        return len(self.job.series)

    @property
    def grant(self) -> Grant:
        """The model's kind."""
        return Grant("kalman", self.job.model.kind)

    @property
    def points(self) -> int:
        """Observations in the call."""
        return sum(map(len, self.job.series))

    @property
    def amounts(self) -> Mapping[str, int]:
        """Series, and observations of the longest."""
        return amounts([len(each) for each in self.job.series])

    def limit_error(self, limit: str, most: int) -> FieldError:
        """There are more or longer series than the account may send."""
        return limit_error([len(each) for each in self.job.series], limit, most)

    def finish(self, result: bytes) -> bytes:
        """The body of the answer, which the replica has made already."""
        return result


def parse_fit(limits: Limits, body: bytes) -> FitWork | NamedCall:
    """Read `{"model", "observations", "free"?, "method"?, ...}`.

    Raises:
        Problem: 422.
    """
    document = read_object(body, "observations", limits.max_series_per_request + SPARE_LISTS)
    observations = document.get("observations")
    request = read_form(FitRequest, {**document, "observations": [[0.0]]} if observations is not None else document)
    under = partial(_work, limits, request, observations)
    return under_model(document["model"], under)


def _work(limits: Limits, request: FitRequest, observations: object, spec: ModelSpec) -> FitWork:
    free = _free(request, spec)
    model = spec.build()
    series = tuple(read_many(observations, model, limits))
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
    return FitWork(job)


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
