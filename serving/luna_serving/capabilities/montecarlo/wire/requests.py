"""Reads the body of `POST /montecarlo`, which is also the parameters of a job."""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from luna_serving.capabilities.montecarlo.schemas.models import BootstrapModel, StateSpaceModel
from luna_serving.capabilities.montecarlo.schemas.payoffs import PortfolioPayoff
from luna_serving.capabilities.montecarlo.schemas.request import (
    LARGEST_SEED,
    MOST_PATH_STEPS,
    MOST_STEPS,
    MonteCarloRequest,
)
from luna_serving.capabilities.montecarlo.wire.models import model_of
from luna_serving.capabilities.montecarlo.wire.payoffs import default_steps, payoff_of
from luna_serving.engines.finance.montecarlo.api.description import MOST_DIMENSIONS, Problem, Sampling
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError

PATH_STEPS_PER_UNIT: Final = 10**6
ORIGIN: Final = "origin"
"""A member that resolving adds to the parameters of a job: where returns are from."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is valid."""

    problem: Problem
    paths: int
    std_error: float | None
    seconds: float
    """Infinite without a limit."""
    parameters: bytes
    """The body, with the seed filled in."""
    names: tuple[str, str]
    """Of the model and of the payoff."""
    origin: dict[str, Any] | None

    @property
    def steps(self) -> int:
        """Of a path."""
        return len(self.problem.times)

    @property
    def blocks(self) -> int:
        """Of all its paths."""
        return self.problem.blocks(self.paths)

    def units(self, paths: int) -> int:
        """What so many paths cost."""
        return -(-paths * self.steps // PATH_STEPS_PER_UNIT)


def random_seed() -> int:
    """An unpredictable seed."""
    return secrets.randbelow(LARGEST_SEED + 1)


def read(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        Problem: 422.
    """
    return read_object(body, "returns", SPARE_LISTS)


def parse(document: dict[str, Any], new_seed: Callable[[], int] = random_seed) -> Asked:
    """Check a request; where it names a data set or symbols, their returns are filled in before.

    Raises:
        Problem: 422.
    """
    origin = document.get(ORIGIN)
    members = {name: value for name, value in document.items() if name != ORIGIN}
    request = read_form(MonteCarloRequest, members)
    seed = new_seed() if request.seed is None else request.seed
    model = model_of(request.model)
    expiry = _expiry(request)
    steps = _steps(request, expiry) or default_steps(request.payoff, model, expiry)
    payoff = payoff_of(request.payoff, model, expiry, steps)
    sampling = None if request.sampling is None else Sampling(request.sampling)
    problem = Problem(model, payoff, expiry, steps, seed, sampling, request.antithetic, request.control_variates)
    _check_size(request, problem)
    stop = request.stop
    return Asked(
        problem=problem,
        paths=request.paths,
        std_error=None if stop is None else stop.std_error,
        seconds=math.inf if stop is None or stop.seconds is None else stop.seconds,
        parameters=orjson.dumps({**document, "seed": seed}),
        names=(request.model.kind, request.payoff.kind),
        origin=origin,
    )


def _expiry(request: MonteCarloRequest) -> float:
    payoff, expiry = request.payoff, request.expiry
    if isinstance(payoff, PortfolioPayoff):
        if expiry is not None and expiry != payoff.horizon:
            detail = f"Leave it out, or set it to the horizon, {payoff.horizon:g}: a portfolio is valued there."
            raise problems.invalid(FieldError("/expiry", detail))
        at, value = "/payoff/horizon", payoff.horizon
    elif expiry is None:
        raise problems.invalid(FieldError("/expiry", "Field required."))
    else:
        at, value = "/expiry", expiry
    if isinstance(request.model, BootstrapModel | StateSpaceModel):
        if value != round(value):
            detail = f"Must be a whole number of periods for {request.model.kind}."
            raise problems.invalid(FieldError(at, detail))
        if value > MOST_STEPS:
            raise problems.invalid(FieldError(at, f"Must be at most {MOST_STEPS} periods."))
    elif value > 1000.0:
        raise problems.invalid(FieldError(at, "Must be at most 1000 years."))
    return value


def _steps(request: MonteCarloRequest, expiry: float) -> int | None:
    if not isinstance(request.model, BootstrapModel | StateSpaceModel):
        return request.steps
    periods = round(expiry)
    if request.steps not in {None, periods}:
        detail = f"Leave it out, or set it to {periods}: a step of {request.model.kind} is one period."
        raise problems.invalid(FieldError("/steps", detail))
    return periods


def _check_size(request: MonteCarloRequest, problem: Problem) -> None:
    steps = len(problem.times)
    if steps > 2 * MOST_STEPS:
        raise problems.invalid(FieldError("/steps", f"A path would have {steps} steps; at most {2 * MOST_STEPS}."))
    if request.paths * steps > MOST_PATH_STEPS:
        most = MOST_PATH_STEPS // steps
        detail = f"{request.paths} paths of {steps} steps are more than {MOST_PATH_STEPS} path-steps: at most {most}."
        raise problems.invalid(FieldError("/paths", detail))
    if problem.sampling is Sampling.SOBOL:
        if not problem.nets:
            detail = (
                f"Must be pseudo for {request.payoff.kind} under {request.model.kind}: errors of tails and of exercise "
                "policies, and draws from data, need independent paths. Leave it out."
            )
            raise problems.invalid(FieldError("/sampling", detail))
        if problem.drawing.dimensions > MOST_DIMENSIONS:
            detail = f"A path draws {problem.drawing.dimensions} numbers; a net has at most {MOST_DIMENSIONS}."
            raise problems.invalid(FieldError("/sampling", detail))
