"""Smoothed means of many series that share a model, a length and their missing observations: one pass over a matrix.

The smoothed mean is linear in the observations, and its weights are the same for all such series
(`shared_weights`). Forward, one product per period takes (a, y) of every series to the next a; backward, one takes
(r, s) to the r of the period before; everything else follows from these for many periods at once. In the exact
diffuse phase r1 goes back beside r (Durbin & Koopman 2012, sections 4.4 and 5.3).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.model.observations import collapsed_rows_of, collapses
from luna_serving.engines.statespace.process.deadline import Clock, check, never
from luna_serving.engines.statespace.process.jax_process import require_float64
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.running.packing import Group, group
from luna_serving.engines.statespace.running.prepared import prepare
from luna_serving.engines.statespace.simulation.shared_weights import DiffusePeriod, Weights, weights_of

Floats = NDArray[np.float64]

# Numbers in a covariance [rows, n, n] of one piece of time: 4 MB, and a piece takes the filter at most 0.1 s.
PIECE_NUMBERS: Final = 500_000
# Numbers in the weights that are kept for the way back; those of earlier pieces are computed again.
KEPT_NUMBERS: Final = 32_000_000
# Whose rows are made at once: 4 MB of weights of 64 observations and 64 rows.
PERIODS_AT_A_TIME: Final = 128
# Multiplications of one product: beyond these OpenBLAS wakes its threads, which wait for each other actively. Where
# other work has the cores, 144 products of [27, 28] with [28, 1000] took 5 s instead of 0.06.
PRODUCT: Final = 4 * 65_536
# Multiplications between two looks at the deadline: some 20 ms.
CHECK_EVERY: Final = 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class SharedMeans:
    """Smoothed means, of a model whose intercepts and start mean count as zero."""

    means: Floats  # [series, T, n]
    finite: NDArray[np.bool_]  # [series]; False: overflow, and the means must not be shown
    determined: bool
    """False: the observations leave a state of the diffuse start open, and the means are NaN."""
    root: bool
    """Whether the covariances came from the square-root filter."""


def shared_means(model: Model, y: Floats, out_of_time: Clock = never) -> SharedMeans:
    """E[state | y] for each series, with zero intercepts and a zero start mean.

    With them it is E[state | y] - E[state | y'] for differences y - y' of series under the model as it is.

    Args:
        model: what they have in common.
        y: [series, T, m], one series or more, NaN where missing: in the same places in all of them.
        out_of_time: looked at between steps.

    Raises:
        OutOfTime: the time was over.
    """
    require_float64()
    series, periods, _ = y.shape
    pattern = np.where(np.isnan(y[0]), np.nan, 0.0)
    shape = next(group([(pattern, model)], "full"))
    pieces = _Pieces(model, pattern, shape, out_of_time)
    prepared = prepare(model, root=shape.kind.root)
    n = model.states
    if pieces.met < prepared.saved.rank:
        nothing = np.full((series, periods, n), np.nan)
        return SharedMeans(nothing, np.ones(series, np.bool_), determined=False, root=shape.kind.root)
    rows = _blocks(_rows(model, y), n)
    with np.errstate(over="ignore", invalid="ignore"):
        states, errors = _forward(pieces, rows, n, out_of_time)
        _backward(pieces, states, errors, out_of_time)
        means = _series_first(states / prepared.scale[:, None], series)
    finite = np.isfinite(means.reshape(series, periods * n)).all(axis=1)
    return SharedMeans(means, np.asarray(finite), determined=True, root=shape.kind.root)


class _Pieces:
    """The weights of all periods, a piece of time after the other; the first of them cost one pass of the filter."""

    def __init__(self, model: Model, pattern: Floats, shape: Group, out_of_time: Clock) -> None:
        self._model, self._pattern, self._shape, self._out_of_time = model, pattern, shape, out_of_time
        self._starts: list[Saved | None] = []
        self._kept: dict[int, Weights] = {}
        self.met = 0
        rows, states = shape.kind.rows, shape.kind.states
        chunk = shape.kind.buckets("full").lengths[-1]
        wanted = max(PIECE_NUMBERS // (states * states), chunk)
        self._length = max(wanted // chunk * chunk // rows, 1)
        numbers, start = 0, None
        for first, last in self.spans:
            check(out_of_time)
            self._starts.append(start)
            weights, start = self._computed(first, last, start)
            self.met += weights.met
            numbers += (last - first) * 4 * states * (states + rows)
            if numbers <= KEPT_NUMBERS:
                self._kept[first] = weights

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First period of each piece, and the first after it."""
        ends = range(0, max(len(self._pattern), 1), self._length)
        return [(first, min(first + self._length, len(self._pattern))) for first in ends]

    def each(self, *, backwards: bool = False) -> Iterator[tuple[int, int, Weights]]:
        """The pieces in their order, or the last first."""
        for number, (first, last) in reversed([*enumerate(self.spans)]) if backwards else enumerate(self.spans):
            check(self._out_of_time)
            kept = self._kept.get(first)
            yield first, last, kept or self._computed(first, last, self._starts[number])[0]

    def _computed(self, first: int, last: int, start: Saved | None) -> tuple[Weights, Saved | None]:
        ends = last == len(self._pattern)
        return weights_of(self._model, self._pattern[first:last], self._shape, start, ends=ends)


def _blocks(rows: Floats, n: int) -> Floats:
    """The series in blocks for one product each [T, block, k, column]; the last is filled up with zeros."""
    periods, k, series = rows.shape
    columns = min(series, max(1, PRODUCT // (n * (n + k))))
    count = -(-series // columns)
    padded = np.zeros((periods, k, count * columns))
    padded[:, :, :series] = rows
    return np.ascontiguousarray(padded.reshape(periods, k, count, columns).swapaxes(1, 2))


def _series_first(states: Floats, series: int) -> Floats:
    """[series, T, n] of [T, block, n, column]."""
    periods, blocks, n, columns = states.shape
    return np.ascontiguousarray(states.transpose(1, 3, 0, 2).reshape(blocks * columns, periods, n)[:series])


def _rows(model: Model, y: Floats) -> Floats:
    """The observations as rows of one uncorrelated observation each [T, k, series], zero where missing."""
    known = np.where(np.isnan(y), 0.0, y).transpose(1, 2, 0)
    off = np.abs(model.obs_cov) * (1 - np.eye(model.observed))
    if not collapses(model) and not off.any():
        return np.ascontiguousarray(known)
    # Rows are linear in a period's observations: their weights are what unit vectors become.
    plain = replace(model, obs_intercept=np.zeros(model.observed))
    parts: list[Floats] = []
    for first in range(0, len(known), PERIODS_AT_A_TIME):
        part = slice(first, first + PERIODS_AT_A_TIME)
        pattern = np.where(np.isnan(y[0, part]), np.nan, 0.0)
        units = [collapsed_rows_of(plain, pattern + unit, first).y for unit in np.eye(model.observed)]
        weights = np.nan_to_num(np.stack(units, axis=-1)).reshape(len(pattern), -1, model.observed)
        parts.append(weights @ known[part])
    return np.concatenate(parts)


def _forward(pieces: _Pieces, rows: Floats, n: int, out_of_time: Clock) -> tuple[Floats, Floats]:
    """The filtered states [T, block, n, column] and the forecast errors v [T, block, k, column]."""
    periods, blocks, k, columns = rows.shape
    states, errors = np.empty((periods, blocks, n, columns)), np.empty_like(rows)
    every = _steps_between_checks(n, k, blocks * columns)
    mean = np.zeros((blocks, n, columns))
    for first, last, weights in pieces.each():
        both = np.empty((last - first + 1, blocks, n + k, columns))
        both[:-1, :, n:], both[0, :, :n] = rows[first:last], mean
        for t in range(last - first):
            if not t % every:
                check(out_of_time)
            np.matmul(weights.forward[t], both[t], out=both[t + 1, :, :n])
        mean, both = both[-1, :, :n].copy(), both[:-1]
        np.matmul(weights.filtered[:, None], both, out=states[first:last])
        np.matmul(weights.errors[:, None], both, out=errors[first:last])
    return states, errors


def _backward(pieces: _Pieces, states: Floats, errors: Floats, out_of_time: Clock) -> None:
    """Add to the filtered states what later observations say of them."""
    _, blocks, n, columns = states.shape
    k = errors.shape[2]
    every = _steps_between_checks(n, k, blocks * columns)
    r = r1 = np.zeros((blocks, n, columns))
    for first, last, weights in pieces.each(backwards=True):
        diffuse = len(weights.diffuse)
        scores = errors[first:last] * weights.scores[:, None, :, None]
        # Row t + 1: r after period t, and the scores of period t.
        both = np.empty((last - first + 1, blocks, n + k, columns))
        both[1:, :, n:], both[-1, :, :n] = scores, r
        for t in reversed(range(diffuse, last - first)):
            if not t % every:
                check(out_of_time)
            np.matmul(weights.backward[t], both[t + 1], out=both[t, :, :n])
        states[first + diffuse : last] += weights.spread[diffuse:, None] @ both[diffuse + 1 :, :, :n]
        r = both[diffuse, :, :n].copy()
        for t in reversed(range(diffuse)):
            check(out_of_time)
            period = weights.diffuse[t]
            across = period.transition.T @ r1
            states[first + t] += weights.spread[t] @ r + period.kept @ (period.kept.T @ across)
            r, r1 = _through(period, errors[first + t], scores[t], period.transition.T @ r, across)


def _through(period: DiffusePeriod, error: Floats, score: Floats, r: Floats, r1: Floats) -> tuple[Floats, Floats]:
    """Take a period's observations, last first, into r and r1 of its state [block, n, column] (eq. 5.19 to 5.22)."""
    for j, row in reversed([*enumerate(period.rows)]):
        z = row.design[:, None]
        said = row.weight_1 * error[:, j] - row.gain @ r1 - row.gain_1 @ r
        r1 = r1 + z * said[:, None]
        r = r + z * (score[:, j] - row.gain @ r)[:, None]
    return r, r1


def _steps_between_checks(n: int, k: int, series: int) -> int:
    return max(1, CHECK_EVERY // (n * (n + k) * series))
