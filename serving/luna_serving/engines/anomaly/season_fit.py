"""Whether a series has a daily or weekly pattern, and its coefficients: harmonic regression beside a random-walk level.

Least squares alone finds patterns in every random walk. Here values and regressors pass the same Kalman filter of a
local level, which turns correlated errors into independent ones (generalised least squares; Durbin and Koopman 2012,
"Time Series Analysis by State Space Methods", section 6.2.3), for a few ratios of level noise to observation noise.
Ratio and number of harmonics minimise Schwarz' criterion. Means over bins of 15 to 60 minutes keep it cheap; what a
bin's mean takes from a harmonic is known and given back.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.engines.anomaly.panel import Bools, Floats, Ints
from luna_serving.engines.anomaly.season import DAILY, DAY_MS, WEEK_MS, WEEKLY, Complexes, as_complex, columns

MINUTE_MS: Final = 60_000
DAYS_FOR_DAILY: Final = 2.5
DAYS_FOR_WEEKLY: Final = 18.0
RATIOS: Final = np.array([1e-4, 1e-2, 1e-1, 1.0, 10.0, 1e3])
DAILY_CHOICES: Final = (0, 1, 2, 3, 4, 6, 8, 12, 16, 20)
DAILY_BESIDE_WEEKLY: Final = 12
WEEKLY_CHOICES: Final = (3, 6, 12, 18, 24)
WEEKLY_HARMONICS: Final = np.array([k for k in range(1, WEEKLY + 1) if k % 7])
# A pattern must be better than none by this much of the criterion: odds of 150 to 1.
EVIDENCE: Final = 10.0
HUBER: Final = 2.5
NORMAL_SCALE: Final = 1.4826
BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Pattern:
    """Patterns of series."""

    daily: Complexes
    weekly: Complexes
    fitted: Floats
    """Shape (series,): numbers of coefficients."""


def bin_minutes(interval: float, days: float) -> int | None:
    """The width of the bins, or None where a series is too short or too sparse for a pattern."""
    if days < DAYS_FOR_DAILY or interval > 60 * MINUTE_MS:
        return None
    if interval <= 15 * MINUTE_MS and days <= 14:
        return 15
    return 30 if interval <= 30 * MINUTE_MS else 60


def fit(series: list[tuple[Ints, Floats]], minutes: int, intervals: Floats) -> Pattern:
    """Fits series whose bins have one width.

    Args:
        series: times and values around zero, NaN where missing, without isolated outliers.
        minutes: width of a bin.
        intervals: median time between samples, ms.
    """
    width = minutes * MINUTE_MS
    first = min(int(times[0]) for times, _ in series) // width
    last = max(int(times[-1]) for times, _ in series) // width
    means = np.stack([_means(times // width - first, values, last - first + 1) for times, values in series], axis=1)
    centres = (np.arange(first, last + 1) * width) + width // 2
    spans = np.array([(times[-1] - times[0]) / DAY_MS for times, _ in series])
    count = len(series)
    result = Pattern(np.zeros((count, DAILY), complex), np.zeros((count, WEEKLY), complex), np.zeros(count))
    for weekly in (False, True):
        lanes = np.flatnonzero((spans >= DAYS_FOR_WEEKLY) == weekly)
        if len(lanes) == 0:
            continue
        design, prefixes = _design(centres, width, weekly=weekly)
        step = max(1, BYTES // (8 * len(centres) * len(RATIOS) * (design.shape[1] + 1)))
        for start in range(0, len(lanes), step):
            some = lanes[start : start + step]
            _fit_some(means[:, some], design, prefixes, some, result, weekly=weekly)
    attenuated = (intervals < 0.75 * width)[:, None]
    for coefficients, period in ((result.daily, DAY_MS), (result.weekly, WEEK_MS)):
        kept = np.sinc(np.arange(1, coefficients.shape[1] + 1) * width / period)
        np.divide(coefficients, np.where(attenuated, kept, 1.0), out=coefficients)
    return result


def _means(cells: Ints, values: Floats, count: int) -> Floats:
    present = np.isfinite(values)
    number = np.bincount(cells[present], minlength=count)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(cells[present], values[present], minlength=count) / number)


def _design(centres: Ints, width: int, *, weekly: bool) -> tuple[Floats, Ints]:
    """Regressors and the numbers of leading columns among which to choose."""
    most = min(DAILY_BESIDE_WEEKLY if weekly else DAILY, int(DAY_MS / (2.4 * width)))
    choices = [2 * k for k in DAILY_CHOICES if k <= most]
    parts = [columns(centres, DAY_MS, np.arange(1, choices[-1] // 2 + 1))]
    if weekly:
        parts.append(columns(centres, WEEK_MS, WEEKLY_HARMONICS))
        choices += [choices[-1] + 2 * k for k in WEEKLY_CHOICES]
    return np.concatenate(parts, axis=1), np.array(choices)


def _fit_some(means: Floats, design: Floats, prefixes: Ints, lanes: Ints, result: Pattern, *, weekly: bool) -> None:
    whitened, log_variance, present = _whitened(means, design)
    ratio, chosen, solved = _select(whitened, present.astype(np.float64), log_variance, prefixes)
    # Once more with Huber's weights, at the chosen ratio.
    every = np.arange(len(lanes))
    picked = whitened[:, ratio, every]
    residual = np.abs(picked[..., -1] - np.einsum("tsc,sc->ts", picked[..., :-1], solved))
    spread = NORMAL_SCALE * np.array([np.median(residual[present[:, i], i]) for i in every])
    weight = present * np.minimum(1.0, HUBER * spread / np.maximum(residual, 1e-300))
    _, chosen, solved = _select(picked[:, None], weight, log_variance[ratio, every][None], prefixes)
    daily = design.shape[1]
    if weekly:
        daily -= 2 * len(WEEKLY_HARMONICS)
        result.weekly[np.ix_(lanes, WEEKLY_HARMONICS - 1)] = as_complex(solved[:, daily:])
    result.daily[lanes, : daily // 2] = as_complex(solved[:, :daily])
    result.fitted[lanes] = chosen


def _whitened(means: Floats, design: Floats) -> tuple[Floats, Floats, Bools]:
    """Innovations of regressors and values, shape (bins, ratios, series, columns + 1), in units of their deviation.

    With them the sums of the log variances, and which bins have one: the first of each series begins its level.
    """
    bins, series = means.shape
    width = design.shape[1] + 1
    seen = np.isfinite(means)
    levels = np.zeros((len(RATIOS), series, width))
    variance = np.full((len(RATIOS), series), np.nan)
    whitened = np.zeros((bins, len(RATIOS), series, width))
    log_variance = np.zeros((len(RATIOS), series))
    present = np.zeros((bins, series), dtype=np.bool_)
    row = np.empty((series, width))
    ratios = RATIOS[:, None]
    for k in range(bins):
        variance += ratios
        now = seen[k]
        if not now.any():
            continue
        row[:, :-1] = design[k]
        row[:, -1] = np.where(now, means[k], 0.0)
        new = now & np.isnan(variance[0])
        going = now & ~new
        total = variance + 1
        gain = np.where(going, variance / total, 0.0)
        error = row - levels
        whitened[k] = np.where(going, 1 / np.sqrt(total), 0.0)[..., None] * error
        levels += gain[..., None] * error
        if new.any():
            levels[:, new] = row[new]
            variance[:, new] = 1.0
        variance = np.where(going, variance * (1 - gain), variance)
        log_variance += np.where(going, np.log(total), 0.0)
        present[k] = going
    return whitened, log_variance, present


def _select(whitened: Floats, weight: Floats, log_variance: Floats, prefixes: Ints) -> tuple[Ints, Ints, Floats]:
    """Per series: the index of the ratio, the number of columns, and their coefficients."""
    # Contiguous, so that BLAS multiplies them.
    lanes = np.ascontiguousarray(np.moveaxis(whitened * np.sqrt(weight)[:, None, :, None], 0, 2))
    moments = lanes.swapaxes(2, 3) @ lanes
    square, cross, energy = moments[..., :-1, :-1], moments[..., :-1, -1], moments[..., -1, -1]
    ridge = 1e-9 * np.trace(square, axis1=2, axis2=3) / square.shape[-1] + 1e-12
    root = np.linalg.cholesky(square + ridge[..., None, None] * np.eye(square.shape[-1]))
    part = np.linalg.solve(root, cross[..., None])[..., 0]
    explained = np.concatenate([np.zeros((*energy.shape, 1)), np.cumsum(part * part, axis=-1)], axis=-1)[..., prefixes]
    n = np.maximum(weight.astype(bool).sum(axis=0), 2)
    left = np.maximum(energy[..., None] - explained, 1e-12 * energy[..., None] + 1e-300)
    criterion = n[:, None] * np.log(left) + log_variance[..., None] + prefixes * np.log(n)[:, None]
    criterion += np.where(prefixes > n[:, None] / 4, np.inf, 0.0)
    criterion[..., 1:] += EVIDENCE
    best = np.moveaxis(criterion, 0, 1).reshape(len(n), -1).argmin(axis=1)
    ratio, choice = np.divmod(best, len(prefixes))
    chosen = prefixes[choice]
    solved = np.zeros((len(n), square.shape[-1]))
    for i, (r, p) in enumerate(zip(ratio, chosen, strict=True)):
        if p:
            solved[i, :p] = np.linalg.solve(root[r, i, :p, :p].T, part[r, i, :p])
    return ratio, chosen, solved
