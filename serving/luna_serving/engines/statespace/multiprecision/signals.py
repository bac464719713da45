"""Moments of what is observed, Z state + d, in multi-precision: in float64 they cancel where states do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from luna_serving.engines.statespace.multiprecision.arithmetic import Floats, Matrix, nearest, squared
from luna_serving.engines.statespace.multiprecision.filter import Filtered, corrected, rounding
from luna_serving.engines.statespace.multiprecision.smoother import Smoothed
from luna_serving.engines.statespace.multiprecision.system import ExactSystem
from luna_serving.engines.statespace.results.series import SignalMoments


class Signal(NamedTuple):
    """The moments of one period's signal."""

    mean: Floats  # [m, series]
    cov: Floats  # [m, m]


def signal(system: ExactSystem, period: int, mean: Matrix, cov: Matrix) -> Signal:
    """The moments of the signal of a state with this mean [n, series] and covariance [n, n]."""
    design, intercept = system.signal(period)
    spread = design * cov * design.transpose()
    variances = nearest(spread)
    variances = (variances + variances.T) / 2
    return Signal(nearest(design * mean) + intercept[:, None], variances)


def diffuse_signal(
    system: ExactSystem, period: int, factor: Matrix | None
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which elements have an infinite variance [m]."""
    design, _ = system.signal(period)
    if factor is None:
        return np.zeros(design.nrows(), bool)
    found = []
    for i in range(design.nrows()):
        row = Matrix([[design[i, k] for k in range(design.ncols())]])
        found.append(bool(squared((row * factor).mid().entries()) > rounding(system, row, factor)))
    return np.array(found)


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """The moments of each filtered period's signal: before its observations, after them, and given all."""

    predicted: list[Signal]
    """Only of several observed elements: those of one are the filter's own outputs."""
    filtered: list[Signal]
    smoothed: list[Signal] | None

    @classmethod
    def of(cls, system: ExactSystem, filtered: Filtered, smoothed: Sequence[Smoothed] | None) -> Self:
        """The signals of all series at once."""
        k, rows = system.per_period, filtered.rows
        periods, several = range(len(rows) // k), system.model.observed > 1
        given_all = None
        if smoothed is not None:
            given_all = [signal(system, p, smoothed[p * k].mean, smoothed[p * k].cov) for p in periods]
        return cls(
            [signal(system, p, rows[p * k].mean, rows[p * k].cov) for p in periods if several],
            [signal(system, p, *corrected(rows[p * k + k - 1])) for p in periods],
            given_all,
        )


def moments(signals: Sequence[Signal], place: int, m: int) -> SignalMoments:
    """Those of one series."""
    mean = np.array([each.mean[:, place] for each in signals]).reshape(len(signals), m)
    variance = np.array([np.diagonal(each.cov) for each in signals]).reshape(len(signals), m)
    return SignalMoments(mean[:, 0], variance[:, 0]) if m == 1 else SignalMoments(mean, variance)
