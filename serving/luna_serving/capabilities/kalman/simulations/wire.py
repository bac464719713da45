"""From the body of a call of `/kalman/simulate` to a job."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from luna_serving.capabilities.kalman.jobs.job import ModelSpec
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.simulations.schemas import LARGEST_SEED, MAX_DRAWS, SimulateRequest
from luna_serving.capabilities.kalman.wire.forms import covering, read_form
from luna_serving.capabilities.kalman.wire.requests import NamedCall, under_model
from luna_serving.capabilities.kalman.wire.series import (
    MAX_SERIES_LENGTH,
    MAX_SERIES_PER_REQUEST,
    Limits,
    check_covered,
    check_known,
    limit_error,
    read_many,
)
from luna_serving.engines.statespace.api.description import LARGEST, Model, ModelError, pinned
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.problems import FieldError
from luna_store.quota.debits import Grant


@dataclass(frozen=True, slots=True)
class SimulateWork:
    """A call of `/kalman/simulate`."""

    job: SimulateJob

    @property
    def units(self) -> int:
        """Series in the call; a call without any costs one."""
        return max(len(self.job.series), 1)

    @property
    def grant(self) -> Grant:
        """The model's kind."""
        return Grant("kalman", self.job.model.kind)

    @property
    def points(self) -> int:
        """Periods that are computed."""
        return self.job.draws * self.job.periods

    @property
    def amounts(self) -> Mapping[str, int]:
        """Series, and periods of the longest path, those to draw among them."""
        return {MAX_SERIES_PER_REQUEST: self.units, MAX_SERIES_LENGTH: self.job.longest}

    def limit_error(self, limit: str, most: int) -> FieldError:
        """There are more series than the account may send, or a longer path is drawn."""
        lengths = [len(each) for each in self.job.series]
        if limit == MAX_SERIES_PER_REQUEST or max(lengths, default=0) > most:
            return limit_error(lengths, limit, most)
        wrong = f"Would draw {self.job.longest} periods; this account may draw {most}. Draw fewer."
        return FieldError("/steps" if lengths else "/length", wrong)

    def finish(self, result: bytes) -> bytes:
        """The body of the answer, which the replica has made already."""
        return result


def random_seed() -> int:
    """A seed nobody can foresee."""
    return secrets.randbelow(LARGEST_SEED + 1)


def parse_simulate(limits: Limits, body: bytes, new_seed: Callable[[], int] = random_seed) -> SimulateWork | NamedCall:
    """Read `{"model", "length" or "observations", ...}`.

    `new_seed` is asked where the body holds none.

    Raises:
        Problem: 422.
    """
    document = read_object(body, "observations", limits.max_series_per_request + SPARE_LISTS)
    observations = document.get("observations")
    request = read_form(
        SimulateRequest, {**document, "observations": [[0.0]]} if observations is not None else document
    )
    _check_members(request)
    under = partial(_work, limits, request, observations, new_seed)
    return under_model(document["model"], under)


def _work(
    limits: Limits, request: SimulateRequest, observations: object, new_seed: Callable[[], int], spec: ModelSpec
) -> SimulateWork:
    model = spec.build()
    job = SimulateJob(
        model=spec,
        draws=request.draws,
        seed=new_seed() if request.seed is None else request.seed,
        outputs=tuple(dict.fromkeys(request.outputs)),
        length=request.length or 0,
        initial_state=_initial_state(model, request) if request.length else None,
        series=() if observations is None else tuple(read_many(observations, model, limits)),
        steps=request.steps,
    )
    spec, model = covering(spec, min(job.longest, limits.max_series_length))
    job = replace(job, model=spec)
    _check_size(job, model, limits)
    return SimulateWork(job)


def _check_members(request: SimulateRequest) -> None:
    """Which members go together."""
    given = request.observations is not None
    if given and request.length is not None:
        wrong = FieldError("/length", "Leave it out where observations are sent; steps draw beyond their end.")
    elif not given and request.length is None:
        wrong = FieldError("/length", "Say how many periods to draw, or send observations.")
    elif given and request.initial_state is not None:
        wrong = FieldError("/initial_state", "Leave it out where observations are sent: they tell of the start.")
    elif not given and request.steps:
        wrong = FieldError("/steps", "Leave it out where no observations are sent: length says how far to draw.")
    else:
        return
    raise problems.invalid(wrong)


def _initial_state(model: Model, request: SimulateRequest) -> tuple[float, ...] | None:
    state = request.initial_state
    n = model.states
    values = np.full(n, np.nan) if state is None else np.array(state, dtype=np.float64)
    if len(values) != n:
        raise problems.invalid(FieldError("/initial_state", f"Must hold {n} numbers or nulls, one a state."))
    if not (np.isnan(values) | (np.abs(values) <= LARGEST)).all():
        raise problems.invalid(FieldError("/initial_state", f"Must hold numbers of at most {LARGEST:g} in size."))
    try:
        pinned(model.start, values)
    except ModelError as e:
        raise problems.invalid(FieldError(f"/model{e.pointer}", e.message)) from e
    return None if state is None else tuple(values.tolist())


def _check_size(job: SimulateJob, model: Model, limits: Limits) -> None:
    longest = job.longest
    if longest > limits.max_series_length:
        most = limits.max_series_length
        detail = f"Would draw {longest} periods; at most {most} are drawn."
        raise problems.invalid(FieldError("/steps" if job.series else "/length", detail))
    check_covered(model, longest)
    unknown = next((period for period in model.unknown_periods if period < longest), None)
    if unknown is not None and "observations" in job.outputs:
        detail = "Is null in a period to draw observations of: give the numbers, or ask for states only."
        raise problems.invalid(FieldError(f"/model{model.varying}/{unknown}", detail))
    check_known(model, job.series, [0] * len(job.series))
    draws = job.draws * max(len(job.series), 1)
    if draws > MAX_DRAWS:
        detail = f"Would make {draws} draws of {len(job.series)} series; at most {MAX_DRAWS} in all. Split the call."
        raise problems.invalid(FieldError("/draws", detail))
    # Whatever is answered of it: this is what drawing holds in memory.
    numbers = job.draws * job.periods * (model.states + model.shocks + model.observed)
    most = limits.max_answer_numbers
    if numbers > most:
        detail = (
            f"Would draw {numbers} numbers: states, shocks and observations; at most {most} are drawn. "
            "Ask for fewer draws or periods, or split the call."
        )
        raise problems.invalid(FieldError("/draws", detail))
