"""`histogram_quantile` and `histogram_fraction` over the rows of columns."""

from collections.abc import Callable

import numpy as np

from luna_serving.engines.promql.columns import Columns
from luna_serving.engines.promql.evaluation.notes import Notes
from luna_serving.engines.promql.functions import histograms
from luna_serving.engines.promql.functions.numbers import parse_float
from luna_serving.engines.promql.labels import Labels, drop, value_of, without_metadata
from luna_serving.engines.promql.series import NAME_LABEL, Floats, Ints

_BOUND = "le"

#: (bounds, counts [buckets, steps], indices of the steps) -> float64 [steps].
_Function = Callable[[Floats, Floats, Ints], Floats]


def quantiles(q: Floats, q_start: int, columns: Columns, start: int, times_ms: Ints, notes: Notes) -> Columns:
    """`histogram_quantile`.

    Args:
        q: float64 [steps].
        q_start: where `q` is in the text.
        columns: the buckets.
        start: where they are in the text.
        times_ms: int64 [steps].
        notes: gets warnings and infos.
    """
    for value in np.unique(q[np.isnan(q) | (q < 0) | (q > 1)]):
        notes.invalid_quantile(float(value), q_start)

    def compute(bounds: Floats, counts: Floats, steps: Ints) -> Floats:
        fixed = histograms.monotonic(bounds, counts)
        # A quantile outside of [0, 1] needs no buckets.
        forced = fixed.forced & (q[steps] >= 0) & (q[steps] <= 1)
        if forced.any():
            when = times_ms[steps][forced]
            notes.forced_monotonicity(
                float(fixed.low[forced].min()),
                float(fixed.high[forced].max()),
                float(fixed.difference[forced].max()),
                int(forced.sum()),
                int(when.min()),
                int(when.max()),
                start,
            )
        return histograms.quantile(q[steps], bounds, fixed.counts)

    def without_infinity(steps: Ints) -> Floats:
        return np.where(q[steps] < 0, -np.inf, np.where(q[steps] > 1, np.inf, np.nan))

    return _by_histogram(columns, start, notes, compute, without_infinity)


def fractions(lower: Floats, upper: Floats, columns: Columns, start: int, notes: Notes) -> Columns:
    """`histogram_fraction`; bounds are float64 [steps]."""

    def compute(bounds: Floats, counts: Floats, steps: Ints) -> Floats:
        return histograms.fraction(lower[steps], upper[steps], bounds, counts)

    return _by_histogram(columns, start, notes, compute, lambda steps: np.full(len(steps), np.nan))


def _by_histogram(
    columns: Columns, start: int, notes: Notes, compute: _Function, without_infinity: Callable[[Ints], Floats]
) -> Columns:
    """Evaluate each histogram, the steps at which the same buckets are present at once."""
    steps = columns.values.shape[1]
    rows_of: dict[Labels, list[int]] = {}
    bounds: list[float] = []
    for row, labels in enumerate(columns.labels):
        bound = parse_float(value_of(labels, _BOUND))
        bounds.append(np.nan if bound is None else bound)
        if bound is None:
            notes.bad_bucket(value_of(labels, _BOUND), start)
            continue
        # As in Prometheus, series with different names are different histograms until the name goes.
        rows_of.setdefault(drop(labels, (_BOUND,)), []).append(row)
    if not rows_of:
        return Columns.empty(steps)
    values = np.zeros((len(rows_of), steps))
    present = np.zeros((len(rows_of), steps), dtype=np.bool_)
    for index, rows in enumerate(rows_of.values()):
        there = columns.present[rows]
        patterns, inverse = np.unique(there, axis=1, return_inverse=True)
        for number in range(patterns.shape[1]):
            some = patterns[:, number]
            if not some.any():
                continue
            at = np.flatnonzero(inverse.ravel() == number)
            chosen = np.array(rows)[some]
            upper, counts = histograms.coalesced(np.array(bounds)[chosen], columns.values[np.ix_(chosen, at)])
            values[index, at] = compute(upper, counts, at) if upper[-1] == np.inf else without_infinity(at)
            present[index, at] = True
    names = tuple(drop(labels, (NAME_LABEL,)) for labels in rows_of)
    return Columns(names, values, present).relabelled(without_metadata).occupied()
