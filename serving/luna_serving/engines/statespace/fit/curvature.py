"""What the Hessian says of a search's end: how precise it is, its last digits, and whether it is a maximum.

A search also ends on a saddle: from a start that is symmetric in a parameter, say, its gradient is zero there in every
step. The likelihood then rises along the Hessian's direction of negative curvature, and the search goes on from there.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.boundary import settle_boundary
from luna_serving.engines.statespace.fit.evaluation import OutOfTime, evaluations, run_searches
from luna_serving.engines.statespace.fit.information import Information, information, stencil
from luna_serving.engines.statespace.fit.multistart import ZERO_COST, Multistart
from luna_serving.engines.statespace.fit.quasi_newton import minimise

Floats = NDArray[np.float64]

NEWTON_STEPS: Final = 2
# Along a direction of negative curvature, both ways: coordinates are of about unit size.
LEAPS: Final = (-1.0, -0.1, 0.1, 1.0)
# Saddles that a search may leave one after the other.
SADDLES: Final = 3


def settle_curvature(
    multistarts: Sequence[Multistart], out_of_time: OutOfTime, *, tolerance: float, max_iterations: int, exact: bool
) -> list[Information | None]:
    """The information at each multistart's best, once no saddle is left and, if `exact`, Newton's steps are made."""
    found = dict(enumerate(_informed(multistarts, out_of_time)))
    for _ in range(SADDLES):
        saddles = [
            (number, multistart)
            for number, multistart in enumerate(multistarts)
            if _downward(found[number]) is not None
        ]
        moved = _left(saddles, found, out_of_time, tolerance=tolerance, max_iterations=max_iterations)
        if not moved:
            break
        others = [multistarts[number] for number in moved]
        settle_boundary(others, out_of_time, tolerance=tolerance, max_iterations=max_iterations)
        found |= dict(zip(moved, _informed(others, out_of_time), strict=True))
    for number, multistart in enumerate(multistarts):
        multistart.saddle = _downward(found[number]) is not None
    for _ in range(NEWTON_STEPS if exact else 0):
        steps = []
        for number, multistart in enumerate(multistarts):
            each = found[number]
            if each is not None and multistart.best is not None:
                step = each.newton_step(multistart.best.gradient)
                if step is not None:
                    steps.append((multistart, multistart.best.x + step))
        there = evaluations([(multistart.objective, x) for multistart, x in steps], out_of_time)
        for (multistart, _), each_there in zip(steps, there, strict=True):
            multistart.improve(each_there, tolerance)
    return [found[number] for number in range(len(multistarts))]


def _informed(multistarts: Sequence[Multistart], out_of_time: OutOfTime) -> list[Information | None]:
    if out_of_time():
        return [None] * len(multistarts)
    ends = [(multistart.objective, multistart.best.x) for multistart in multistarts if multistart.best is not None]
    points = [[(objective, x) for x in stencil(objective, best)[1]] for objective, best in ends]
    worth = iter(evaluations([point for some in points for point in some], out_of_time))
    informed = iter(
        information(objective, best, [next(worth) for _ in some])
        for (objective, best), some in zip(ends, points, strict=True)
    )
    return [None if multistart.best is None else next(informed) for multistart in multistarts]


def _downward(each: Information | None) -> Floats | None:
    return None if each is None else each.downward()


def _left(
    saddles: Sequence[tuple[int, Multistart]],
    found: dict[int, Information | None],
    out_of_time: OutOfTime,
    *,
    tolerance: float,
    max_iterations: int,
) -> list[int]:
    """Search from points near each saddle where the likelihood is higher; return those that found something."""
    points = []
    for number, multistart in saddles:
        direction = _downward(found[number])
        if direction is not None and multistart.best is not None:
            points += [(number, multistart, multistart.best.x + leap * direction) for leap in LEAPS]
    worth = evaluations([(multistart.objective, x) for _, multistart, x in points], out_of_time)
    best: dict[int, tuple[Multistart, Floats, float]] = {}
    for (number, multistart, x), there in zip(points, worth, strict=True):
        multistart.extra_evaluations += 1
        gain = -there.value * multistart.objective.observations - multistart.loglike if there.defined else -np.inf
        if gain > ZERO_COST and (number not in best or there.value < best[number][2]):
            best[number] = (multistart, x, there.value)
    objectives = [multistart.objective for multistart, _, _ in best.values()]
    searches = [
        minimise(x, tolerance=tolerance, max_iterations=max_iterations, floor=multistart.objective.floor)
        for multistart, x, _ in best.values()
    ]
    traces = run_searches(objectives, searches, out_of_time)
    for objective, (multistart, _, _), trace in zip(objectives, best.values(), traces, strict=True):
        multistart.replace(objective, trace)
    return list(best)
