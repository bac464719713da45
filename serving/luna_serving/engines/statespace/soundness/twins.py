"""Two results of one series, computed in different units: how far apart rounding has taken them.

Exactly, both would be the same (`prepared.prepare`, `twin`); in float64 every product rounds differently, so that their
difference is what rounding did to either. It is compared with the deviations that the answer itself states. This is
discrete stochastic arithmetic (Vignes 2004, "Discrete stochastic arithmetic for validating results of numerical
software", Numerical Algorithms 37) with two samples; a series has so many numbers that two are enough.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.floors import Floor
from luna_serving.engines.statespace.results.series import ForecastResult, FullOutputs, SeriesResult
from luna_serving.engines.statespace.soundness.outputs import shocks_agree, signals_agree

Floats = NDArray[np.float64]

# Relative to a deviation or a variance: 50 times less than the answers are good for.
ALLOWED: Final = 2e-10
# Relative to a number: a few roundings of it.
OWN_ROUNDING: Final = 3e-15
# A mean that float64 holds to no more than this of its deviation: its last digit decides much of
# another state's mean, and a twin may well round it to the same one.
COARSE: Final = 1e-9
EPSILON: Final = 2.0**-52


def agree(one: SeriesResult, other: SeriesResult) -> bool:
    """Whether a series' results in two units are one answer."""
    if not (one.finite and other.finite) or one.full is None or other.full is None:
        return False
    a, b = one.full, other.full
    if a.nobs_diffuse != b.nobs_diffuse or not np.array_equal(a.forecast_diffuse, b.forecast_diffuse):
        return False
    floor = Floor.of(one.model, a.predicted_state_cov)
    checks = (
        _moments(one.filtered_state, other.filtered_state, a.filtered_state_cov, b.filtered_state_cov, floor),
        _moments(a.predicted_state, b.predicted_state, a.predicted_state_cov, b.predicted_state_cov, floor),
        _forecast_errors(one, other),
        _loglikes(a, b),
        _smoothed(one, other, floor),
        signals_agree(one, other, 10 * ALLOWED),
        shocks_agree(one, other, ALLOWED),
    )
    return all(checks)


def _loglikes(a: FullOutputs, b: FullOutputs) -> bool:
    """The same observations are impossible, and the others are as likely."""
    impossible = np.isneginf(a.loglike_obs)
    if not np.array_equal(impossible, np.isneginf(b.loglike_obs)):
        return False
    value, other = float(a.loglike_obs[~impossible].sum()), float(b.loglike_obs[~impossible].sum())
    return abs(value - other) <= ALLOWED * max(1.0, abs(value))


def _forecast_errors(one: SeriesResult, other: SeriesResult) -> bool:
    a, b = one.full, other.full
    assert a is not None  # noqa: S101  the caller has looked
    assert b is not None  # noqa: S101  likewise
    m = one.model.observed
    cov, cov_b = a.forecast_error_cov.reshape(-1, m, m), b.forecast_error_cov.reshape(-1, m, m)
    size = np.diagonal(cov, axis1=1, axis2=2)
    met = a.forecast_diffuse[:, None]
    bound = np.sqrt(np.abs(size[:, :, None] * size[:, None]))
    same = (np.abs(cov - cov_b) <= ALLOWED * bound) | met[:, :, None]
    off = np.abs(a.forecasts.reshape(-1, m) - b.forecasts.reshape(-1, m))
    near = off <= ALLOWED * np.sqrt(np.abs(size)) + OWN_ROUNDING * np.abs(a.forecasts.reshape(-1, m))
    return bool(same.all() and (near | met).all())


def _smoothed(one: SeriesResult, other: SeriesResult, floor: Floor) -> bool:
    a, b = one.smoothed, other.smoothed
    if a is None or b is None:
        return True
    if not np.array_equal(a.smoothed_state_diffuse, b.smoothed_state_diffuse):
        return False
    known = ~a.smoothed_state_diffuse
    return _moments(
        np.where(known, a.smoothed_state, 0.0),
        np.where(known, b.smoothed_state, 0.0),
        np.where(known[:, :, None] & known[:, None], a.smoothed_state_cov, 0.0),
        np.where(known[:, :, None] & known[:, None], b.smoothed_state_cov, 0.0),
        floor,
    )


def _moments(mean: Floats, mean_b: Floats, cov: Floats, cov_b: Floats, floors: Floor) -> bool:
    """Means [T, n] and covariances [T, n, n]."""
    variance = np.abs(np.diagonal(cov, axis1=1, axis2=2))
    floor = floors.under(variance)
    deviation, rounding = np.sqrt(variance), np.sqrt(floor)
    bound = ALLOWED * deviation[:, :, None] * deviation[:, None] + rounding[:, :, None] * rounding[:, None]
    if not (np.abs(cov - cov_b) <= bound).all():
        return False
    coarse = (EPSILON * np.abs(mean) > COARSE * deviation) & (ALLOWED * variance > floor)
    if mean.shape[1] > 1 and coarse.any():
        return False
    near = ALLOWED * np.sqrt(variance + floor / ALLOWED) + OWN_ROUNDING * np.abs(mean)
    return bool((np.abs(mean - mean_b) <= near).all())


def forecasts_agree(one: ForecastResult, other: ForecastResult) -> bool:
    """Whether forecasts in two units are one answer."""
    if not np.array_equal(one.diffuse, other.diffuse):
        return False
    known = ~one.diffuse
    variance = np.where(known, one.variance, 0.0)
    if not (one.finite and other.finite):
        return False
    off, off_mean = np.abs(variance - np.where(known, other.variance, 0.0)), np.abs(one.mean - other.mean)
    near = off_mean <= ALLOWED * np.sqrt(np.abs(variance)) + OWN_ROUNDING * np.abs(one.mean)
    return bool((off <= ALLOWED * np.abs(variance)).all() and (near | ~known).all())
