"""Fit one model to each of many series: searches from several starts, variances of zero, precision.

All series advance together: each round of evaluations is as few engine calls as shapes allow. A series' answer does
not depend on its neighbours, but for where the deadline cuts it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.arma import Arma, arma_in
from luna_serving.engines.statespace.fit.boundary import settle_boundary
from luna_serving.engines.statespace.fit.curvature import settle_curvature
from luna_serving.engines.statespace.fit.deterministic import Build
from luna_serving.engines.statespace.fit.em import Block, blocks, climb
from luna_serving.engines.statespace.fit.evaluation import OutOfTime, run_searches
from luna_serving.engines.statespace.fit.information import Information
from luna_serving.engines.statespace.fit.multistart import Multistart
from luna_serving.engines.statespace.fit.objective import Affine, Objective, affine_in
from luna_serving.engines.statespace.fit.quasi_newton import Search, minimise
from luna_serving.engines.statespace.fit.report import report, unfit
from luna_serving.engines.statespace.fit.results import Method, SeriesFit
from luna_serving.engines.statespace.fit.screening import search_widely, small
from luna_serving.engines.statespace.fit.search_space import search_space
from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.engines.statespace.kinds.parameters import free_parameters
from luna_serving.engines.statespace.model.checks import LARGEST, ModelError
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.process.jax_process import require_float64
from luna_serving.engines.statespace.results.series import Convention
from luna_serving.engines.statespace.soundness.checked import Work, lacks_digits, run
from luna_serving.engines.statespace.soundness.plain import is_plain

Floats = NDArray[np.float64]

# Per observation and in coordinates of unit size: eight digits of an estimate, or more after a Newton step.
TOLERANCE: Final[Mapping[Method, float]] = {"mle": 1e-8, "em": 1e-7}
# Of a log-likelihood: the search's own, and the checked filter's at its end.
AGREES: Final = 1e-7
# Of one state and of two.
SMALLEST: Final = {"local_level": ("obs_var", "level_var"), "constant_velocity": ("dt", "obs_var", "accel_var")}


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be fitted, and how."""

    kind: str
    fields: Mapping[str, Any]
    """The model's wire fields, which are the first start."""
    build: Build
    free: tuple[str, ...]
    """Names of `kinds.parameters`."""
    method: Method = "mle"
    starts: int = 3
    """Searches: from the model's own values, from a guess off the data, from the best of many places. EM takes one."""
    max_iterations: int = 500
    loglike: Convention = "full"


def fit_batch(task: Task, series: Sequence[Floats], out_of_time: OutOfTime) -> list[SeriesFit]:
    """Estimate for each series y [T, m], NaN where missing; with the best so far when time is out.

    Raises:
        NotEstimable: a name in `free` is no parameter of the model.
        ModelError: the model as it stands is none.
        NoClosedForm: the method is EM and a parameter has no M-step.
    """
    require_float64()
    found = _fitted(task, series, out_of_time, exact=False)
    doubtful = [
        place for place, (_, multistart) in enumerate(found) if multistart is not None and is_doubtful(multistart)
    ]
    if doubtful:
        again = _fitted(task, [series[place] for place in doubtful], out_of_time, exact=True)
        for place, each in zip(doubtful, again, strict=True):
            found[place] = each
    return [fit for fit, _ in found]


def _fitted(
    task: Task, series: Sequence[Floats], out_of_time: OutOfTime, *, exact: bool
) -> list[tuple[SeriesFit, Multistart | None]]:
    """The answers, and what they were found by; `exact`: with heads in multi-precision."""
    everything, parts = _multistarts(task, series, out_of_time, exact=exact)
    multistarts = [multistart for multistart in everything if isinstance(multistart, Multistart)]
    precision: dict[int, Information | None] = {}
    # One search is brought to its end, standard errors and all, before others are begun: a deadline then costs these.
    mle = task.method == "mle"
    several = mle and task.starts > 1
    at_once = several and small(multistarts)
    for first in [True] if at_once or not several else [True, False]:
        if first and not at_once:
            better = _searched(task, parts, multistarts, out_of_time)
        else:
            better = search_widely(
                multistarts,
                task.starts,
                out_of_time,
                own=first,
                tolerance=TOLERANCE[task.method],
                max_iterations=task.max_iterations,
            )
        settle_boundary(better, out_of_time, tolerance=TOLERANCE["mle"], max_iterations=task.max_iterations)
        found = settle_curvature(
            better, out_of_time, tolerance=TOLERANCE[task.method], max_iterations=task.max_iterations, exact=mle
        )
        precision |= {id(multistart): each for multistart, each in zip(better, found, strict=True)}
    answers = iter([report(multistart, precision.get(id(multistart)), task.loglike) for multistart in multistarts])
    return [(next(answers), each) if isinstance(each, Multistart) else (each, None) for each in everything]


