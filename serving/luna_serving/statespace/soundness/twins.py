"""Two results of one series, computed in different units: how far apart rounding has taken them.

Exactly, both would be the same (`prepared.prepare`, `twin`); in float64 every product rounds differently, so that their
difference is what rounding did to either. It is compared with the deviations that the answer itself states. This is
discrete stochastic arithmetic (Vignes 2004, "Discrete stochastic arithmetic for validating results of numerical
software", Numerical Algorithms 37) with two samples; a series has so many numbers that two are enough.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.disturbances import state_disturbances
from luna_serving.statespace.model import Model, over_time
from luna_serving.statespace.observations import factor
from luna_serving.statespace.results import ForecastResult, FullOutputs, SeriesResult
from luna_serving.statespace.signals import first_period
from luna_serving.statespace.soundness.floors import KNOWN, Floor

Floats = NDArray[np.float64]

# Of a deviation, or of a variance: 50 times less than the answers are good for.
ALLOWED: Final = 2e-10
# Of a number's own size: a few roundings of it.
OWN_ROUNDING: Final = 3e-15
# A mean that float64 holds to no more than this of its deviation: its last digit is most of what another state is told
# by, and a twin may well round it to the same one.
COARSE: Final = 1e-9
EPSILON: Final = 2.0**-52
# Of what a difference is taken from: below, its own digits are fewer than 9.
CANCELS: Final = 1e-7


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
        _disturbances(one, other),
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


def _disturbances(one: SeriesResult, other: SeriesResult) -> bool:
    """The shocks to the state, where they were asked for.

    Q - Q R' N R Q cancels where observations tell a shock well. Where they may tell it exactly, having no noise,
    rounding is what is left of it.
    """
    if one.smoothed is None or one.smoothed.score is None or other.smoothed is None or other.smoothed.score is None:
        return True
    a, b = state_disturbances(one), state_disturbances(other)
    model, first = one.model, first_period(one)
    own = np.diagonal(over_time(model.state_cov, 2, first, len(a.mean)), axis1=1, axis2=2)
    told = (a.variance <= KNOWN * own) & (own > 0 if _may_be_exact(model) else False)
    if ((a.variance < CANCELS * own) & ~told & (own > 0)).any():
        return False
    same = np.abs(a.variance - b.variance) <= ALLOWED * a.variance + np.where(told, OWN_ROUNDING * own, 0.0)
    allowed = ALLOWED * np.sqrt(a.variance) + OWN_ROUNDING * np.abs(a.mean)
    near = np.abs(a.mean - b.mean) <= allowed + np.where(told, KNOWN * np.sqrt(own), 0.0)
    return bool(same.all() and near.all())


def _may_be_exact(model: Model) -> bool:
    """Whether some element, or a combination of them, is observed without noise."""
    pivots = factor(model.obs_cov.reshape(-1, model.observed, model.observed), np.zeros((1, model.observed), bool))[1]
    return bool((pivots <= 0).any())


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
    """As `agree`, of forecasts."""
    if not np.array_equal(one.diffuse, other.diffuse):
        return False
    known = ~one.diffuse
    variance = np.where(known, one.variance, 0.0)
    if not (one.finite and other.finite):
        return False
    off, off_mean = np.abs(variance - np.where(known, other.variance, 0.0)), np.abs(one.mean - other.mean)
    near = off_mean <= ALLOWED * np.sqrt(np.abs(variance)) + OWN_ROUNDING * np.abs(one.mean)
    return bool((off <= ALLOWED * np.abs(variance)).all() and (near | ~known).all())
