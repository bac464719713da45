"""What no answer to any series may be: a check that needs no second answer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.results.series import FullOutputs, SeriesResult

Floats = NDArray[np.float64]


def violations(results: Sequence[SeriesResult]) -> NDArray[np.bool_]:
    """Which results cannot be right for any series [series]."""
    return np.array([_is_impossible(result) for result in results], dtype=bool)


def _is_impossible(result: SeriesResult) -> bool:
    """A variance that grows by an observation, or more ignored points than the start has directions."""
    full, smoothed = result.full, result.smoothed
    if full is None or not result.finite:
        return False
    filtered = np.diagonal(full.filtered_state_cov, axis1=1, axis2=2)
    predicted = np.diagonal(full.predicted_state_cov[:-1], axis1=1, axis2=2)
    rounding = 1e-13 * float(np.abs(predicted).max(initial=0.0))
    settled = np.arange(len(filtered)) >= full.nobs_diffuse
    if _exceeds(filtered[settled], predicted[settled], rounding) or _ignores(result, full):
        return True
    m = result.model.observed
    variances = np.diagonal(full.forecast_error_cov.reshape(-1, m, m), axis1=1, axis2=2)
    if (variances < -rounding).any():
        return True
    if smoothed is None:
        return False
    known = ~smoothed.smoothed_state_diffuse
    smoothed_variance = np.diagonal(smoothed.smoothed_state_cov, axis1=1, axis2=2)
    return _exceeds(np.where(known, smoothed_variance, 0.0)[settled], filtered[settled], rounding)


def _ignores(result: SeriesResult, full: FullOutputs) -> bool:
    """Whether observations with noise say nothing, though no direction of the start was left for them to resolve."""
    if result.model.observed > 1 or not (result.model.obs_cov > 0).all():
        return False
    silent = ~np.isnan(full.forecast_error) & np.isnan(full.standardized_forecast_error)
    return int(np.count_nonzero(silent)) > result.model.start.rank


def _exceeds(less: Floats, more: Floats, rounding: float) -> bool:
    return bool((less > more * (1 + 1e-7) + rounding).any())
