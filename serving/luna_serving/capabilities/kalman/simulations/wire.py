"""From the body of a call of `/kalman/simulate` to a job."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.simulations.schemas import LARGEST_SEED, MAX_DRAWS, SimulateRequest
from luna_serving.capabilities.kalman.wire.calls import NamedCall, open_call, under_model
from luna_serving.capabilities.kalman.wire.model import built, covering
from luna_serving.capabilities.kalman.wire.series import SeriesLimits, check_covered, check_known, read_many
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.engines.statespace.api.description import LARGEST, Model, ModelError, pinned
from luna_serving.wire import problems
from luna_serving.wire.forms import Opened
from luna_serving.wire.problems import FieldError


def random_seed() -> int:
    """A seed nobody can foresee."""
    return secrets.randbelow(LARGEST_SEED + 1)


def parse_simulate(
    limits: SeriesLimits, body: bytes, new_seed: Callable[[], int] = random_seed
) -> KalmanWork[SimulateJob] | NamedCall:
    """Read `{"model", "length" or "observations", ...}`.

    `new_seed` is asked where the body holds none.

    Raises:
        Problem: 422.
    """
    opened = open_call(SimulateRequest, body, limits)
    _check_members(opened)
    return under_model(opened.form.model, partial(_work, limits, opened, new_seed))


def _work(
    limits: SeriesLimits, opened: Opened[SimulateRequest], new_seed: Callable[[], int], spec: ModelSpec
) -> KalmanWork[SimulateJob]:
    request, model = opened.form, built(spec)
    job = SimulateJob(
        model=spec,
        draws=request.draws,
        seed=new_seed() if request.seed is None else request.seed,
        outputs=tuple(dict.fromkeys(request.outputs)),
        length=request.length or 0,
        initial_state=_initial_state(model, request) if request.length else None,
        series=() if opened.series is None else tuple(read_many(opened.series, model, limits)),
        steps=request.steps,
    )
    spec, model = covering(spec, min(job.longest, limits.max_series_length))
    job = replace(job, model=spec)
    _check_size(job, model, limits)
    return KalmanWork(job)


def _check_members(opened: Opened[SimulateRequest]) -> None:
    """Which members go together."""
    request, given = opened.form, opened.series is not None
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


def _check_size(job: SimulateJob, model: Model, limits: SeriesLimits) -> None:
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
