"""Compensated sums over windows of samples, bit for bit as Prometheus adds (Kahan's sum as improved by Neumaier).

A window is a run of indices `first .. end - 1` of flat arrays. Many short windows are added side by side, one sample of
each at a time; few long windows are added one after the other. Both give the same bits, as each window's samples are
added in order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from luna_serving.engines.promql.series import Bools, Floats, Ints

#: Gives the summands: (indices of samples, windows they belong to) -> float64 [indices].
Term = Callable[[Ints, Ints], Floats]

_CHECK_EVERY = 16


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of windows.

    Attributes:
        total: float64 [windows], without the compensation.
        compensation: float64 [windows], to be added.
        overflowed: bool [windows]: a running sum was infinite.
    """

    total: Floats
    compensation: Floats
    overflowed: Bools


def side_by_side(first: Ints, end: Ints, check: Callable[[], None]) -> Iterator[tuple[int, Ints, Ints]]:
    """Walk along all windows at once.

    Args:
        first: int64 [windows].
        end: int64 [windows], above `first`.
        check: called now and then.

    Yields:
        `k`, the windows that have a sample `k`, and the indices of these samples. The windows at `k + 1` are the first
        ones of those at `k`.
    """
    lengths = end - first
    longest = int(lengths.max(initial=0))
    order = np.arange(len(first))
    if len(first) and (lengths != longest).any():
        order = np.argsort(-lengths, kind="stable")
    starts = first[order]
    active = len(first) - np.cumsum(np.bincount(lengths, minlength=longest + 1))
    for k in range(longest):
        if k % _CHECK_EVERY == 0:
            check()
        count = len(first) if k == 0 else int(active[k])
        yield k, order[:count], starts[:count] + k


def compensated_sums(first: Ints, end: Ints, term: Term, check: Callable[[], None]) -> Sums:
    """The sum of `term` over each window.

    Args:
        first: int64 [windows].
        end: int64 [windows], above `first`.
        term: what to add.
        check: called now and then.
    """
    count = len(first)
    if count <= int((end - first).max(initial=0)):
        return _one_by_one(first, end, term, check)
    total = np.zeros(count)
    compensation = np.zeros(count)
    overflowed = np.zeros(count, dtype=np.bool_)
    running = np.zeros(count)
    rest = np.zeros(count)
    order = np.arange(count)
    with np.errstate(all="ignore"):
        for k, windows, indices in side_by_side(first, end, check):
            active = len(windows)
            if k == 0:
                order = windows
            value = term(indices, windows)
            before = running[:active]
            after = before + value
            # The exact rounding error of the addition (Knuth's TwoSum).
            rounded = after - before
            error = (before - (after - rounded)) + (value - rounded)
            rest[:active] += error
            running[:active] = after
            infinite = np.isinf(after)
            if infinite.any():
                rest[:active][infinite] = 0.0
                overflowed[windows[infinite]] = True
    total[order] = running
    compensation[order] = rest
    return Sums(total, compensation, overflowed)


def _one_by_one(first: Ints, end: Ints, term: Term, check: Callable[[], None]) -> Sums:
    count = len(first)
    total, compensation, overflowed = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.bool_)
    with np.errstate(all="ignore"):
        for window in range(count):
            check()
            indices = np.arange(first[window], end[window])
            values = term(indices, np.full(len(indices), window))
            after = np.add.accumulate(values)
            before = np.concatenate(([0.0], after[:-1]))
            rounded = after - before
            errors = (before - (after - rounded)) + (values - rounded)
            infinite = np.flatnonzero(np.isinf(after))
            # An infinite running sum forgets the errors before it.
            since = int(infinite[-1]) + 1 if len(infinite) else 0
            errors = errors[since:]
            total[window] = after[-1] if len(after) else 0.0
            compensation[window] = np.add.accumulate(errors)[-1] if len(errors) else 0.0
            overflowed[window] = len(infinite) > 0
    return Sums(total, compensation, overflowed)


def add(value: float, total: float, compensation: float) -> tuple[float, float]:
    """One step of the sum on plain numbers, for what cannot go side by side."""
    after = total + value
    if after in (np.inf, -np.inf):
        return after, 0.0
    if abs(total) >= abs(value):
        return after, compensation + ((total - after) + value)
    return after, compensation + ((value - after) + total)


def means(values: Floats, first: Ints, end: Ints, check: Callable[[], None]) -> Floats:
    """The mean of each window. As in Prometheus, a sum that would overflow becomes an incremental mean.

    Args:
        values: float64 [samples].
        first: int64 [windows].
        end: int64 [windows], above `first`.
        check: called now and then.
    """
    sums = compensated_sums(first, end, lambda indices, _: values[indices], check)
    count = (end - first).astype(np.float64)
    with np.errstate(all="ignore"):
        mean = sums.total / count + sums.compensation / count
    for window in np.flatnonzero(sums.overflowed):
        mean[window] = _incremental_mean(values[first[window] : end[window]].tolist())
    return mean


def _incremental_mean(values: list[float]) -> float:
    total, compensation, mean, incremental = values[0], 0.0, 0.0, False
    count = 1.0
    for value in values[1:]:
        count += 1
        if not incremental:
            after, rest = add(value, total, compensation)
            if after not in (np.inf, -np.inf):
                total, compensation = after, rest
                continue
            incremental = True
            mean = total / (count - 1)
            compensation /= count - 1
        weight = (count - 1) / count
        mean, compensation = add(value / count, weight * mean, weight * compensation)
    return mean + compensation if incremental else total / count + compensation / count
