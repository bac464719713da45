"""Problems with general constraints for Clarabel, an interior-point solver of conic programs, called directly."""

from dataclasses import dataclass
from typing import Final

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from luna_serving.engines.finance.markowitz.constraints import Floats, Place
from luna_serving.engines.finance.markowitz.refusals import Unsolved
from luna_serving.engines.finance.markowitz.rows import Rows

TOLERANCE: Final = 1e-11
SOLVED: Final = (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved)


@dataclass(frozen=True, slots=True)
class Ball:
    """A quadratic constraint: (w - c)' C (w - c) <= r^2."""

    centre: Floats
    """[n], c."""
    radius: float
    place: Place
    """The constraint that it is."""


@dataclass(frozen=True, slots=True)
class Program:
    """min q/2 w'Cw - c'w under rows and balls; or, homogeneous, the largest c'w / sqrt(w'Cw)."""

    root: Floats
    """[n, n], R with R'R = C."""
    quadratic: float
    """q, 0 or 1."""
    linear: Floats
    """[n], c."""
    rows: Rows
    balls: tuple[Ball, ...] = ()
    ratio: bool = False


@dataclass(frozen=True, slots=True)
class Interior:
    """An approximate solution."""

    x: Floats
    """[d]"""
    active: NDArray[np.bool_]
    """[q], inequalities whose multiplier is larger than their slack."""
    active_balls: tuple[bool, ...]


def solve_cone(program: Program) -> Interior:
    """Solve by Clarabel.

    Raises:
        Unsolved: no solution was found.
    """
    n, rows, d = len(program.linear), program.rows, program.rows.width
    homogeneous = int(program.ratio)
    matrix = [rows.equal, rows.most]
    right = [rows.equal_to, rows.most_of]
    cones = [clarabel.ZeroConeT(len(rows.equal)), clarabel.NonnegativeConeT(len(rows.most))]
    for ball in program.balls:
        block = np.zeros((n + 1, d))
        block[1:, :n] = -program.root
        matrix.append(block)
        right.append(np.append(ball.radius, -program.root @ ball.centre))
        cones.append(clarabel.SecondOrderConeT(n + 1))
    whole, bounds = np.vstack(matrix), np.concatenate(right)
    width = d + homogeneous
    if homogeneous:
        # y = x k with c'y = 1 and k > 0 (Charnes and Cooper 1962).
        whole = np.column_stack([whole, -bounds])
        bounds = np.zeros(len(bounds))
        unit = np.zeros((2, width))
        unit[0, :n], unit[1, d] = program.linear, -1.0
        whole, bounds = np.vstack([unit[:1], whole, unit[1:]]), np.concatenate([[1.0], bounds, [0.0]])
        cones = [clarabel.ZeroConeT(1), *cones, clarabel.NonnegativeConeT(1)]
    square = np.zeros((width, width))
    square[:n, :n] = program.root.T @ program.root * (1.0 if homogeneous else program.quadratic)
    linear = np.zeros(width)
    if not homogeneous:
        linear[:n] = -program.linear
    answer = clarabel.DefaultSolver(
        sparse.csc_matrix(np.triu(square)), linear, sparse.csc_matrix(whole), bounds, cones, _settings()
    ).solve()
    if answer.status not in SOLVED:
        raise Unsolved(str(answer.status))
    x, z, s = (np.asarray(each) for each in (answer.x, answer.z, answer.s))
    begin = homogeneous + len(rows.equal)
    end = begin + len(rows.most)
    balls = tuple(bool(z[end + j * (n + 1)] > s[end + j * (n + 1)] * 1e-6) for j in range(len(program.balls)))
    scale = x[d] if homogeneous else 1.0
    return Interior(x[:d] / scale, z[begin:end] > s[begin:end], balls)


def _settings() -> clarabel.DefaultSettings:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TOLERANCE
    settings.max_iter = 200
    return settings
