"""The filter with an exact diffuse start (Durbin & Koopman 2012, sections 4.3 and 5.2) in multi-precision.

Observations are taken one by one, in the letters of `recursion.py`. Series side by side share the model and miss the
same points: moments other than means are then the same for all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.observations import LOG_2PI
from luna_serving.engines.statespace.multiprecision.arithmetic import (
    ONE,
    ZERO,
    Floats,
    Matrix,
    Number,
    diagonal,
    exact,
    log,
    nearest,
    outer,
    row_of,
    squared,
)
from luna_serving.engines.statespace.multiprecision.cancellation import summed
from luna_serving.engines.statespace.multiprecision.system import INPUT_ROUNDING, ExactSystem, Observed
from luna_serving.engines.statespace.process.deadline import Clock, check
from luna_serving.engines.statespace.results.saved import Saved

# Relative to F's terms: what the rounding of a caller's matrices, 1e-16, leaves of a variance that should be zero is
# its square.
NO_VARIANCE: Final = 1e-28
# Relative to the largest variances that a forecast's terms have had: what the arithmetic leaves of those that are known
# exactly.
KNOWN_EXACTLY: Final = 1e-80
# Relative to a direction's size: what the arithmetic itself leaves of zero, and the 159 bits of a wave's transition.
NOTHING: Final = 1e-40


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One observation: the prediction before it, and what it did."""

    mean: Matrix  # a [n, series]
    cov: Matrix  # P* [n, n]
    factor: Matrix | None  # A [n, d], P∞ = A A'; None: nothing is diffuse
    error: Matrix | None  # v [1, series]; None: missing
    var: Number  # F
    diffuse_var: Number  # F∞; zero where the observation does not meet the diffuse part
    state_obs_cov: Matrix  # M = P* Z' [n, 1]
    gain: Matrix | None  # K, or K∞; None: nothing was learnt

    @property
    def met(self) -> bool:
        """Whether the observation resolved a diffuse direction."""
        return self.gain is not None and bool(self.diffuse_var > 0)

    def loglike(self) -> Number:
        """What the observation of the first series adds to the log-likelihood (Durbin & Koopman eq. 7.2, 7.4)."""
        if self.gain is None or self.error is None:
            return ZERO
        if self.met:
            return -(LOG_2PI + self.diffuse_var.log()) / 2
        return -(LOG_2PI + self.var.log() + self.error[0, 0] * self.error[0, 0] / self.var) / 2


@dataclass(slots=True, eq=False)
class Filtered:
    """The filter before a row, and what it has left behind: rows for the way back, outputs in float64."""

    mean: Matrix
    cov: Matrix
    factor: Matrix | None
    rank: int
    nobs_diffuse: int
    outputs: "Outputs | None"
    """None: they are not wanted."""
    largest: Floats
    """The largest variance of each state so far [n], by what flows into it from others."""
    rows: list[Row] = field(default_factory=list)


def begin(system: ExactSystem, saved: Saved | None, length: int, series: int, *, outputs: bool = True) -> Filtered:
    """Before the first of `length` rows of `series` series that all start from the same state; None: the model's."""
    start = system.model.start
    if saved is None:
        saved = Saved(start.mean, start.cov, start.diffuse, start.rank, 0, 0)
        mean, cov, diffuse = summed(saved)
        if start.filtered is not None:
            mean, cov = _predicted(system, *map(exact, start.filtered))
    else:
        mean, cov, diffuse = summed(saved)
    if saved.root is not None and not saved.digits:
        root = exact(saved.root)
        cov = root * root.transpose()
    arrays = Outputs(length, system.model.states, series) if outputs else None
    factor = diffuse if saved.rank else None
    begun = saved.nobs_diffuse * system.per_period
    return Filtered(_wide(mean, series), cov, factor, saved.rank, begun, arrays, system.largest)


def _predicted(system: ExactSystem, mean: Matrix, cov: Matrix) -> tuple[Matrix, Matrix]:
    """Moments of the first period from those of one transition earlier."""
    moved = system.move(0)
    mean = moved.transition * mean
    if moved.intercept is not None:
        mean = mean + moved.intercept
    return mean.mid(), (moved.transition * cov * moved.turned + moved.cov).mid()


