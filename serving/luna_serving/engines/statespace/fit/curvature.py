"""What the Hessian says of a search's end: how precise it is, its last digits, and whether it is a maximum at all.

A search also ends on a saddle: from a start that is symmetric in a parameter, say, its gradient is zero there in every
step. The likelihood then rises along the Hessian's direction of negative curvature, and the search goes on from there.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.contest import ZERO_COST, Contest
from luna_serving.engines.statespace.fit.information import Information, information, stencil
from luna_serving.engines.statespace.fit.quasi_newton import minimise
from luna_serving.engines.statespace.fit.work import OutOfTime, evaluations, run_searches
from luna_serving.engines.statespace.fit.zeros import settle_zeros

Floats = NDArray[np.float64]

NEWTON_STEPS: Final = 2
# Along a direction of negative curvature, both ways: coordinates are of about unit size.
LEAPS: Final = (-1.0, -0.1, 0.1, 1.0)
# Saddles that a search may leave one after the other.
SADDLES: Final = 3


def settle_curvature(
    contests: Sequence[Contest], out_of_time: OutOfTime, *, tolerance: float, max_iterations: int, exact: bool
) -> list[Information | None]:
    """The information at each contest's best, once no saddle is left and, if `exact`, Newton's steps are made."""
    found = dict(enumerate(_informed(contests, out_of_time)))
    for _ in range(SADDLES):
        saddles = [(number, contest) for number, contest in enumerate(contests) if _downward(found[number]) is not None]
        moved = _left(saddles, found, out_of_time, tolerance=tolerance, max_iterations=max_iterations)
        if not moved:
            break
        others = [contests[number] for number in moved]
        settle_zeros(others, out_of_time, tolerance=tolerance, max_iterations=max_iterations)
        found |= dict(zip(moved, _informed(others, out_of_time), strict=True))
    for number, contest in enumerate(contests):
        contest.saddle = _downward(found[number]) is not None
    for _ in range(NEWTON_STEPS if exact else 0):
        steps = []
        for number, contest in enumerate(contests):
            each = found[number]
            if each is not None and contest.best is not None:
                step = each.newton_step(contest.best.gradient)
                if step is not None:
                    steps.append((contest, contest.best.x + step))
        there = evaluations([(contest.subject, x) for contest, x in steps], out_of_time)
        for (contest, _), each_there in zip(steps, there, strict=True):
            contest.improve(each_there, tolerance)
    return [found[number] for number in range(len(contests))]


def _informed(contests: Sequence[Contest], out_of_time: OutOfTime) -> list[Information | None]:
    ends = [(contest.subject, contest.best.x) for contest in contests if contest.best is not None]
    points = [[(subject, x) for x in stencil(subject, best)[1]] for subject, best in ends]
    worth = iter(evaluations([point for some in points for point in some], out_of_time))
    informed = iter(
        information(subject, best, [next(worth) for _ in some])
        for (subject, best), some in zip(ends, points, strict=True)
    )
    return [None if contest.best is None else next(informed) for contest in contests]


def _downward(each: Information | None) -> Floats | None:
    return None if each is None else each.downward()


def _left(
    saddles: Sequence[tuple[int, Contest]],
    found: dict[int, Information | None],
    out_of_time: OutOfTime,
    *,
    tolerance: float,
    max_iterations: int,
) -> list[int]:
    """Search from beside each saddle, where the likelihood is higher; those that found something."""
    points = []
    for number, contest in saddles:
        direction = _downward(found[number])
        if direction is not None and contest.best is not None:
            points += [(number, contest, contest.best.x + leap * direction) for leap in LEAPS]
    worth = evaluations([(contest.subject, x) for _, contest, x in points], out_of_time)
    best: dict[int, tuple[Contest, Floats, float]] = {}
    for (number, contest, x), there in zip(points, worth, strict=True):
        contest.extra_evaluations += 1
        gain = -there.value * contest.subject.observations - contest.loglike if there.defined else -np.inf
        if gain > ZERO_COST and (number not in best or there.value < best[number][2]):
            best[number] = (contest, x, there.value)
    subjects = [contest.subject for contest, _, _ in best.values()]
    searches = [
        minimise(x, tolerance=tolerance, max_iterations=max_iterations, floor=contest.subject.floor)
        for contest, x, _ in best.values()
    ]
    traces = run_searches(subjects, searches, out_of_time)
    for subject, (contest, _, _), trace in zip(subjects, best.values(), traces, strict=True):
        contest.replace(subject, trace)
    return list(best)
