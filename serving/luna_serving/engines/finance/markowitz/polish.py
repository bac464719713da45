"""From an approximate solution to one at the limit of double precision: Newton's method on the active constraints.

The system of Karush, Kuhn and Tucker is solved with a small proximal term and refined, as OSQP polishes (Stellato et
al. 2020, section 5.2): dependent constraints and singular covariances do no harm. An active set that is slightly
wrong is corrected by the signs of slacks and multipliers.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lu_factor, lu_solve
from scipy.optimize import nnls

from luna_serving.engines.finance.markowitz.cone import Interior, Program
from luna_serving.engines.finance.markowitz.constraints import Floats
from luna_serving.engines.finance.markowitz.refusals import Unsolved

Booleans = NDArray[np.bool_]
PROXIMAL: Final = 1e-12
ROUNDS: Final = 60
NEWTON_STEPS: Final = 25
# A slack or multiplier of the wrong sign within this is rounding.
WRONG: Final = 1e-12
CONVERGED: Final = 1e-14
# Numbers are about one; a smaller gradient is lost in the rounding of its parts.
LOST: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Polished:
    """A solution with its multipliers, in the units of the program."""

    x: Floats
    """[d]"""
    equal: Floats
    """[p], multipliers of the equalities."""
    most: Floats
    """[q], of the inequalities; zero where inactive."""
    balls: Floats
    """[k], of (|w - c|^2 - r^2) / 2."""
    trade_off: float
    """t of the homogeneous program; else 0."""
    active: Booleans
    residual: float


def polish(program: Program, start: Interior) -> Polished:
    """Solve to rounding.

    Raises:
        Unsolved: the active constraints could not be found.
    """
    active = start.active.copy()
    balls = np.array(start.active_balls, bool)
    best: Polished | None = None
    for _ in range(ROUNDS):
        found = _newton(program, start.x, active, balls)
        if found is None:
            break
        if best is None or found.residual < best.residual:
            best = found
        slack = program.rows.most_of - program.rows.most @ found.x
        violated = ~active & (slack < -WRONG)
        negative = active & (found.most < -WRONG)
        if violated.any():
            active = active | violated
        elif negative.any():
            active = active.copy()
            active[int(np.where(negative, found.most, 0.0).argmin())] = False
        else:
            break
    if best is None:
        raise Unsolved("no active set")
    return best


def residual_of(program: Program, found: Polished) -> float:
    """The largest violation of the conditions of Karush, Kuhn and Tucker."""
    rows, n = program.rows, len(program.linear)
    gradient = _gradient(program, found.x, found.trade_off)
    scale = max(float(np.abs(gradient).max()), LOST)
    pulled = gradient + rows.equal.T @ found.equal + rows.most.T @ found.most
    outside = [np.abs(rows.equal @ found.x - rows.equal_to), rows.most @ found.x - rows.most_of]
    for ball, multiplier in zip(program.balls, found.balls, strict=True):
        moved = program.root.T @ (program.root @ (found.x[:n] - ball.centre))
        pulled[:n] += multiplier * moved
        outside.append(np.array([np.sqrt(max(0.0, float(moved @ (found.x[:n] - ball.centre)))) - ball.radius]))
    negative = max(0.0, -float(found.most.min(initial=0.0)), -float(found.balls.min(initial=0.0)))
    return max(float(np.abs(pulled).max()) / scale, negative / scale, *(float(o.max(initial=0.0)) for o in outside))


def _gradient(program: Program, x: Floats, trade_off: float) -> Floats:
    """[d], of the function that is minimised."""
    n = len(program.linear)
    gradient = np.zeros(len(x))
    if program.ratio:
        gradient[:n] = program.root.T @ (program.root @ x[:n]) - trade_off * program.linear
    else:
        gradient[:n] = program.quadratic * (program.root.T @ (program.root @ x[:n])) - program.linear
    return gradient


def _newton(program: Program, start: Floats, active: Booleans, balls: Booleans) -> Polished | None:
    n, d, rows = len(program.linear), len(start), program.rows
    cov = program.root.T @ program.root
    held = np.flatnonzero(active)
    linear = np.vstack([rows.equal, rows.most[held]])
    bounds = np.concatenate([rows.equal_to, rows.most_of[held]])
    used = [ball for ball, on in zip(program.balls, balls, strict=True) if on]
    m, k, ratio = len(linear), len(used), int(program.ratio)
    size = d + m + k + ratio
    x = start.copy()
    t = float(x[:n] @ cov @ x[:n]) / float(program.linear @ x[:n]) if ratio else 0.0
    # The multipliers that suit the start best.
    normals = np.vstack([linear, *(_normal(cov, ball.centre, x, d) for ball in used)])
    multipliers = np.linalg.lstsq(normals.T, -_gradient(program, x, t), rcond=1e-12)[0]
    factor, last = None, np.inf
    for _ in range(NEWTON_STEPS):
        nu, theta = multipliers[:m], multipliers[m:]
        gradient = _gradient(program, x, t) + linear.T @ nu
        error = np.zeros(size)
        curvature = (1.0 if ratio else program.quadratic) + float(theta.sum())
        for j, ball in enumerate(used):
            moved = cov @ (x[:n] - ball.centre)
            gradient[:n] += theta[j] * moved
            error[d + m + j] = (float(moved @ (x[:n] - ball.centre)) - ball.radius**2) / 2
        error[:d] = gradient
        error[d : d + m] = linear @ x - bounds
        if ratio:
            error[-1] = float(x[:n] @ cov @ x[:n]) - t * float(program.linear @ x[:n])
        size_of_error = float(np.abs(error).max())
        if not np.isfinite(size_of_error):
            return None
        if size_of_error < CONVERGED or (size_of_error < 1e-12 and size_of_error >= last / 2):
            break
        last = size_of_error
        if factor is None or k or ratio:
            matrix = np.zeros((size, size))
            matrix[:n, :n] = curvature * cov
            matrix[:d, d : d + m], matrix[d : d + m, :d] = linear.T, linear
            for j, ball in enumerate(used):
                normal = _normal(cov, ball.centre, x, d)
                matrix[:d, d + m + j] = matrix[d + m + j, :d] = normal
            if ratio:
                matrix[:n, -1] = -program.linear
                matrix[-1, :n] = 2 * (cov @ x[:n]) - t * program.linear
                matrix[-1, -1] = -float(program.linear @ x[:n])
            spread = np.full(size, -PROXIMAL)
            spread[:d] = PROXIMAL
            if ratio:
                spread[-1] = 0.0
            matrix[np.arange(size), np.arange(size)] += spread
            factor = lu_factor(matrix, check_finite=False)
        step = lu_solve(factor, -error, check_finite=False)
        x = x + step[:d]
        multipliers = multipliers + step[d : d + m + k]
        t += float(step[-1]) if ratio else 0.0
    return _signed(program, x, multipliers, active, balls, t)


def _signed(program: Program, x: Floats, multipliers: Floats, active: Booleans, balls: Booleans, t: float) -> Polished:
    rows, held = program.rows, np.flatnonzero(active)
    p, a = len(rows.equal), len(held)
    most = np.zeros(len(rows.most))
    most[held] = multipliers[p : p + a]
    theta = np.zeros(len(program.balls))
    theta[balls] = multipliers[p + a :]
    found = Polished(x, multipliers[:p], most, theta, t, active, 0.0)
    residual = residual_of(program, found)
    if residual > 1e-11 and a and float(most.min()) < -WRONG:
        better = _non_negative(program, found, held)
        if (again := residual_of(program, better)) < residual:
            found, residual = better, again
    return Polished(found.x, found.equal, found.most, found.balls, t, active, residual)


def _non_negative(program: Program, found: Polished, held: NDArray[np.intp]) -> Polished:
    """With other multipliers of the same point: where constraints depend on each other there are many."""
    rows, n = program.rows, len(program.linear)
    target = -_gradient(program, found.x, found.trade_off)
    for ball, multiplier in zip(program.balls, found.balls, strict=True):
        target[:n] -= multiplier * (program.root.T @ (program.root @ (found.x[:n] - ball.centre)))
    p = len(rows.equal)
    columns = np.column_stack([rows.equal.T, -rows.equal.T, rows.most[held].T])
    try:
        parts, _ = nnls(columns, target)
    except RuntimeError:
        return found
    most = np.zeros(len(rows.most))
    most[held] = parts[2 * p :]
    return Polished(found.x, parts[:p] - parts[p : 2 * p], most, found.balls, found.trade_off, found.active, 0.0)


def _normal(cov: Floats, centre: Floats, x: Floats, d: int) -> Floats:
    normal = np.zeros(d)
    normal[: len(cov)] = cov @ (x[: len(cov)] - centre)
    return normal