def advance(
    system: ExactSystem,
    y: Floats,
    filtered: Filtered,
    out_of_time: Clock,
    enough: Callable[[Filtered], bool] = lambda _: False,
) -> None:
    """Filter series `y` [rows, series], NaN where all of them miss, to their end or to the first row that is `enough`.

    Raises:
        OutOfTime: time is out; looked at before each row.
    """
    for t in range(len(filtered.rows), len(y)):
        check(out_of_time)
        if enough(filtered):
            break
        row = _observe(system, t, y[t], filtered)
        filtered.rows.append(row)
        filtered.nobs_diffuse += row.factor is not None
        mean, cov, factor = _correct(row)
        if filtered.outputs is not None:
            filtered.outputs.write(t, row, mean, cov, noise=system.observed(t))
        _move(system, t, filtered, row, mean, cov, factor)
    if filtered.outputs is not None:
        filtered.outputs.predicted(len(filtered.rows), filtered.mean, filtered.cov)


def _observe(system: ExactSystem, t: int, values: Floats, standing: Filtered) -> Row:
    """Compare an observation with its forecast (Durbin & Koopman eq. 4.13, 5.10)."""
    seen = system.observed(t)
    standing.largest = system.larger(standing.largest, diagonal(standing.cov))
    state_obs_cov = standing.cov * seen.turned
    var = ((seen.design * state_obs_cov)[0, 0] + seen.var).mid()
    diffuse_cov, diffuse_var = _diffuse_part(system, seen, standing.factor)
    missing = bool(np.isnan(values[0]))
    error = None if missing else row_of(values) - seen.design * standing.mean
    gain = None
    if not missing and diffuse_var > 0:
        gain = (diffuse_cov * (ONE / diffuse_var)).mid()
    elif not missing and _varies(system, seen, standing, var):
        gain = (state_obs_cov * (ONE / var)).mid()
    return Row(
        standing.mean,
        standing.cov,
        standing.factor,
        None if error is None else error.mid(),
        var,
        diffuse_var,
        state_obs_cov,
        gain,
    )


def _varies(system: ExactSystem, seen: Observed, standing: Filtered, var: Number) -> bool:
    """Whether F is a variance, not the rounding of none; with noise it is never less than that."""
    if seen.var > 0:
        return True
    least = ZERO
    for i in seen.seen:
        square = seen.design[0, i] * seen.design[0, i]
        least = least + KNOWN_EXACTLY * square * float(standing.largest[i])
        if system.inexact[i]:
            least = least + NO_VARIANCE * square * abs(standing.cov[i, i]) * len(seen.seen)
    return bool(var > least)


def _diffuse_part(system: ExactSystem, seen: Observed, factor: Matrix | None) -> tuple[Matrix, Number]:
    """M∞ and F∞ (section 5.2); F∞ exactly zero where the observation does not meet the diffuse part."""
    if factor is None:
        return seen.turned, ZERO
    signal = (seen.design * factor).mid()
    var = squared(signal.entries())
    if not var > rounding(system, seen.design, factor):
        return seen.turned, ZERO
    return (factor * signal.transpose()).mid(), var.mid()


def rounding(system: ExactSystem, design: Matrix, factor: Matrix) -> Number:
    """What |Z A|² is for a row Z [1, n] of the design that does not meet A: the rounding of its terms."""
    least = ZERO
    for i in range(factor.nrows()):
        if design[0, i] != 0:
            share = INPUT_ROUNDING if system.inexact[i] else NOTHING
            for j in range(factor.ncols()):
                size = share * design[0, i] * factor[i, j]
                least = least + size * size
    return least


def corrected(row: Row) -> tuple[Matrix, Matrix]:
    """The filtered mean and P*."""
    mean, cov, _ = _correct(row)
    return mean, cov


def _correct(row: Row) -> tuple[Matrix, Matrix, Matrix | None]:
    """The mean, P* and A with the observation folded in; eq. 4.14, and eq. 5.12 to 5.14 where F∞ > 0."""
    k = row.gain
    if k is None or row.error is None:
        return row.mean, row.cov, row.factor
    mean = row.mean + k * row.error
    turned = k.transpose()
    if not row.met:
        return mean.mid(), (row.cov - row.state_obs_cov * turned).mid(), row.factor
    assert row.factor is not None  # noqa: S101  F∞ is above zero
    cross = row.state_obs_cov * turned
    cov = row.cov - cross - cross.transpose() + outer(k, turned, row.var)
    return mean.mid(), cov.mid(), row.factor


