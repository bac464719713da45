"""The clock and the engine for many contests at once: every stage of a fit asks here, and gets what time allows."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.lanes import TimeIsUp
from luna_serving.engines.statespace.fit.objective import Subject, evaluate
from luna_serving.engines.statespace.fit.quasi_newton import Evaluation, Search
from luna_serving.engines.statespace.fit.together import POINTS_AT_A_TIME, Heat, Points, Traced, run_together

Floats = NDArray[np.float64]
OutOfTime = Callable[[], bool]


def run_searches(
    subjects: Sequence[Subject], searches: Sequence[Search], out_of_time: OutOfTime, heat: Heat | None = None
) -> list[Traced]:
    """One search a subject, side by side."""

    def worth(points: Points) -> list[Evaluation]:
        return evaluate([(subjects[i], x) for i, x in points], out_of_time)

    return run_together(searches, worth, heat)


def evaluations(points: Sequence[tuple[Subject, Floats]], out_of_time: OutOfTime) -> list[Evaluation]:
    """What the points are worth; +inf for those that time was too short for."""
    found: list[Evaluation] = []
    for first in range(0, len(points), POINTS_AT_A_TIME):
        some = points[first : first + POINTS_AT_A_TIME]
        try:
            found += evaluate(some, out_of_time)
        except TimeIsUp:
            return found + [Evaluation(x, np.inf, np.zeros_like(x)) for _, x in points[first:]]
    return found
