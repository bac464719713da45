"""The filter of `kalman` for few series: the same operations in the same order, on Python's floats.

A row of NumPy operations takes 30 to 60 microseconds however short it is, a row of one lane here about three. A test
holds both to the same bits.
"""

import math

import numpy as np

from luna_serving.engines.anomaly.kalman import RUN_VARIANCE, RUN_WEIGHT, Filtered, Noise
from luna_serving.engines.anomaly.panel import Floats


def filter_lanes(
    gaps: Floats,
    values: Floats,
    state: Filtered,
    noise: Noise,
    *,
    moments: bool = True,
    trace: Floats | None = None,
) -> list[Floats]:
    """As `kalman.filter_rows`, for lanes of shape (series,)."""
    scores, means, variances = (np.empty(values.shape) for _ in range(3))
    for lane in range(values.shape[1]):
        rows = _filter_lane(gaps[:, lane].tolist(), values[:, lane].tolist(), state, noise, lane)
        scores[:, lane], means[:, lane], variances[:, lane] = rows[:, 0], rows[:, 1], rows[:, 2]
        if trace is not None:
            trace[:, :, lane] = rows[:, 3:]
    return [scores, means, variances] if moments else [scores]


def _filter_lane(gaps: list[float], values: list[float], state: Filtered, noise: Noise, lane: int) -> Floats:
    """Shape (rows, 8): score, mean, variance, and the state after the row; changes the lane's state."""
    level, slope, run_level = (float(array[lane]) for array in (state.level, state.slope, state.run_level))
    p11, p12, p22 = (float(array[lane]) for array in (state.p11, state.p12, state.p22))
    run = int(state.run[lane])
    q_level, q_slope = float(noise.q_level[lane]), float(noise.q_slope[lane])
    clip, patience = float(noise.clip), int(noise.patience[lane])
    trend = p22 != 0 or q_slope != 0
    rows = []
    for gap, value in zip(gaps, values, strict=True):
        if trend:
            level += slope * gap
            p11 += gap * (2 * p12 + gap * (p22 + gap * q_slope / 3) + q_level)
            p12 += gap * (p22 + gap * q_slope / 2)
            p22 += gap * q_slope
        else:
            p11 += gap * q_level
        mean, variance = level, p11 + 1
        deviation = math.sqrt(variance)
        score = (value - level) / deviation
        if score == score:
            surprise = min(max(score, -clip), clip) * deviation
            gain = p11 / variance
            level += gain * surprise
            if trend:
                slope_gain = p12 / variance
                slope += slope_gain * surprise
                p22 -= slope_gain * p12
                p12 -= gain * p12
            p11 -= gain * p11
            size = abs(score)
            if run or size > clip:
                side = 1 if score > 0 else -1 if score < 0 else 0
                if side * run > 0 and size > clip / 2:
                    run += side
                    run_level += RUN_WEIGHT * (value - run_level)
                else:
                    run = side if size > clip else 0
                    run_level = value
                if abs(run) >= patience:
                    level, p11, p12, run = run_level, (p11 + 1) * RUN_VARIANCE, 0.0, 0
        rows.append((score, mean, variance, level, slope, p11, p12, p22))
    for array, after in (
        (state.level, level),
        (state.slope, slope),
        (state.p11, p11),
        (state.p12, p12),
        (state.p22, p22),
        (state.run_level, run_level),
    ):
        array[lane] = after
    state.run[lane] = run
    return np.array(rows).reshape(-1, 8)
