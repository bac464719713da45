"""Variances whose best value is zero: a common end of a fit, where gradient and curvature say nothing.

A variance is the square of its coordinate, so a search comes near zero and stops there for the flatness. Whether it is
zero is asked of the likelihood itself, and the others are then sought again with it held there.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.evaluation import OutOfTime, evaluations, run_searches
from luna_serving.engines.statespace.fit.multistart import ZERO_COST, Multistart
from luna_serving.engines.statespace.fit.objective import Objective
from luna_serving.engines.statespace.fit.quasi_newton import minimise

Floats = NDArray[np.float64]

# A search may have been caught near zero though the likelihood rises further out: coordinates to look at.
FURTHER_OUT: Final = (0.03, 0.3)
# Each round takes one more variance of a series to zero, or one search away from it.
ROUNDS: Final = 6


def settle_boundary(
    multistarts: Sequence[Multistart], out_of_time: OutOfTime, *, tolerance: float, max_iterations: int
) -> None:
    """Hold variances at zero where that is best, and seek the others again."""
    left = list(multistarts)
    for number in range(ROUNDS):
        open_ = [(multistart, place) for multistart in left for place in multistart.nearly_zero()[:1]]
        if not open_ or out_of_time():
            return
        # Only once: a likelihood that falls off to both sides would be walked for ever.
        out = _further_out(open_, out_of_time) if number == 0 else [None] * len(open_)
        zeros = [(multistart, multistart.without([place])) for multistart, place in open_]
        at_zero = evaluations([(objective, objective.x[objective.free]) for _, objective in zeros], out_of_time)
        left, again = [], []
        for (multistart, place), (_, held), there, further in zip(open_, zeros, at_zero, out, strict=True):
            if further is not None:
                again.append((multistart, multistart.objective, further))
            elif there.defined and -there.value * held.observations >= multistart.loglike - ZERO_COST:
                again.append((multistart, held, held.x[held.free]))
            else:
                multistart.above_zero.add(place)
            left.append(multistart)
        searches = [
            minimise(x, tolerance=tolerance, max_iterations=max_iterations, floor=objective.floor)
            for _, objective, x in again
        ]
        traces = run_searches([objective for _, objective, _ in again], searches, out_of_time)
        for (multistart, objective, _), trace in zip(again, traces, strict=True):
            multistart.replace(objective, trace)


def _further_out(open_: Sequence[tuple[Multistart, int]], out_of_time: OutOfTime) -> list[Floats | None]:
    """For each, coordinates with a higher likelihood than the best's and the variance further from zero, if any."""
    points = [
        (multistart.objective, _moved(multistart, place, size)) for multistart, place in open_ for size in FURTHER_OUT
    ]
    worth = evaluations(points, out_of_time)
    found: list[Floats | None] = []
    for number, (multistart, _) in enumerate(open_):
        some = worth[number * len(FURTHER_OUT) : (number + 1) * len(FURTHER_OUT)]
        best = min(some, key=lambda each: each.value)
        better = best.defined and -best.value * multistart.objective.observations > multistart.loglike + ZERO_COST
        found.append(best.x if better else None)
    return found


def _moved(multistart: Multistart, place: int, size: float) -> Floats:
    objective: Objective = multistart.objective
    assert multistart.best is not None  # noqa: S101  nearly_zero has looked
    whole = objective.whole(multistart.best.x)
    whole[place] = size
    return whole[objective.free]
