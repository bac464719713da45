"""The rows of time of one model in multi-precision: what is observed, and how the state moves after it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.floors import reach
from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.model.observations import Rows, collapses
from luna_serving.engines.statespace.multiprecision.arithmetic import Floats, Matrix, Memo, Number, exact, row_of

# Rounding in a caller's matrices moves a signal by this multiple of its terms: below, nothing is observed of them.
INPUT_ROUNDING: Final = 2e-15
# Relative to variances that are summed in float64.
LARGEST: Final = 1e300


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """How a row is observed."""

    design: Matrix  # Z [1, n]
    turned: Matrix  # Z' [n, 1]
    seen: tuple[int, ...]  # the states with a design that is not zero
    var: Number  # H


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """How the state moves from one period to the next."""

    transition: Matrix  # T [n, n]
    turned: Matrix  # T'
    intercept: Matrix | None  # c [n, 1]; None: zero
    cov: Matrix  # R Q R'


class ExactSystem:
    """The matrices of a series' rows, its first period being period `first` of the model."""

    def __init__(self, model: Model, rows: Rows, first: int) -> None:
        self.model = model
        self.per_period = model.states if collapses(model) else model.observed
        self.inexact = _inexact(model)
        self.first = first
        self._rows = rows
        self._reach = reach(model)
        self._matrix = Memo()
        self._observed: dict[bytes, Observed] = {}
        self._moved: dict[int, Moved] = {}
        noise = np.diagonal(model.disturbance_cov, axis1=-2, axis2=-1).reshape(-1, model.states).max(axis=0)
        self.largest = self.larger(np.zeros(model.states), np.maximum(noise, np.diagonal(model.start.cov)))

    def observed(self, t: int) -> Observed:
        """How row t is observed."""
        design, var = self._rows.design[t], float(self._rows.obs_var[t])
        key = design.tobytes() + np.float64(var).tobytes()
        known = self._observed.get(key)
        if known is None:
            matrix = row_of(design)
            seen = tuple(np.flatnonzero(design).tolist())
            known = self._observed[key] = Observed(matrix, matrix.transpose(), seen, Number(var))
        return known

    def moved(self, t: int) -> Moved | None:
        """How the state moves after row t; None where the next row is of the same period."""
        if t % self.per_period != self.per_period - 1:
            return None
        period = 0 if self.model.length is None else self.first + t // self.per_period
        known = self._moved.get(period)
        if known is None:
            known = self._moved[period] = self.move(period)
        return known

    def move(self, period: int) -> Moved:
        """How the state moves from a period of the model to the next."""
        model = self.model
        transition = self._matrix(model.transition_at(period))
        for rest in model.transition_rest:
            transition = transition + self._matrix(rest)
        intercept = model.state_intercept_at(period)
        return Moved(
            transition,
            transition.transpose(),
            exact(intercept) if intercept.any() else None,
            self._disturbance_cov(period),
        )

    def _disturbance_cov(self, period: int) -> Matrix:
        """R Q R' of a period of the model; rounded to float64 it need not be a covariance."""
        selection = self._matrix(over_time(self.model.selection, 2, period, 1)[0])
        cov = self._matrix(over_time(self.model.state_cov, 2, period, 1)[0])
        return (selection * cov * selection.transpose()).mid()

    def shocks(self, period: int) -> tuple[Matrix, Matrix]:
        """Q [r, r] and Q R' [r, n] of the step after a period of the series."""
        at = self.first + period
        cov = self._matrix(over_time(self.model.state_cov, 2, at, 1)[0])
        return cov, cov * self._matrix(over_time(self.model.selection, 2, at, 1)[0]).transpose()

    def larger(self, largest: Floats, variances: Floats) -> Floats:
        """The larger of these variances and of others, by what flows from state to state [n]."""
        if (variances <= largest).all():
            return largest
        with np.errstate(over="ignore"):
            flows = (self._reach**2 * np.abs(variances)).max(axis=1)
        larger: Floats = np.minimum(np.maximum(largest, flows), LARGEST)
        return larger

    def signal(self, period: int) -> tuple[Matrix, Floats]:
        """Z [m, n] and d [m] of a period of the series, as the model has them."""
        at = self.first + period
        design = over_time(self.model.design, 2, at, 1)[0]
        return self._matrix(design), over_time(self.model.obs_intercept, 1, at, 1)[0]


def _inexact(model: Model) -> NDArray[np.bool_]:
    """States whose design or transition holds numbers that a caller may have rounded [n].

    Not whole numbers, nor a column that is a single number wherever it is not zero: a dummy in some unit.
    """
    design = model.design.reshape(-1, model.states)
    found: NDArray[np.bool_] = np.array([len(np.unique(column[column != 0])) > 1 for column in design.T])
    found &= np.any(design != np.round(design), axis=0)
    if not model.transition_rest:
        transition = model.transition.reshape(-1, model.states, model.states)
        rounded = np.any(transition != np.round(transition), axis=0)
        found |= np.any(rounded, axis=0) | np.any(rounded, axis=1)
    return found