def _move(
    system: ExactSystem, t: int, standing: Filtered, row: Row, mean: Matrix, cov: Matrix, factor: Matrix | None
) -> None:
    """Go on to the next row (eq. 4.21, 4.22)."""
    if factor is not None and row.met:
        factor = _without(factor, system.observed(t), row)
        standing.rank -= 1
    moved = system.moved(t)
    if moved is not None:
        mean = moved.transition * mean
        if moved.intercept is not None:
            mean = mean + _wide(moved.intercept, mean.ncols())
        mean = mean.mid()
        cov = (moved.transition * cov * moved.turned + moved.cov).mid()
        factor = None if factor is None else _cleaned((moved.transition * factor).mid(), factor)
    if factor is None or standing.rank <= 0 or not any(each != 0 for each in factor.entries()):
        factor, standing.rank = None, 0
    standing.mean, standing.cov, standing.factor = mean, cov, factor


def _without(factor: Matrix, seen: Observed, row: Row) -> Matrix:
    """A (I - w' w / |w|²) with w = Z A: the factor of P∞ - M∞ M∞' / F∞ (eq. 5.14)."""
    assert row.gain is not None  # noqa: S101  the observation met the diffuse part
    return _cleaned((factor - row.gain * (seen.design * factor)).mid(), factor)


def _cleaned(factor: Matrix, before: Matrix) -> Matrix:
    """What is left of a state once its directions are resolved is rounding, and set to exactly zero."""
    largest = max((abs(each) for each in before.entries()), key=float, default=ZERO)
    table = factor.table()
    changed = False
    for line in table:
        if any(each != 0 for each in line) and all(abs(each) <= NOTHING * largest for each in line):
            line[:] = [ZERO] * len(line)
            changed = True
    return Matrix(table) if changed else factor


def _wide(column: Matrix, columns: int) -> Matrix:
    return column if columns == 1 else column * Matrix([[1] * columns])


class Outputs:
    """The filter's outputs, row by row in float64."""

    def __init__(self, length: int, states: int, series: int) -> None:
        self.length = length
        self.arrays: dict[str, NDArray[np.float64]] = {
            "predicted_state": np.empty((length + 1, states, series)),
            "predicted_state_cov": np.empty((length + 1, states, states)),
            "filtered_state": np.empty((length, states, series)),
            "filtered_state_cov": np.empty((length, states, states)),
            "gain": np.zeros((length, states)),
            "forecasts": np.empty((length, series)),
            "forecast_error": np.full((length, series), np.nan),
            "forecast_error_cov": np.empty(length),
            "forecast_error_diffuse_cov": np.zeros(length),
            "standardized_forecast_error": np.full((length, series), np.nan),
            "loglike_obs": np.zeros((length, series)),
        }

    def until(self, rows: int) -> dict[str, Floats]:
        """The outputs of the first rows."""
        more = self.length + 1
        return {name: each[: rows + 1] if len(each) == more else each[:rows] for name, each in self.arrays.items()}

    def predicted(self, t: int, mean: Matrix, cov: Matrix) -> None:
        """The prediction before row t."""
        self.arrays["predicted_state"][t] = nearest(mean)
        self.arrays["predicted_state_cov"][t] = nearest(cov)

    def write(self, t: int, row: Row, mean: Matrix, cov: Matrix, *, noise: Observed) -> None:
        """What row t did."""
        arrays = self.arrays
        self.predicted(t, row.mean, row.cov)
        arrays["filtered_state"][t], arrays["filtered_state_cov"][t] = nearest(mean), nearest(cov)
        arrays["forecasts"][t] = nearest(noise.design * row.mean)[0]
        arrays["forecast_error_cov"][t] = float(row.var)
        arrays["forecast_error_diffuse_cov"][t] = float(row.diffuse_var)
        if row.error is None:
            return
        errors = nearest(row.error)[0]
        arrays["forecast_error"][t] = errors
        if row.gain is None:
            return
        arrays["gain"][t] = nearest(row.gain)[:, 0]
        if row.met:
            arrays["loglike_obs"][t] = -0.5 * (LOG_2PI + log(row.diffuse_var))
            return
        standardized = nearest(row.error * (ONE / row.var.sqrt()))[0]
        arrays["standardized_forecast_error"][t] = standardized
        with np.errstate(over="ignore"):
            arrays["loglike_obs"][t] = -0.5 * (LOG_2PI + log(row.var) + standardized**2)
