"""Evaluations for many searches at once, as far as time allows; every stage of a fit evaluates here."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.layout import TimeIsUp
from luna_serving.engines.statespace.fit.objective import Objective, evaluate
from luna_serving.engines.statespace.fit.parallel_search import (
    POINTS_AT_A_TIME,
    Elimination,
    Points,
    Trace,
    run_in_parallel,
)
from luna_serving.engines.statespace.fit.quasi_newton import Evaluation, Search

Floats = NDArray[np.float64]
OutOfTime = Callable[[], bool]


def run_searches(
    objectives: Sequence[Objective],
    searches: Sequence[Search],
    out_of_time: OutOfTime,
    elimination: Elimination | None = None,
) -> list[Trace]:
    """Run one search per objective, side by side."""

    def worth(points: Points) -> list[Evaluation]:
        return evaluate([(objectives[i], x) for i, x in points], out_of_time)

    return run_in_parallel(searches, worth, elimination)


def evaluations(points: Sequence[tuple[Objective, Floats]], out_of_time: OutOfTime) -> list[Evaluation]:
    """What the points are worth; +inf for those that time was too short for."""
    found: list[Evaluation] = []
    for first in range(0, len(points), POINTS_AT_A_TIME):
        some = points[first : first + POINTS_AT_A_TIME]
        try:
            found += evaluate(some, out_of_time)
        except TimeIsUp:
            return found + [Evaluation(x, np.inf, np.zeros_like(x)) for _, x in points[first:]]
    return found
