"""Where searches start besides the caller's values: many places are looked at, the best are followed a few steps.

Likelihoods with lags, cycles or damping have several maxima, above all of short series, and searches from one
neighbourhood all end in the same one. A place costs one pass of the filter, a search a few hundred.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.evaluation import OutOfTime, run_searches
from luna_serving.engines.statespace.fit.layout import TimeIsUp
from luna_serving.engines.statespace.fit.multistart import Multistart
from luna_serving.engines.statespace.fit.objective import Objective, profile
from luna_serving.engines.statespace.fit.parallel_search import POINTS_AT_A_TIME, Elimination, Trace
from luna_serving.engines.statespace.fit.quasi_newton import minimise
from luna_serving.engines.statespace.fit.search_space import SearchSpace

Floats = NDArray[np.float64]

# Places looked at: of likelihoods that may have several maxima, and of others.
MANY: Final = 96
FEW: Final = 12
# The places that are followed, and for how many rounds: most searches then are near where they will end.
FOLLOWED: Final = 8
ROUNDS: Final = 10
# Periods times states to the third power, times places: what looking may cost, about a second. Without places: what is
# cheap enough to be followed.
LOOKING: Final = 2e8
FOLLOWING: Final = 2e6
# Multistarts whose searches begin all at once.
AT_ONCE: Final = 8
# Log-likelihoods of two ends that are nearer are taken for one maximum.
SAME: Final = 1e-2
# Constraints whose numbers make several maxima.
CURVED: Final = ("stationary", "invertible", "unit_interval", "period")
# How far about the guess a variance's root is looked for, as the deviation of its logarithm; and an intercept.
SPREAD: Final = 1.5


def small(multistarts: Sequence[Multistart]) -> bool:
    """Whether all searches of all multistarts take so little time that all can begin at once."""
    few = len(multistarts) <= AT_ONCE
    return few and all(_cost(each) <= FOLLOWING and _curved(each.objective.space) for each in multistarts)


def search_widely(
    multistarts: Sequence[Multistart],
    starts: int,
    out_of_time: OutOfTime,
    *,
    own: bool,
    tolerance: float,
    max_iterations: int,
) -> list[Multistart]:
    """Search from the best of many places; return those that improved.

    Args:
        multistarts: for each of them `starts` searches less one, and one from its own start if `own`.
        starts: see `Task`.
        out_of_time: asked between evaluations.
        own: whether the first search has still to be made.
        tolerance: see `minimise`.
        max_iterations: of one search.
    """
    if out_of_time():
        # Places that no search will begin at: of hundreds of series they cost a second.
        return []
    begun: list[tuple[Multistart, bool, Objective]] = []
    others: dict[Multistart, list[int]] = {}
    for multistart, places in zip(multistarts, _ranked(multistarts, starts, out_of_time), strict=True):
        begun += [(multistart, True, multistart.whole())] if own else []
        others[multistart] = list(range(len(begun), len(begun) + len(places)))
        begun += [(multistart, False, multistart.whole(x)) for x in places]

    kept: set[int] = set()

    def keep(traces: Sequence[Trace]) -> set[int]:
        kept.update(number for number, (_, first, _) in enumerate(begun) if first)
        for multistart, numbers in others.items():
            ranked = sorted(((number, _value(traces[number])) for number in numbers), key=itemgetter(1))
            kept.update(_unlike(ranked, SAME / multistart.objective.observations, starts - 1))
        return kept

    searches = [
        minimise(objective.x, tolerance=tolerance, max_iterations=max_iterations, floor=objective.floor)
        for _, _, objective in begun
    ]
    traces = run_searches([objective for _, _, objective in begun], searches, out_of_time, Elimination(ROUNDS, keep))
    if not kept:
        # All ended, or time was out, before that round.
        keep(traces)
    better: dict[Multistart, None] = {}
    for number, ((multistart, _, objective), trace) in enumerate(zip(begun, traces, strict=True)):
        if number not in kept:
            multistart.extra_evaluations += trace.evaluations
        elif multistart.enter(objective, trace):
            better[multistart] = None
    return list(better)


def _value(trace: Trace) -> float:
    return np.inf if trace.best is None else trace.best.value


def _unlike(ranked: Sequence[tuple[int, float]], same: float, count: int) -> list[int]:
    """The `count` best searches, those first whose values differ."""
    first: list[int] = []
    again: list[int] = []
    last = -np.inf
    for number, value in ranked:
        (first if value - last > same else again).append(number)
        last = value
    return [*first, *again][:count]


def _ranked(multistarts: Sequence[Multistart], starts: int, out_of_time: OutOfTime) -> list[list[Floats]]:
    """The places of each multistart that are worth following, the best first; as they come where time is out."""
    places = [_places(multistart, starts) for multistart in multistarts]
    points = [(multistart.whole(), x) for multistart, some in zip(multistarts, places, strict=True) for x in some]
    counts = [FOLLOWED if _curved(each.objective.space) and _cost(each) <= FOLLOWING else 0 for each in multistarts]
    counts = [max(count, starts - 1) for count in counts]
    found: list[tuple[float, Floats]] = []
    try:
        for first in range(0, len(points), POINTS_AT_A_TIME):
            found += profile(points[first : first + POINTS_AT_A_TIME], out_of_time)
    except TimeIsUp:
        return [some[:count] for some, count in zip(places, counts, strict=True)]
    looked, ranked = iter(found), []
    for multistart, some, count in zip(multistarts, places, counts, strict=True):
        multistart.extra_evaluations += len(some)
        guess, *others = [next(looked) for _ in some]
        others = sorted((each for each in others if np.isfinite(each[0])), key=lambda each: each[0])
        ranked.append([guess[1], *(x for _, x in others)][:count])
    return ranked


def _curved(space: SearchSpace) -> bool:
    return bool(np.isin(space.constraints, CURVED).any())


def _cost(multistart: Multistart) -> float:
    objective: Objective = multistart.objective
    return float(len(objective.y)) * multistart.guess.states**3


def _places(multistart: Multistart, starts: int) -> list[Floats]:
    """The guess, and places about it: the same for every series and every call."""
    space, guess = multistart.objective.space, multistart.guessed
    most = MANY if _curved(space) else FEW
    count = max(starts - 1, int(np.clip(LOOKING / _cost(multistart), FEW / 2, most)))
    rng = np.random.default_rng(count)
    return [guess, *(_place(space, guess, len(multistart.objective.y), rng) for _ in range(count - 1))]


def _place(space: SearchSpace, guess: Floats, periods: int, rng: np.random.Generator) -> Floats:
    """Anywhere between the bounds; where there are none, about the guess."""
    x, first = guess.copy(), 0
    for each in space.parameters.free:
        here = slice(first, first + len(each.names))
        size = here.stop - here.start
        match each.constraint:
            case "variance" | "covariance":
                x[here] = guess[here] * np.exp(SPREAD * rng.standard_normal(size))
            case "stationary" | "invertible":
                x[here] = np.arctanh(rng.uniform(-1, 1, size))
            case "unit_interval":
                share = rng.uniform(0, 1, size)
                x[here] = np.log(share / (1 - share)) / space.scale[here]
            case "period":
                share = np.exp(-rng.uniform(0, np.log(max(3.0, periods / 2)), size))
                x[here] = np.log(share / (1 - share)) / space.scale[here]
            case _:
                x[here] = guess[here] + 0.5 * rng.standard_normal(size)
        first = here.stop
    return _with_mean(space, guess, x)


def _with_mean(space: SearchSpace, guess: Floats, x: Floats) -> Floats:
    """An ARIMA model's intercept moved so that its mean is the guess's: an autoregression ties the two."""
    names = space.names
    if space.parameters.kind != "arima" or "intercept" not in names:
        return x
    place = names.index("intercept")
    before, after = space.values(guess), space.values(x)
    x = x.copy()
    x[place] += guess[place] * (_left(space, after) / _left(space, before) - 1)
    return x


def _left(space: SearchSpace, values: Floats) -> float:
    """1 less the sum of the lags: an intercept by a mean."""
    fields = space.fields(values)
    left = 1.0
    for name in ("ar", "seasonal_ar"):
        left *= 1 - float(np.sum(fields.get(name) or 0.0))
    return left
