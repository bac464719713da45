"""One long series with gaps, cut into pieces that run side by side as the lanes of a batch.

The filter forgets: two filters of the same observations agree to the last digits after some periods, wherever they
started. So each piece starts `overlap` periods early, from moments that are wrong, and is right when its own
periods begin. That this is so is not assumed but checked at every seam: there, the lane that warmed up and the lane
that owns the periods before must agree, in mean and covariance. Seams that do not make the overlap longer, and in
the end the plan gives up (None): the series then runs as one lane.
"""

from concurrent.futures import Executor
from typing import Final

import numpy as np

from luna_serving.engines.statespace.plans.memory import Floats
from luna_serving.engines.statespace.plans.per_series import ModelArrays, Moments, per_series_filter
from luna_serving.engines.statespace.plans.tiles import WIDTHS

# Seams must agree to this part of a standard deviation (mean) or of a variance (covariance), or of the mean's size.
SEAM: Final = 1e-13
SHORTEST_OVERLAP: Final = 64
# Pieces from which running side by side pays for what runs twice.
FEWEST: Final = 32


def parallel_in_time_means(
    lanes: ModelArrays, y: Floats, start: Moments, *, pool: Executor | None = None, threads: int = 1
) -> tuple[Floats, Moments] | None:
    """Filtered means `[time, n]` of one series and the predicted moments after it; None where it does not pay.

    Args:
        lanes: the model, a batch of one.
        y: `[time]`; NaN where missing.
        start: predicted moments of the first period, a batch of one.
        pool: where the tiles run; None is here.
        threads: of the pool.
    """
    overlap, guess = forgetting(lanes, y, start, len(y) // (4 * FEWEST))
    while overlap is not None and (count := pieces(len(y), overlap, threads)) >= FEWEST:
        result = _attempt(lanes, y, start, guess, count, overlap, pool, threads)
        if result is not None:
            return result
        overlap *= 2
    return None


def pieces(length: int, overlap: int, threads: int) -> int:
    """Into how many pieces to cut: a full tile per thread, or fewer that are 4 overlaps long."""
    return min(WIDTHS[-1] * max(1, threads), length // (4 * overlap))


def forgetting(lanes: ModelArrays, y: Floats, start: Moments, longest: int) -> tuple[int | None, Moments]:
    """Periods after which two starts agree on the first observations, and the moments then: a guess for others.

    One filter starts where the series does, the other from zero with a covariance 4 times as large and the
    disturbances' on top. None if `longest` periods do not suffice.
    """
    both = ModelArrays(*(np.repeat(part, 2, axis=-1) for part in lanes))
    other = 4 * start.cov + lanes.state_cov
    moments = Moments(
        np.concatenate([start.mean, np.zeros_like(start.mean)], axis=-1), np.concatenate([start.cov, other], axis=-1)
    )
    done, reach = 0, SHORTEST_OVERLAP
    while reach <= longest:
        _, moments = per_series_filter(both, np.broadcast_to(y[done:reach], (2, reach - done)), moments)
        if agree(lanes, _lanes(moments, slice(0, 1)), _lanes(moments, slice(1, 2))).all():
            return reach, _lanes(moments, slice(0, 1))
        done, reach = reach, 2 * reach
    return None, start


def agree(lanes: ModelArrays, one: Moments, other: Moments) -> Floats:
    """Which lanes of two batches of moments are the same up to `SEAM`.

    What rounding a forecast of many standard deviations moves a state by is not held against it.
    """
    deviation = np.sqrt(np.diagonal(one.cov).T)  # [state, batch]
    z = lanes.design
    every = np.broadcast_to(z, one.mean.shape)
    forecast_var = np.einsum("ib,ijb,jb->b", every, one.cov, every) + lanes.obs_var
    forecast = (np.abs(z) * np.abs(one.mean)).sum(axis=0) / np.sqrt(forecast_var)
    mean = np.abs(one.mean - other.mean) <= SEAM * (deviation * (1 + forecast) + np.abs(one.mean))
    cov = np.abs(one.cov - other.cov) <= SEAM * deviation[:, None] * deviation[None]
    return np.asarray(mean.all(axis=0) & cov.all(axis=(0, 1)))


def _attempt(
    lanes: ModelArrays,
    y: Floats,
    start: Moments,
    guess: Moments,
    count: int,
    overlap: int,
    pool: Executor | None,
    threads: int,
) -> tuple[Floats, Moments] | None:
    """All pieces with this overlap; None if a seam does not agree."""
    size = -(-len(y) // count)
    cut = _cut(y, size, overlap)
    count = len(cut)
    every = ModelArrays(*(np.repeat(part, count, axis=-1) for part in lanes))
    early = Moments(np.repeat(guess.mean, count, axis=-1), np.repeat(guess.cov, count, axis=-1))
    _, warmed = per_series_filter(every, cut[:, :overlap], early, pool=pool, threads=threads)
    # The first piece has nothing before it to warm up on.
    warmed.mean[:, :1], warmed.cov[:, :, :1] = start.mean, start.cov
    means, ended = per_series_filter(every, cut[:, overlap:], warmed, pool=pool, threads=threads)
    if not agree(lanes, _lanes(ended, slice(0, -1)), _lanes(warmed, slice(1, None))).all():
        return None
    # The last piece is shorter than the rows that its lane ran through.
    _, last = per_series_filter(lanes, y[None, (count - 1) * size :], _lanes(warmed, slice(-1, None)))
    return means.reshape(-1, means.shape[2])[: len(y)], last


def _cut(y: Floats, size: int, overlap: int) -> Floats:
    """Pieces, each with the rows before it: a view `[piece, overlap + size]`, NaN where there are none."""
    count = -(-len(y) // size)
    padded = np.full(overlap + count * size, np.nan)
    padded[overlap : overlap + len(y)] = y
    windows: Floats = np.lib.stride_tricks.sliding_window_view(padded, overlap + size)[::size]
    return windows


def _lanes(moments: Moments, which: slice) -> Moments:
    return Moments(*(part[..., which] for part in moments))
