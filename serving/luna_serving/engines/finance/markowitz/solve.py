"""Solves a portfolio problem: checks it, chooses the method, and answers with a proof."""

from contextlib import suppress

import numpy as np

from luna_serving.engines.finance.markowitz import along, general
from luna_serving.engines.finance.markowitz.assets import Assets
from luna_serving.engines.finance.markowitz.conflicts import (
    largest_expected,
    refuse_contradictions,
    refuse_target_return,
    refuse_target_risk,
    refuse_tracking,
)
from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats
from luna_serving.engines.finance.markowitz.covariance import definite
from luna_serving.engines.finance.markowitz.critical_line import PathLost
from luna_serving.engines.finance.markowitz.cvar import least_cvar
from luna_serving.engines.finance.markowitz.efficient import SOUND, Frontier, efficient_frontier
from luna_serving.engines.finance.markowitz.hierarchical import hierarchical
from luna_serving.engines.finance.markowitz.objectives import (
    Hierarchical,
    MaxSharpe,
    MinCvar,
    MinVariance,
    Objective,
    RiskParity,
    TargetReturn,
    TargetRisk,
)
from luna_serving.engines.finance.markowitz.refusals import Infeasible, NoExcessReturn
from luna_serving.engines.finance.markowitz.risk_parity import equal_risk
from luna_serving.engines.finance.markowitz.solution import Solution
from luna_serving.engines.finance.markowitz.stopping import Stop, never


def assets_of(mean: Floats, cov: Floats) -> Assets:
    """Assets with checked moments.

    Args:
        mean: [n], expected returns.
        cov: [n, n], symmetric.

    Raises:
        NotPositiveSemidefinite: the covariance has an eigenvalue below zero.
    """
    return Assets(mean, cov, definite(cov))


def solve(assets: Assets, limits: Constraints, objective: Objective) -> Solution:
    """The portfolio that is best for an objective.

    Raises:
        Infeasible: no portfolio satisfies the constraints.
        NoExcessReturn: none is expected to return more than the risk-free rate.
        Riskless: one does so without risk.
        Undetermined: the objective does not determine a portfolio.
        Unsolved: the solver failed.
    """
    if isinstance(objective, RiskParity):
        return _within(limits, assets, equal_risk(assets))
    if isinstance(objective, Hierarchical):
        return _within(limits, assets, hierarchical(assets.cov)[0])
    refuse_contradictions(limits)
    if isinstance(objective, MinCvar):
        return least_cvar(objective.returns, objective.level, limits)
    refuse_tracking(assets, limits)
    if limits.only_bounds:
        with suppress(PathLost, np.linalg.LinAlgError):
            found = _along(assets, limits, objective)
            if found.residual < SOUND:
                return found
    return _generally(assets, limits, objective)


def frontier(assets: Assets, limits: Constraints, points: int, stop: Stop = never) -> Frontier:
    """The efficient frontier with points evenly spaced in expected return.

    Raises:
        Infeasible: no portfolio satisfies the constraints.
        Unsolved: the solver failed.
        Stopped: it was told to.
    """
    refuse_contradictions(limits)
    refuse_tracking(assets, limits)
    return efficient_frontier(assets, limits, points, stop)


def check_feasible(assets: Assets, limits: Constraints, objective: Objective | None) -> None:
    """Raise what `solve` would for constraints that contradict each other, at a small part of its time.

    Args:
        assets: n assets.
        limits: of the portfolio.
        objective: None for the frontier.

    Raises:
        Infeasible: no portfolio satisfies the constraints.
        NoExcessReturn: none is expected to return more than the risk-free rate.
        Unsolved: the solver failed.
    """
    if isinstance(objective, RiskParity | Hierarchical):
        return
    refuse_contradictions(limits)
    refuse_tracking(assets, limits)
    match objective:
        case TargetReturn(target):
            refuse_target_return(assets, limits, target)
            refuse_tracking(assets, limits, target)
        case TargetRisk(target):
            refuse_target_risk(assets, limits, target)
        case MaxSharpe(risk_free):
            _refuse_no_excess(assets, limits, risk_free)


def _refuse_no_excess(assets: Assets, limits: Constraints, risk_free: float) -> None:
    best, _ = largest_expected(assets, limits)
    if limits.tracking is not None:
        best = general.most_expected(assets, limits)
    if best <= risk_free:
        raise NoExcessReturn(best)


def _along(assets: Assets, limits: Constraints, objective: Objective) -> Solution:
    match objective:
        case MinVariance():
            return along.least_variance(assets, limits)
        case TargetReturn(target):
            refuse_target_return(assets, limits, target)
            return along.target_return(assets, limits, target)
        case TargetRisk(target):
            least = assets.risk(along.least_variance(assets, limits).weights)
            if least > target:
                refuse_target_risk(assets, limits, target)
            return along.target_risk(assets, limits, target)
        case MaxSharpe(risk_free):
            return along.largest_sharpe(assets, limits, risk_free)
        case _:
            raise TypeError(type(objective).__name__)


def _generally(assets: Assets, limits: Constraints, objective: Objective) -> Solution:
    match objective:
        case MinVariance():
            return general.least_variance(assets, limits)
        case TargetReturn(target):
            refuse_target_return(assets, limits, target)
            refuse_tracking(assets, limits, target)
            return general.least_variance(assets, limits, target=target)
        case TargetRisk(target):
            refuse_target_risk(assets, limits, target)
            return general.largest_return(assets, limits, target)
        case MaxSharpe(risk_free):
            _refuse_no_excess(assets, limits, risk_free)
            return general.largest_sharpe(assets, limits, risk_free)
        case _:
            raise TypeError(type(objective).__name__)


def _within(limits: Constraints, assets: Assets, solution: Solution) -> Solution:
    """A portfolio that constraints do not shape, if it satisfies them.

    Raises:
        Infeasible: it does not; the gap is the largest violation.
    """
    excess = limits.excess(solution.weights, assets.cov)
    if excess:
        raise Infeasible(sorted(excess), max(excess.values()))
    return solution
