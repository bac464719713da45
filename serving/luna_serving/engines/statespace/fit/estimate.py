"""Fit one model to each of many series: searches from several starts, variances of zero, precision.

All series advance together: each round of evaluations is as few engine calls as shapes allow. A series' answer does
not depend on its neighbours, except for where the deadline cuts it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.arma import Arma, arma_in
from luna_serving.engines.statespace.fit.boundary import settle_boundary
from luna_serving.engines.statespace.fit.curvature import settle_curvature
from luna_serving.engines.statespace.fit.deterministic import Build
from luna_serving.engines.statespace.fit.em import Block, blocks, climb
from luna_serving.engines.statespace.fit.evaluation import OutOfTime, run_searches
from luna_serving.engines.statespace.fit.multistart import Multistart
from luna_serving.engines.statespace.fit.objective import Affine, Objective, affine_in
from luna_serving.engines.statespace.fit.quasi_newton import Search, minimise
from luna_serving.engines.statespace.fit.report import report, unfit
from luna_serving.engines.statespace.fit.results import Method, SeriesFit
from luna_serving.engines.statespace.fit.screening import search_widely, small
from luna_serving.engines.statespace.fit.search_space import SearchSpace, search_space
from luna_serving.engines.statespace.fit.stop import Stop
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
# Relative: how far the search's log-likelihood and the checked filter's may differ at its end.
AGREES: Final = 1e-7
# The smallest models, of one state and of two, and their fields.
SMALLEST: Final = {"local_level": ("obs_var", "level_var"), "constant_velocity": ("dt", "obs_var", "accel_var")}


@dataclass(frozen=True, slots=True)
class Task:
    """What to fit, and how."""

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
        ModelError: the model's own fields make no model, or one that does not cover a series.
        NoClosedForm: the method is EM and a parameter has no M-step.
    """
    require_float64()
    found = _fitted(task, series, out_of_time, exact=False)
    doubtful = [place for place, each in enumerate(found) if isinstance(each, Multistart) and is_doubtful(each)]
    if doubtful:
        again = _fitted(task, [series[place] for place in doubtful], out_of_time, exact=True)
        for place, each in zip(doubtful, again, strict=True):
            found[place] = each
    return [report(each, task.loglike) if isinstance(each, Multistart) else each for each in found]


def _fitted(
    task: Task, series: Sequence[Floats], out_of_time: OutOfTime, *, exact: bool
) -> list[Multistart | SeriesFit]:
    """Search for each series; the answer itself where there is nothing to search.

    `exact` computes the first rows of each series in multi-precision.
    """
    preparation = _Preparation(task, out_of_time, exact=exact)
    found = [preparation.of(y) for y in series]
    multistarts = [each for each in found if isinstance(each, Multistart)]
    several = task.method == "mle" and task.starts > 1
    if several and small(multistarts):
        _settle(task, _search_widely(task, multistarts, out_of_time, own=True), out_of_time)
        return found
    # One search is finished, standard errors and all, before others begin: a deadline then costs only the others.
    _settle(task, _search_from_own(task, preparation.parts, multistarts, out_of_time), out_of_time)
    if several:
        _settle(task, _search_widely(task, multistarts, out_of_time, own=False), out_of_time)
    return found


def _settle(task: Task, better: Sequence[Multistart], out_of_time: OutOfTime) -> None:
    """Finish what a pass of searches has improved: bounds, saddles, Newton steps, precision."""
    most, tolerance = task.max_iterations, TOLERANCE[task.method]
    settle_boundary(better, out_of_time, tolerance=TOLERANCE["mle"], max_iterations=most)
    exact = task.method == "mle"
    found = settle_curvature(better, out_of_time, tolerance=tolerance, max_iterations=most, exact=exact)
    for multistart, precision in zip(better, found, strict=True):
        multistart.precision = precision


class _Preparation:
    """Turns series of one task into searches; what they have in common is worked out with the first that has it."""

    def __init__(self, task: Task, out_of_time: OutOfTime, *, exact: bool) -> None:
        self._task = task
        self._out_of_time = out_of_time
        self._exact = exact
        self._names = free_parameters(task.kind, task.fields, task.free).names
        self._shared: _Shared | None = None
        self._closed: dict[bool, Arma | None] = {}
        self._lacking: bool | None = None

    @property
    def parts(self) -> list[Block]:
        """EM's steps."""
        return [] if self._shared is None else self._shared.parts

    def of(self, y: Floats) -> Multistart | SeriesFit:
        """The search for one series y [T, m], or the answer where there is nothing to search."""
        task = self._task
        if self._out_of_time():
            return unfit(self._names, Stop.DEADLINE)
        space, starts = search_space(task.kind, task.fields, task.build, task.free, y)
        guess = space.values(starts[-1])
        try:
            model = space.model(guess)
        except ModelError:
            return unfit(self._names, Stop.NOT_FINITE)
        if np.abs(guess).max() >= LARGEST:
            # Its numbers are so large or so small that their squares are no variances.
            return unfit(self._names, Stop.NOT_FINITE)
        _require_cover(model, y)
        if self._shared is None:
            self._shared = _Shared(affine_in(space, guess), blocks(space, guess) if task.method == "em" else [])
        affine = self._shared.affine
        if np.count_nonzero(~np.isnan(y)) < len(guess) + model.start.rank:
            return unfit(self._names, Stop.TOO_FEW_OBSERVATIONS)
        if space.explained is not None and space.explained.exact:
            return unfit(self._names, Stop.NO_MAXIMUM)
        arma = None if affine is not None or self._exact else self._arma(space, model, guess, y)
        free = np.ones(len(guess), dtype=bool)
        objective = Objective(space, y, affine, free, starts[0], arma, self._lacks_digits(y, model, arma))
        return Multistart(objective, starts[0], starts[1], model)

    def _arma(self, space: SearchSpace, model: Model, guess: Floats, y: Floats) -> Arma | None:
        gaps = bool(np.isnan(y).any())
        if gaps not in self._closed:
            self._closed[gaps] = arma_in(space, model, guess, gaps=gaps)
        return self._closed[gaps]

    def _lacks_digits(self, y: Floats, model: Model, arma: Arma | None) -> bool:
        # Series of one task seldom differ in it; where they do, the result shows it (`is_doubtful`).
        if self._lacking is None:
            work = Work(out_of_time=self._out_of_time)
            self._lacking = self._exact or (arma is None and lacks_digits([(_flat(y), model)], work))
        return self._lacking


class _Shared(NamedTuple):
    """What the series of one task have in common."""

    affine: Affine | None
    """The objective's lanes where they are affine in the parameters."""
    parts: list[Block]
    """EM's steps; none for maximum likelihood."""


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


def _search_from_own(
    task: Task, parts: Sequence[Block], multistarts: Sequence[Multistart], out_of_time: OutOfTime
) -> list[Multistart]:
    """Search from each model's own values; return those that improved."""
    objectives = [multistart.whole() for multistart in multistarts]
    traces = run_searches(objectives, [_search(task, parts, objective) for objective in objectives], out_of_time)
    ended = zip(multistarts, objectives, traces, strict=True)
    return [multistart for multistart, objective, trace in ended if multistart.enter(objective, trace)]


def _search_widely(
    task: Task, multistarts: Sequence[Multistart], out_of_time: OutOfTime, *, own: bool
) -> list[Multistart]:
    tolerance, most = TOLERANCE[task.method], task.max_iterations
    return search_widely(multistarts, task.starts, out_of_time, own=own, tolerance=tolerance, max_iterations=most)


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
