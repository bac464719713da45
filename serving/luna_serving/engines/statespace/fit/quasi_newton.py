"""Minimise a smooth function by BFGS, one evaluation at a time: the caller says what each point is worth.

A search is a generator. It yields the `Point` whose value it needs, is sent an `Evaluation` and returns an `Outcome`.
Many searches can so be run side by side, with one engine call for all the points that they ask for (`together.py`),
while each reads as if it were alone.

Nocedal & Wright (2006), "Numerical Optimization", 2nd ed.: BFGS is algorithm 6.1, the Wolfe conditions are eq. 3.7.
The line search brackets a point that satisfies them as in Lewis & Overton (2013, "Nonsmooth optimization via
quasi-Newton methods", section 4) and interpolates within the bracket.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.stop import Stop

Floats = NDArray[np.float64]

# Shares of the slope at the line's start: what the value must fall by, and how flat the line must have become.
DECREASE: Final = 1e-4
FLATTER: Final = 0.9
# Relative to the value: near the minimum its differences are rounding, and only the slope is left to judge by.
ROUNDING: Final = 1e-14
# Coordinates are logarithms or of that kind: a step of 5 multiplies a variance by 148.
LONGEST_STEP: Final = 5.0
LINE_EVALUATIONS: Final = 25
# A search ends when its last STALLED_ITERATIONS together lower the value by less than STALLED: on a ridge that runs out
# to a bound it would creep for ever, and where the value is mostly rounding it would wander.
STALLED_ITERATIONS: Final = 12
STALLED: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Where a search wants to know the function, and the iterations it has made so far."""

    x: Floats
    iteration: int


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A point, and the function and its gradient [p] there; value +inf where the function is not defined."""

    x: Floats
    value: float
    gradient: Floats
    diffuse_resolved: int = 0
    """Observations that resolved a diffuse direction, where the function is a likelihood."""

    @property
    def defined(self) -> bool:
        """Whether the value and the gradient are finite."""
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all())

    @property
    def steepness(self) -> float:
        """The largest component of the gradient."""
        return float(np.abs(self.gradient).max(initial=0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Where a search ended, and why."""

    best: Evaluation
    iterations: int
    stop: Stop


Search = Generator[Point, Evaluation, Outcome]


@dataclass(frozen=True, slots=True)
class _OnLine:
    """A point of the line: its place, value and slope."""

    step: float
    value: float
    slope: float


def minimise(start: Floats, *, tolerance: float, max_iterations: int, floor: float = -np.inf) -> Search:
    """Search for a minimum from `start` [p] until no component of the gradient exceeds `tolerance`.

    A value below `floor` means that there is no minimum, and ends the search.
    """
    now = yield Point(start, 0)
    identity = np.eye(len(start))
    inverse, fresh = identity, True
    values: list[float] = []
    for iteration in range(max_iterations):
        values.append(now.value)
        if not now.defined:
            return Outcome(now, iteration, Stop.NO_IMPROVEMENT)
        if now.steepness <= tolerance:
            return Outcome(now, iteration, Stop.FLAT)
        if now.value < floor:
            return Outcome(now, iteration, Stop.NO_MAXIMUM)
        if iteration >= STALLED_ITERATIONS and values[-1 - STALLED_ITERATIONS] - now.value < STALLED:
            return Outcome(now, iteration, Stop.NO_IMPROVEMENT)
        direction = -inverse @ now.gradient
        if direction @ now.gradient >= 0:
            inverse, fresh, direction = identity, True, -now.gradient
        direction *= min(1.0, LONGEST_STEP / float(np.abs(direction).max()))
        following = yield from _along(now, direction, iteration)
        if following is None:
            if fresh:
                return Outcome(now, iteration, Stop.NO_IMPROVEMENT)
            # The curvature gathered on the way may mislead; the gradient itself does not.
            inverse, fresh = identity, True
            continue
        moved, turned = following.x - now.x, following.gradient - now.gradient
        curvature = float(moved @ turned)
        if curvature > 1e-14 * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
            if fresh:
                # Eq. 6.20: the scale of the first step's curvature, before anything else is known.
                inverse = identity * (curvature / float(turned @ turned))
            shrink = identity - np.outer(moved, turned) / curvature
            inverse = shrink @ inverse @ shrink.T + np.outer(moved, moved) / curvature
            fresh = False
        now = following
    stop = Stop.FLAT if now.steepness <= tolerance else Stop.ITERATION_LIMIT
    return Outcome(now, max_iterations, stop)


def _along(now: Evaluation, direction: Floats, iteration: int) -> Generator[Point, Evaluation, Evaluation | None]:
    """A point of the line that satisfies the Wolfe conditions, or the best one that falls, or None."""
    slope = float(now.gradient @ direction)
    allowance = ROUNDING * max(1.0, abs(now.value))
    low, high = _OnLine(0.0, now.value, slope), None
    best: Evaluation | None = None
    step = 1.0
    for _ in range(LINE_EVALUATIONS):
        there = yield Point(now.x + step * direction, iteration)
        if not there.defined:
            high = _OnLine(step, np.inf, np.nan)
        else:
            tried = _OnLine(step, there.value, float(there.gradient @ direction))
            if there.value > now.value + DECREASE * step * slope + allowance:
                high = tried
            else:
                if best is None or there.value <= best.value:
                    best = there
                if abs(tried.slope) <= FLATTER * abs(slope):
                    return there
                if tried.slope > 0:
                    high = tried
                else:
                    low = tried
        if high is None:
            step *= 2.5
        elif high.step - low.step <= 1e-12 * high.step:
            break
        else:
            step = _between(low, high)
    return best if best is not None and best.value < now.value else None


def _between(low: _OnLine, high: _OnLine) -> float:
    """The minimum of the cubic through both (eq. 3.59), kept away from the bracket's ends."""
    width = high.step - low.step
    if not np.isfinite(high.value):
        return low.step + width / 4
    d1 = low.slope + high.slope - 3 * (low.value - high.value) / (low.step - high.step)
    root = d1 * d1 - low.slope * high.slope
    place = 0.5
    if root >= 0:
        d2 = np.sqrt(root)
        bottom = high.slope - low.slope + 2 * d2
        if bottom != 0:
            place = 1 - (high.slope + d2 - d1) / bottom
    return low.step + width * float(np.clip(place, 0.1, 0.9))
