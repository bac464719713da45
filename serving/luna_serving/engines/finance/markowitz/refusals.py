"""Why a problem has no answer, named after what a caller can do about it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.finance.markowitz.constraints import Place


class Infeasible(Exception):
    """No portfolio satisfies all constraints: relax one of those in conflict."""

    def __init__(self, conflict: Sequence[Place], gap: float) -> None:
        """Name the conflict.

        Args:
            conflict: constraints that contradict each other; without any one of them there would be a portfolio.
            gap: the least sum of violations of all constraints, in their own units.
        """
        super().__init__(f"{len(conflict)} constraints contradict each other by {gap:.6g}")
        self.conflict = tuple(conflict)
        self.gap = gap


class NoExcessReturn(Exception):
    """No portfolio is expected to return more than the risk-free rate."""

    def __init__(self, best: float) -> None:
        """Say the largest expected return that the constraints allow."""
        super().__init__(f"the largest expected return is {best:.6g}")
        self.best = best


class Riskless(Exception):
    """A portfolio without risk returns more than the risk-free rate: the Sharpe ratio has no maximum."""


class NotPositiveSemidefinite(Exception):
    """A covariance matrix has a negative eigenvalue."""

    def __init__(self, eigenvalue: float, nearest: NDArray[np.float64]) -> None:
        """Say the smallest eigenvalue, and the nearest matrix that has none below zero."""
        super().__init__(f"the smallest eigenvalue is {eigenvalue:.6g}")
        self.eigenvalue = eigenvalue
        self.nearest = nearest


class Undetermined(Exception):
    """The data determine no estimate, such as a variance of one observation."""

    def __init__(self, member: str, message: str) -> None:
        """Name the member of the input at fault, and the cure."""
        super().__init__(message)
        self.member = member
        self.message = message


class Unsolved(Exception):
    """The problem is feasible, and the solver came to no solution."""