def _multistarts(
    task: Task, series: Sequence[Floats], out_of_time: OutOfTime, *, exact: bool
) -> tuple[list[Multistart | SeriesFit], list[Block]]:
    """One a series, or the answer where there is nothing to search; and EM's steps, which are the same for all."""
    found: list[Multistart | SeriesFit] = []
    names = free_parameters(task.kind, task.fields, task.free).names
    affine: Affine | None = None
    parts: list[Block] = []
    closed: dict[bool, Arma | None] = {}
    lacking: bool | None = None
    first = True
    for y in series:
        if out_of_time():
            found.append(unfit(names, "deadline"))
            continue
        space, starts = search_space(task.kind, task.fields, task.build, task.free, y)
        guess = space.values(starts[-1])
        try:
            model = space.model(guess)
        except ModelError:
            model = None
        if model is None or np.abs(guess).max() >= LARGEST:
            # Its numbers are so large or so small that their squares are no variances.
            found.append(unfit(names, "the likelihood is not finite at any start"))
            continue
        _require_cover(model, y)
        if first:
            first, affine = False, affine_in(space, guess)
            if task.method == "em":
                parts = blocks(space, guess)
        if np.count_nonzero(~np.isnan(y)) < len(guess) + model.start.rank:
            found.append(unfit(names, "too few observations"))
            continue
        if space.explained is not None and space.explained.exact:
            found.append(unfit(names, "the likelihood has no maximum"))
            continue
        arma: Arma | None = None
        if affine is None and not exact:
            gaps = bool(np.isnan(y).any())
            if gaps not in closed:
                closed[gaps] = arma_in(space, model, guess, gaps=gaps)
            arma = closed[gaps]
        # Series of one task seldom differ in it; where they do, the end tells (`is_doubtful`).
        if lacking is None:
            lacking = exact or (arma is None and lacks_digits([(_flat(y), model)], Work(out_of_time=out_of_time)))
        objective = Objective(space, y, affine, np.ones(len(guess), dtype=bool), starts[0], arma, lacking)
        found.append(Multistart(objective, starts[0], starts[1], model))
    return found, parts


def _flat(y: Floats) -> Floats:
    return y[:, 0] if y.shape[1] == 1 else y


def is_doubtful(multistart: Multistart) -> bool:
    """Whether the best that a series came to in float64 is not what a checked filter says it is."""
    objective, best = multistart.objective, multistart.best
    if best is None or objective.exact or objective.arma is not None:
        return False
    model = objective.space.model(objective.values(best.x))
    if is_plain(model):
        return False
    (result,) = run([(_flat(objective.y), model)], None, Work()).results
    if result.full is None or not result.finite:
        return True
    return abs(result.full.loglike - multistart.loglike) > AGREES * max(1.0, abs(multistart.loglike))


def _searched(
    task: Task, parts: Sequence[Block], multistarts: Sequence[Multistart], out_of_time: OutOfTime
) -> list[Multistart]:
    """Search from each model's own values; those that are the better for it."""
    objectives = [multistart.whole() for multistart in multistarts]
    traces = run_searches(objectives, [_search(task, parts, objective) for objective in objectives], out_of_time)
    ended = zip(multistarts, objectives, traces, strict=True)
    return [multistart for multistart, objective, trace in ended if multistart.enter(objective, trace)]


def _search(task: Task, parts: Sequence[Block], start: Objective) -> Search:
    tolerance = TOLERANCE[task.method]
    if task.method == "mle":
        return minimise(start.x, tolerance=tolerance, max_iterations=task.max_iterations, floor=start.floor)
    return climb(start, parts, tolerance=tolerance, max_iterations=task.max_iterations)


def _require_cover(model: Model, y: Floats) -> None:
    if model.length is not None and len(y) > model.length:
        where = f"covers {model.length} periods; a series has {len(y)}"
        raise ModelError("", f"{where}: matrices that vary in time must cover every series")


def warm_up(stop: Callable[[], bool] = lambda: False) -> None:
    """Compile what the smallest models need, the rest when it is first asked for; ends early where `stop` says so."""
    require_float64()
    for kind, names in SMALLEST.items():
        fields = dict.fromkeys(names, 1.0)
        task = Task(kind, fields, partial(_build, kind), tuple(names[-2:]), starts=1, max_iterations=1)
        if not stop():
            fit_batch(task, [np.arange(12.0)[:, None] % 5], stop)


def _build(kind: str, fields: Mapping[str, Any]) -> Model:
    return KINDS[kind](**fields)
