"""Which constraints contradict each other, and by how much."""

from typing import Final

import numpy as np
from scipy.optimize import OptimizeResult, linprog

from luna_serving.engines.finance.markowitz.assets import Assets
from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats, Place
from luna_serving.engines.finance.markowitz.general import least_variance, nearest
from luna_serving.engines.finance.markowitz.refusals import Infeasible
from luna_serving.engines.finance.markowitz.rows import Rows, rows_of

# A gap below this is rounding.
ROUNDING: Final = 1e-10
# Up to so many constraints a conflict is made minimal, one linear program for each.
MOST_TRIED: Final = 64


def refuse_contradictions(limits: Constraints) -> None:
    """Raise if no weights satisfy the bounds, groups and turnover.

    Raises:
        Infeasible: with a minimal conflict.
    """
    crossed = np.flatnonzero(limits.lower > limits.upper)
    if len(crossed):
        i = int(crossed[0])
        gap = float(limits.lower[i] - limits.upper[i])
        raise Infeasible([Place("bounds", i, "min"), Place("bounds", i, "max")], gap)
    n = len(limits.lower)
    least, most = float(limits.lower.sum()), float(limits.upper.sum())
    if most < 1.0 - ROUNDING:
        raise Infeasible([Place("bounds", i, "max") for i in range(n)], 1.0 - most)
    if least > 1.0 + ROUNDING:
        raise Infeasible([Place("bounds", i, "min") for i in range(n)], least - 1.0)
    for g, group in enumerate(limits.groups):
        if group.minimum > group.maximum:
            conflict = [Place("groups", g, "min"), Place("groups", g, "max")]
            raise Infeasible(conflict, group.minimum - group.maximum)
    if not limits.groups and limits.turnover is None:
        return
    rows = rows_of(limits)
    gap, support = _elastic(rows)
    if gap > ROUNDING:
        raise Infeasible(_minimal(rows, support), gap)


def largest_expected(assets: Assets, limits: Constraints) -> tuple[float, list[Place]]:
    """The largest expected return under feasible bounds, groups and turnover, and the constraints that hold it down."""
    rows = rows_of(limits)
    answer = _program(rows, -np.concatenate([assets.mean, np.zeros(rows.width - len(assets.mean))]))
    return -float(answer.fun), _binding(rows, answer)


def refuse_target_return(assets: Assets, limits: Constraints, target: float) -> None:
    """Raise if no portfolio has so large an expected return.

    Raises:
        Infeasible: the gap is in the unit of returns.
    """
    best, holding = largest_expected(assets, limits)
    if best < target - ROUNDING * max(1.0, abs(target)):
        raise Infeasible([Place("target"), *holding], target - best)


def refuse_target_risk(assets: Assets, limits: Constraints, target: float) -> None:
    """Raise if every portfolio has a larger risk.

    Raises:
        Infeasible: the gap is in the unit of risk.
    """
    found = least_variance(assets, limits)
    least = assets.risk(found.weights)
    if least > target * (1 + ROUNDING):
        holding = [place for place, price in found.prices.items() if price > ROUNDING]
        raise Infeasible([Place("target"), *holding], least - target)


def refuse_tracking(assets: Assets, limits: Constraints, target: float | None = None) -> None:
    """Raise if every portfolio deviates more from the benchmark, or none that does not has the expected return.

    Raises:
        Infeasible: the gap is in the unit of risk.
    """
    if limits.tracking is None:
        return
    benchmark = limits.tracking.benchmark
    weights, holding = nearest(assets, limits, benchmark, target=target)
    least = assets.risk(weights - benchmark)
    if least > limits.tracking.most + ROUNDING * max(1.0, limits.tracking.most):
        raise Infeasible([Place("tracking_error"), *holding], least - limits.tracking.most)


def _elastic(rows: Rows) -> tuple[float, list[Place]]:
    """The least sum of violations, and the constraints of which it consists (a certificate of Farkas)."""
    named = [row for row, place in enumerate(rows.most_places) if place is not None]
    named_equal = [row for row, place in enumerate(rows.equal_places) if place is not None]
    d, s = rows.width, len(named) + 2 * len(named_equal)
    most = np.hstack([rows.most, np.zeros((len(rows.most), s))])
    most[named, d + np.arange(len(named))] = -1.0
    equal = np.hstack([rows.equal, np.zeros((len(rows.equal), s))])
    for j, row in enumerate(named_equal):
        equal[row, d + len(named) + 2 * j : d + len(named) + 2 * j + 2] = (1.0, -1.0)
    cost = np.concatenate([np.zeros(d), np.ones(s)])
    limits = [(None, None)] * d + [(0, None)] * s
    answer = linprog(cost, most, rows.most_of, equal, rows.equal_to, limits, method="highs")
    return float(answer.fun), _binding(rows, answer)


def _minimal(rows: Rows, support: list[Place]) -> list[Place]:
    """A conflict of which every member is needed (deletion filter; Chinneck and Dravnieks 1991)."""
    kept = list(support)
    if len(kept) > MOST_TRIED:
        return kept
    for place in support:
        rest = [each for each in kept if each != place]
        if _infeasible(rows, rest):
            kept = rest
    return kept


def _infeasible(rows: Rows, places: list[Place]) -> bool:
    wanted = set(places)
    most = [i for i, place in enumerate(rows.most_places) if place is None or place in wanted]
    equal = [i for i, place in enumerate(rows.equal_places) if place is None or place in wanted]
    part = Rows(rows.equal[equal], rows.equal_to[equal], (), rows.most[most], rows.most_of[most], ())
    return bool(_program(part, np.zeros(rows.width)).status == 2)


def _program(rows: Rows, cost: Floats) -> OptimizeResult:
    return linprog(cost, rows.most, rows.most_of, rows.equal, rows.equal_to, (None, None), method="highs")


def _binding(rows: Rows, answer: OptimizeResult) -> list[Place]:
    pairs = [*zip(rows.equal_places, answer.eqlin.marginals, strict=True)]
    pairs += [*zip(rows.most_places, answer.ineqlin.marginals, strict=True)]
    return sorted(place for place, price in pairs if place is not None and abs(price) > ROUNDING)
