"""Constraints that contradict each other are named, and how far apart they are."""

import numpy as np
import pytest
from tests.engines.finance.markowitz.examples import random_assets

from luna_serving.engines.finance.markowitz.api.answers import solve
from luna_serving.engines.finance.markowitz.api.problems import (
    Constraints,
    Group,
    Hierarchical,
    Infeasible,
    MinVariance,
    Objective,
    Place,
    RiskParity,
    TargetReturn,
    TargetRisk,
    Tracking,
    Turnover,
)

ASSETS = random_assets(4, 11)
LOW, HIGH = np.zeros(4), np.ones(4)
FIRST = np.array([1.0, 0.0, 0.0, 0.0])


def conflict(limits: Constraints, objective: Objective | None = None) -> Infeasible:
    with pytest.raises(Infeasible) as refused:
        solve(ASSETS, limits, objective or MinVariance())
    return refused.value


def test_largest_weights_that_sum_to_less_than_one() -> None:
    found = conflict(Constraints(LOW, np.full(4, 0.2)))
    assert found.conflict == tuple(Place("bounds", i, "max") for i in range(4))
    assert found.gap == pytest.approx(0.2)


def test_a_pair_of_crossed_bounds() -> None:
    lower = np.array([0.0, 0.6, 0.0, 0.0])
    found = conflict(Constraints(lower, np.array([1.0, 0.5, 1.0, 1.0])))
    assert found.conflict == (Place("bounds", 1, "min"), Place("bounds", 1, "max"))
    assert found.gap == pytest.approx(0.1)


def test_groups_that_leave_no_room() -> None:
    groups = (Group((0, 1), maximum=0.3), Group((0,), maximum=0.9), Group((2, 3), maximum=0.3))
    found = conflict(Constraints(LOW, HIGH, groups))
    assert found.conflict == (Place("groups", 0, "max"), Place("groups", 2, "max"))
    assert found.gap == pytest.approx(0.4)


def test_a_group_against_bounds() -> None:
    upper = np.array([0.1, 0.1, 1.0, 1.0])
    found = conflict(Constraints(LOW, upper, (Group((0, 1), minimum=0.5),)))
    assert set(found.conflict) == {Place("bounds", 0, "max"), Place("bounds", 1, "max"), Place("groups", 0, "min")}
    assert found.gap == pytest.approx(0.3)


def test_turnover_against_a_group() -> None:
    limits = Constraints(LOW, HIGH, (Group((0,), maximum=0.5),), Turnover(FIRST, 0.2))
    found = conflict(limits)
    assert set(found.conflict) == {Place("groups", 0, "max"), Place("turnover")}
    assert found.gap == pytest.approx(0.4)


def test_a_return_that_none_has() -> None:
    best = float(ASSETS.mean.max())
    found = conflict(Constraints(LOW, HIGH), TargetReturn(best + 0.01))
    assert found.conflict[0] == Place("target")
    assert found.gap == pytest.approx(0.01)


def test_a_risk_below_the_least() -> None:
    limits = Constraints(LOW, HIGH, (Group((0,), minimum=0.5),))
    least = ASSETS.risk(solve(ASSETS, limits, MinVariance()).weights)
    found = conflict(limits, TargetRisk(least - 1e-4))
    assert set(found.conflict) >= {Place("target"), Place("groups", 0, "min")}
    assert found.gap == pytest.approx(1e-4)


def test_a_benchmark_that_is_out_of_reach() -> None:
    limits = Constraints(LOW, HIGH, (Group((0,), maximum=0.5),), None, Tracking(FIRST, 1e-4))
    found = conflict(limits)
    assert set(found.conflict) >= {Place("tracking_error"), Place("groups", 0, "max")}
    assert found.gap > 0


@pytest.mark.parametrize("objective", [RiskParity(), Hierarchical()], ids=["risk_parity", "hrp"])
def test_a_portfolio_that_constraints_do_not_shape(objective: Objective) -> None:
    weights = solve(ASSETS, Constraints.long_only(4), objective).weights
    found = conflict(Constraints(LOW, HIGH, (Group((0,), maximum=float(weights[0]) - 0.05),)), objective)
    assert found.conflict == (Place("groups", 0, "max"),)
    assert found.gap == pytest.approx(0.05)
    fits = Constraints(LOW, HIGH, (Group((0,), maximum=float(weights[0]) + 0.01),))
    assert solve(ASSETS, fits, objective).weights == pytest.approx(weights)
