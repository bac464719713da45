"""Whether signals and smoothed disturbances have their digits: they are sums and differences that may cancel."""

from typing import Final

import numpy as np

from luna_serving.engines.statespace.model.floors import KNOWN, ZERO_VARIANCE
from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.model.observations import factor
from luna_serving.engines.statespace.results.disturbances import Disturbances, obs_disturbances, state_disturbances
from luna_serving.engines.statespace.results.series import SeriesResult, SignalMoments, signal_moments
from luna_serving.engines.statespace.results.signals import filtered_signal, first_period, smoothed_signal

# Relative to Q: below, the difference has fewer than 9 digits of its own.
CANCELS: Final = 1e-7
# Relative to Q: a few roundings.
OWN_ROUNDING: Final = 1e-14
# Relative to what an auxiliary residual is divided by.
RESIDUAL: Final = 1e-8


def shocks_agree(one: SeriesResult, other: SeriesResult, allowed: float) -> bool:
    """Whether two results of a series have the same shocks to the state, where they were asked for.

    Where observations may determine a shock exactly, having no noise, rounding is what is left of its variance.
    """
    if one.smoothed is None or one.smoothed.score is None or other.smoothed is None or other.smoothed.score is None:
        return True
    a, b = state_disturbances(one), state_disturbances(other)
    model, first = one.model, first_period(one)
    own = np.diagonal(over_time(model.state_cov, 2, first, len(a.mean)), axis1=1, axis2=2)
    told = (a.variance <= KNOWN * own) & _may_be_exact(model)
    if ((a.variance < CANCELS * own) & ~told & (own > 0)).any():
        return False
    same = np.abs(a.variance - b.variance) <= allowed * a.variance + np.where(told, OWN_ROUNDING * own, 0.0)
    reach = allowed * np.sqrt(a.variance) + OWN_ROUNDING * np.abs(a.mean)
    near = np.abs(a.mean - b.mean) <= reach + np.where(told, KNOWN * np.sqrt(own), 0.0)
    if not (same.all() and near.all()):
        return False
    return _spreads_agree(a, b) and _spreads_agree(_obs(one), _obs(other))


def _obs(result: SeriesResult) -> Disturbances:
    assert result.full is not None  # noqa: S101  the caller has looked
    return obs_disturbances(result, result.full.forecasts + result.full.forecast_error)


def _spreads_agree(a: Disturbances, b: Disturbances) -> bool:
    return bool(np.allclose(a.spread, b.spread, rtol=RESIDUAL, atol=0.0, equal_nan=True))


def signals_agree(one: SeriesResult, other: SeriesResult, allowed: float) -> bool:
    """Whether two results of a series have the same variances of the signal; Z P Z' may cancel.

    What rounding leaves of zero is measured by the signal's usual variance, predicted.
    """
    assert one.full is not None  # noqa: S101  the caller has looked
    first, cov = first_period(one), one.full.predicted_state_cov[:-1]
    usual = np.median(np.abs(signal_moments(one.model, one.full.predicted_state[:-1], cov, first).variance), axis=0)
    pairs: list[tuple[SignalMoments, SignalMoments]] = [(filtered_signal(one), filtered_signal(other))]
    if one.smoothed is not None:
        pairs.append((smoothed_signal(one), smoothed_signal(other)))
    settled = np.arange(len(cov)) >= one.full.nobs_diffuse
    for a, b in pairs:
        near = np.abs(a.variance - b.variance) <= allowed * a.variance + ZERO_VARIANCE * usual
        if not (near | np.isnan(a.variance))[settled].all():
            return False
    return True


def _may_be_exact(model: Model) -> bool:
    """Whether some element, or a combination of them, is observed without noise."""
    m = model.observed
    _, pivots = factor(model.obs_cov.reshape(-1, m, m), np.zeros((1, m), bool))
    return bool((pivots <= 0).any())
