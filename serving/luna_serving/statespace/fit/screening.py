"""Where searches start besides the caller's values: many places are looked at, the best are followed a few steps.

Likelihoods with lags, cycles or damping have several maxima, above all of short series, and searches from one
neighbourhood all end in the same one. A place costs one pass of the filter, a search a few hundred.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.fit.contest import Contest
from luna_serving.statespace.fit.lanes import TimeIsUp
from luna_serving.statespace.fit.objective import Subject, profile
from luna_serving.statespace.fit.quasi_newton import minimise
from luna_serving.statespace.fit.together import POINTS_AT_A_TIME
from luna_serving.statespace.fit.wanted import Wanted
from luna_serving.statespace.fit.work import OutOfTime, run_searches

Floats = NDArray[np.float64]

# Places looked at: of likelihoods that may have several maxima, and of others.
MANY: Final = 96
FEW: Final = 12
# The places that are followed, and for how many steps of BFGS: most then are where they will end.
FOLLOWED: Final = 8
STEPS: Final = 8
# Periods times states to the third power, times places: what looking may cost, about a second; and following.
LOOKING: Final = 2e8
FOLLOWING: Final = 2e6
# Log-likelihoods of two ends that are nearer are taken for one maximum.
SAME: Final = 1e-2
# Constraints whose numbers make several maxima.
CURVED: Final = ("stationary", "invertible", "unit_interval", "period")
# How far about the guess a variance's root is looked for, as the deviation of its logarithm; and an intercept.
SPREAD: Final = 1.5


def choose_starts(contests: Sequence[Contest], starts: int, out_of_time: OutOfTime) -> None:
    """Give each contest the places where its searches after the first begin; none new where time is out."""
    open_ = [contest for contest in contests if contest.best is not None or contest.traces]
    places = [_places(contest) for contest in open_]
    points = [(contest.whole(0), x) for contest, some in zip(open_, places, strict=True) for x in some]
    found: list[tuple[float, Floats]] = []
    try:
        for first in range(0, len(points), POINTS_AT_A_TIME):
            found += profile(points[first : first + POINTS_AT_A_TIME], out_of_time)
    except TimeIsUp:
        return
    looked = iter(found)
    ranked = []
    for contest, some in zip(open_, places, strict=True):
        contest.extra_evaluations += len(some)
        worth = [next(looked) for _ in some]
        ranked.append(sorted((each for each in worth if np.isfinite(each[0])), key=lambda each: each[0]))
    followed = [
        (contest, x)
        for contest, worth in zip(open_, ranked, strict=True)
        if _curved(contest.subject.wanted) and _cost(contest) <= FOLLOWING
        for _, x in worth[:FOLLOWED]
    ]
    ends: dict[int, list[tuple[float, Floats]]] = {}
    if followed and not out_of_time():
        subjects = [contest.whole(0) for contest, _ in followed]
        searches = [
            minimise(x, tolerance=SAME, max_iterations=STEPS, floor=subject.floor)
            for subject, (_, x) in zip(subjects, followed, strict=True)
        ]
        for (contest, _), trace in zip(followed, run_searches(subjects, searches, out_of_time), strict=True):
            contest.extra_evaluations += trace.evaluations
            if trace.best is not None:
                ends.setdefault(id(contest), []).append((trace.best.value, trace.best.x))
    for contest, worth in zip(open_, ranked, strict=True):
        # The guess comes first where nothing was followed: of variances it is near enough.
        chosen = contest.starts[1:2] if id(contest) not in ends else []
        best = sorted(ends.get(id(contest), worth), key=lambda each: each[0])
        chosen += _unlike(best, SAME / contest.subject.observations, starts - 1 - len(chosen))
        contest.starts = [*contest.starts[:1], *chosen, *contest.starts[1 + len(chosen) :]][:starts]


def _unlike(best: Sequence[tuple[float, Floats]], same: float, count: int) -> list[Floats]:
    """The best places, those first whose values differ."""
    first: list[Floats] = []
    again: list[Floats] = []
    last = -np.inf
    for value, x in best:
        (first if value - last > same else again).append(x)
        last = max(last, value) if value - last <= same else value
    return [*first, *again][: max(0, count)]


def _curved(wanted: Wanted) -> bool:
    return bool(np.isin(wanted.constraints, CURVED).any())


def _cost(contest: Contest) -> float:
    subject: Subject = contest.subject
    return float(len(subject.y)) * contest.guess.states**3


def _places(contest: Contest) -> list[Floats]:
    """The guess, and places about it: the same for every series and every call."""
    wanted, guess = contest.subject.wanted, contest.starts[min(1, len(contest.starts) - 1)]
    most = MANY if _curved(wanted) else FEW
    count = int(np.clip(LOOKING / _cost(contest), FEW / 2, most))
    rng = np.random.default_rng(count)
    return [guess, *(_place(wanted, guess, len(contest.subject.y), rng) for _ in range(count - 1))]


def _place(wanted: Wanted, guess: Floats, periods: int, rng: np.random.Generator) -> Floats:
    """Anywhere between the bounds; where there are none, about the guess."""
    x, first = guess.copy(), 0
    for each in wanted.parameters.free:
        here = slice(first, first + len(each.names))
        size = here.stop - here.start
        match each.constraint:
            case "variance" | "covariance":
                x[here] = guess[here] * np.exp(SPREAD * rng.standard_normal(size))
            case "stationary" | "invertible":
                x[here] = np.arctanh(rng.uniform(-1, 1, size))
            case "unit_interval":
                share = rng.uniform(0, 1, size)
                x[here] = np.log(share / (1 - share)) / wanted.scale[here]
            case "period":
                share = np.exp(-rng.uniform(0, np.log(max(3.0, periods / 2)), size))
                x[here] = np.log(share / (1 - share)) / wanted.scale[here]
            case _:
                x[here] = guess[here] + 0.5 * rng.standard_normal(size)
        first = here.stop
    return _with_mean(wanted, guess, x)


def _with_mean(wanted: Wanted, guess: Floats, x: Floats) -> Floats:
    """An ARIMA model's intercept moved so that its mean is the guess's: an autoregression ties the two."""
    names = wanted.names
    if wanted.parameters.kind != "arima" or "intercept" not in names:
        return x
    place = names.index("intercept")
    before, after = wanted.values(guess), wanted.values(x)
    x = x.copy()
    x[place] += guess[place] * (_left(wanted, after) / _left(wanted, before) - 1)
    return x


def _left(wanted: Wanted, values: Floats) -> float:
    """1 less the sum of the lags: an intercept by a mean."""
    fields = wanted.fields(values)
    left = 1.0
    for name in ("ar", "seasonal_ar"):
        left *= 1 - float(np.sum(fields.get(name) or 0.0))
    return left
