"""Variances whose best value is zero: a common end of a fit, where no gradient and no curvature tells anything.

A variance is the square of its coordinate, so a search comes near zero and stops there for the flatness. Whether it is
zero is asked of the likelihood itself, and the others are then sought again with it held there.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.contest import ZERO_COST, Contest
from luna_serving.engines.statespace.fit.objective import Subject
from luna_serving.engines.statespace.fit.quasi_newton import minimise
from luna_serving.engines.statespace.fit.work import OutOfTime, evaluations, run_searches

Floats = NDArray[np.float64]

# A search may have been caught near zero though the likelihood rises further out: coordinates to look at.
FURTHER_OUT: Final = (0.03, 0.3)
# Each round takes one more variance of a series to zero, or one search away from it.
ROUNDS: Final = 6


def settle_zeros(contests: Sequence[Contest], out_of_time: OutOfTime, *, tolerance: float, max_iterations: int) -> None:
    """Hold variances at zero where that is best, and seek the others again."""
    left = list(contests)
    for number in range(ROUNDS):
        open_ = [(contest, place) for contest in left for place in contest.nearly_zero()[:1]]
        if not open_ or out_of_time():
            return
        # Only once: a likelihood that falls off to both sides would be walked for ever.
        out = _further_out(open_, out_of_time) if number == 0 else [None] * len(open_)
        zeros = [(contest, contest.without([place])) for contest, place in open_]
        at_zero = evaluations([(subject, subject.x[subject.free]) for _, subject in zeros], out_of_time)
        left, again = [], []
        for (contest, place), (_, held), there, further in zip(open_, zeros, at_zero, out, strict=True):
            if further is not None:
                again.append((contest, contest.subject, further))
            elif there.defined and -there.value * held.observations >= contest.loglike - ZERO_COST:
                again.append((contest, held, held.x[held.free]))
            else:
                contest.above_zero.add(place)
            left.append(contest)
        searches = [
            minimise(x, tolerance=tolerance, max_iterations=max_iterations, floor=subject.floor)
            for _, subject, x in again
        ]
        traces = run_searches([subject for _, subject, _ in again], searches, out_of_time)
        for (contest, subject, _), trace in zip(again, traces, strict=True):
            contest.replace(subject, trace)


def _further_out(open_: Sequence[tuple[Contest, int]], out_of_time: OutOfTime) -> list[Floats | None]:
    """For each, coordinates with a higher likelihood than the best's and the variance further from zero, if any."""
    points = [(contest.subject, _moved(contest, place, size)) for contest, place in open_ for size in FURTHER_OUT]
    worth = evaluations(points, out_of_time)
    found: list[Floats | None] = []
    for number, (contest, _) in enumerate(open_):
        some = worth[number * len(FURTHER_OUT) : (number + 1) * len(FURTHER_OUT)]
        best = min(some, key=lambda each: each.value)
        better = best.defined and -best.value * contest.subject.observations > contest.loglike + ZERO_COST
        found.append(best.x if better else None)
    return found


def _moved(contest: Contest, place: int, size: float) -> Floats:
    subject: Subject = contest.subject
    assert contest.best is not None  # noqa: S101  nearly_zero has looked
    whole = subject.whole(contest.best.x)
    whole[place] = size
    return whole[subject.free]
