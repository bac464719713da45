"""Portfolios on the efficient frontier of assets with bounds: where the critical lines meet an objective."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from luna_serving.engines.finance.markowitz.assets import Assets
from luna_serving.engines.finance.markowitz.box import FREE, LOWER, UPPER, Sides, least_on_box, settled
from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats, Place
from luna_serving.engines.finance.markowitz.critical_line import CriticalLine, PathLost, critical_lines
from luna_serving.engines.finance.markowitz.refusals import NoExcessReturn, Riskless
from luna_serving.engines.finance.markowitz.solution import Solution, on_box
from luna_serving.engines.finance.markowitz.stopping import Stop, never


@dataclass(frozen=True, slots=True)
class Corner:
    """A portfolio on the frontier."""

    weights: Floats
    trade_off: float
    sides: Sides


def least_variance(assets: Assets, limits: Constraints) -> Solution:
    """The portfolio of least variance.

    Raises:
        PathLost: rounding prevents it.
    """
    if assets.definite is not assets.cov:
        # The path's first line is refined to the covariance without its ridge.
        line = next(iter(lines(assets, limits)))
        return _of_risk(assets, limits, _corner(limits, line, 0.0))
    found = least_on_box(assets.definite, np.zeros(len(assets.mean)), limits.lower, limits.upper)
    if found is None:
        raise PathLost
    return _of_risk(assets, limits, Corner(found.weights, 0.0, found.sides))


def target_return(assets: Assets, limits: Constraints, target: float) -> Solution:
    """The portfolio of least variance with at least an expected return, which some portfolio has.

    Raises:
        PathLost: rounding prevents it.
    """
    corner = None
    for line in lines(assets, limits):
        gain = assets.expected(line.slope)
        begin = assets.expected(line.at_zero) + line.begin * gain
        corner = _corner(limits, line, line.begin)
        if begin >= target:
            break
        if np.isfinite(line.end) and begin + (line.end - line.begin) * gain >= target:
            corner = _corner(limits, line, min(line.end, line.begin + (target - begin) / gain))
            break
    if corner is None:
        raise PathLost
    solution = _of_risk(assets, limits, corner)
    if corner.trade_off > 0:
        risk = assets.risk(corner.weights)
        price = corner.trade_off / risk if risk > 0 else 0.0
        solution = replace(solution, prices={Place("target"): price, **solution.prices})
    return solution


def target_risk(assets: Assets, limits: Constraints, target: float) -> Solution:
    """The portfolio of largest expected return with at most a risk, which some portfolio has.

    Raises:
        PathLost: rounding prevents it.
    """
    corner = None
    for line in lines(assets, limits):
        corner = _corner(limits, line, line.begin)
        if not np.isfinite(line.end):
            return _of_return(assets, limits, corner)
        last = _corner(limits, line, line.end)
        if assets.risk(last.weights) >= target:
            corner = _corner(limits, line, _risk_at(assets, line, target))
            break
    if corner is None:
        raise PathLost
    if corner.trade_off <= 0:
        return _of_risk(assets, limits, corner)
    solution = _of_return(assets, limits, corner)
    return replace(
        solution, prices={Place("target"): assets.risk(corner.weights) / corner.trade_off, **solution.prices}
    )


def largest_sharpe(assets: Assets, limits: Constraints, risk_free: float) -> Solution:
    """The portfolio of the largest ratio of excess return to risk.

    Raises:
        NoExcessReturn: no portfolio returns more than the risk-free rate.
        Riskless: one does so without risk.
        PathLost: rounding prevents it.
    """
    corner = None
    for line in lines(assets, limits):
        corner = _corner(limits, line, line.begin)
        if not np.isfinite(line.end):
            best = assets.expected(corner.weights)
            if best <= risk_free:
                raise NoExcessReturn(best)
            break
        place = _tangent(assets, line, risk_free)
        if place is not None:
            corner = _corner(limits, line, place)
            break
    if corner is None:
        raise PathLost
    w = corner.weights
    risk, excess = assets.risk(w), assets.expected(w) - risk_free
    if excess <= 0:
        raise PathLost
    if risk**2 <= 1e-14 * float(assets.cov.diagonal().max()):
        raise Riskless
    corner = replace(corner, trade_off=risk**2 / excess)
    gradient = assets.cov @ w - corner.trade_off * assets.mean
    residual, prices = on_box(w, corner.sides, gradient, excess / risk**3, limits, assets.least_gradient)
    return Solution(w, residual, prices, trade_off=corner.trade_off)


def corners(assets: Assets, limits: Constraints, stop: Stop = never) -> list[Corner]:
    """The corners of the frontier, from the least variance to the largest expected return.

    Raises:
        PathLost: rounding prevents it.
    """
    found = [_corner(limits, line, line.begin) for line in lines(assets, limits, stop)]
    kept = found[:1]
    for each in found[1:]:
        if np.abs(each.weights - kept[-1].weights).max() > 1e-13:
            kept.append(each)
    return kept


def lines(assets: Assets, limits: Constraints, stop: Stop = never) -> Iterator[CriticalLine]:
    """The critical lines; a single point where the bounds leave no choice."""
    lower, upper = limits.lower, limits.upper
    for only in (lower, upper):
        if abs(float(only.sum()) - 1.0) <= 1e-13:
            sides = np.full(len(only), LOWER if only is lower else UPPER, np.int8)
            return iter([CriticalLine(only, np.zeros(len(only)), 0.0, np.inf, sides)])
    return critical_lines(assets.definite, assets.mean, lower, upper, stop, assets.cov)


def _corner(limits: Constraints, line: CriticalLine, t: float) -> Corner:
    weights = line.at_zero + t * line.slope if line.slope.any() else line.at_zero
    return Corner(settled(weights, limits.lower, limits.upper, line.sides), t, line.sides)


def _of_risk(assets: Assets, limits: Constraints, corner: Corner) -> Solution:
    """A portfolio whose objective is the risk."""
    w = corner.weights
    risk = assets.risk(w)
    gradient = assets.cov @ w - corner.trade_off * assets.mean
    unit = 1.0 / risk if risk > 0 else 0.0
    residual, prices = on_box(w, corner.sides, gradient, unit, limits, assets.least_gradient)
    return Solution(w, residual, prices, trade_off=corner.trade_off)


def _of_return(assets: Assets, limits: Constraints, corner: Corner) -> Solution:
    """A portfolio whose objective is the expected return."""
    w, t = corner.weights, corner.trade_off
    on_last_line = len({float(m) for m in assets.mean[corner.sides == FREE]}) <= 1
    if on_last_line:
        gradient, unit = -assets.mean, 1.0
    else:
        gradient, unit = assets.cov @ w - t * assets.mean, 1.0 / t
    residual, prices = on_box(w, corner.sides, gradient, unit, limits, assets.least_gradient)
    return Solution(w, residual, prices, trade_off=t)


def _risk_at(assets: Assets, line: CriticalLine, target: float) -> float:
    """Where on a line the risk is the target: the larger root of a quadratic function."""
    moved = assets.cov @ line.slope
    square = float(line.slope @ moved)
    cross = float(line.at_zero @ moved)
    rest = float(line.at_zero @ assets.cov @ line.at_zero) - target**2
    if square <= 0:
        return line.begin
    root = (-cross + np.sqrt(max(0.0, cross**2 - square * rest))) / square
    return float(np.clip(root, line.begin, line.end))


def _tangent(assets: Assets, line: CriticalLine, risk_free: float) -> float | None:
    """Where on a line the variance is t times the excess return, and the ratio of Sharpe largest; None if beyond."""
    moved = assets.cov @ line.slope
    a2 = float(line.slope @ moved) - assets.expected(line.slope)
    a1 = 2.0 * float(line.at_zero @ moved) - (assets.expected(line.at_zero) - risk_free)
    a0 = float(line.at_zero @ assets.cov @ line.at_zero)
    value = partial(_quadratic, a2, a1, a0)
    if value(line.end) > 0:
        return None
    low, high = line.begin, line.end
    if value(low) <= 0:
        return low
    # In exact arithmetic a2 = 0 and the function is a straight line that falls; Newton's method from there on.
    t = low + (high - low) * value(low) / (value(low) - value(high))
    for _ in range(20):
        change = value(t) / (2 * a2 * t + a1)
        t = min(max(t - change, low), high)
        if abs(change) <= 1e-16 * abs(t):
            break
    return float(t)


def _quadratic(a2: float, a1: float, a0: float, t: float) -> float:
    return (a2 * t + a1) * t + a0
