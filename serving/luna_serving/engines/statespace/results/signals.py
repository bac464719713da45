"""The signal, design · state + obs_intercept, and its variance: what is observed, without its noise. Pure NumPy."""

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.results.series import SeriesResult, SignalMoments, signal_moments

Floats = NDArray[np.float64]


def first_period(result: SeriesResult) -> int:
    """The model's period of a series' first observation: above zero where it goes on from a saved state."""
    return 0 if result.saved is None else result.saved.period - len(result.filtered_state)


def filtered_signal(result: SeriesResult) -> SignalMoments:
    """Given the observations up to each period; finite parts while the start is diffuse, as `filtered_state`."""
    full = result.full
    assert full is not None  # noqa: S101  the caller asks for the variant
    found = full.filtered_signal or signal_moments(
        result.model, result.filtered_state, full.filtered_state_cov, first_period(result)
    )
    return SignalMoments(found.mean, _possible(result, found.variance))


def smoothed_signal(result: SeriesResult) -> SignalMoments:
    """Given all observations; NaN where they leave the signal diffuse.

    An observation determines its own signal, even where the states that add up to it stay diffuse. Of a missing element
    whose design sees a diffuse state nothing is said, though the diffuse parts might cancel.
    """
    full, smoothed = result.full, result.smoothed
    assert full is not None  # noqa: S101  the caller asks for the variant
    assert smoothed is not None  # noqa: S101  likewise
    first = first_period(result)
    found = smoothed.signal or signal_moments(result.model, smoothed.smoothed_state, smoothed.smoothed_state_cov, first)
    design = over_time(result.model.design, 2, first, len(smoothed.smoothed_state))
    sees = ((design != 0) & smoothed.smoothed_state_diffuse[:, None]).any(axis=2).reshape(found.mean.shape)
    unknown = sees & np.isnan(full.forecast_error)
    variance = np.where(unknown, np.nan, _possible(result, found.variance))
    return SignalMoments(np.where(unknown, np.nan, found.mean), variance)


def obs_variances(model: Model, first: int, periods: int) -> Floats:
    """The diagonal of obs_cov, [T] or [T, m]."""
    diagonal = np.diagonal(over_time(model.obs_cov, 2, first, periods), axis1=1, axis2=2)
    return diagonal[:, 0] if model.observed == 1 else diagonal


def _possible(result: SeriesResult, variance: Floats) -> Floats:
    """Without what rounding leaves below zero, or above the variance of the noise where the signal is observed."""
    assert result.full is not None  # noqa: S101  the caller has looked
    most = obs_variances(result.model, first_period(result), len(variance))
    most = np.where(np.isnan(result.full.forecast_error), np.inf, most)
    return np.clip(variance, 0.0, most)
