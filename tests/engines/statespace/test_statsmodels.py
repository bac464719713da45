"""Every output against statsmodels: each kind, each start, gaps anywhere, also before the first observation."""

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import constant_velocity, local_level, local_linear_trend
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Diffuse, Known
from luna_serving.engines.statespace.model.model import Model

from .peer import statsmodels_filter

STARTS = {
    "diffuse": lambda n: Diffuse(),
    "known": lambda n: Known(np.arange(1.0, n + 1), 3.0 * np.eye(n) + 0.5),
    "approximate": lambda n: ApproximateDiffuse(1e6),
}
KINDS = {
    "level": (1, lambda start: local_level(obs_var=2.0, level_var=0.3, initial=start)),
    "trend": (2, lambda start: local_linear_trend(obs_var=1.5, level_var=0.4, trend_var=0.02, initial=start)),
    "smooth trend": (
        2,
        lambda start: local_linear_trend(obs_var=1.5, level_var=0.0, trend_var=0.05, initial=start),
    ),
    "track": (2, lambda start: constant_velocity(dt=0.25, obs_var=0.8, accel_var=1.7, initial=start)),
    "noise-free level": (1, lambda start: local_level(obs_var=0.0, level_var=1.0, initial=start)),
    "noise-free trend": (
        2,
        lambda start: local_linear_trend(obs_var=0.0, level_var=0.5, trend_var=0.1, initial=start),
    ),
}
GAPS = {
    "none": [],
    "inside": [4, 5, 11],
    "at the start": [0, 1, 2, 7],
    "in the diffuse phase": [1, 3],
    "all but two": [*range(9), *range(10, 19), *range(20, 40)],
}


def series(gaps: list[int], length: int = 40) -> np.ndarray:
    y = np.random.default_rng(7).normal(size=length).cumsum() * 2 + 10
    y[gaps] = np.nan
    return y


def assert_same(model: Model, y: np.ndarray, rtol: float) -> None:
    (result,) = filter_batch([(y, model)], "full").series
    peer, full = statsmodels_filter(model, y), result.full
    met = full.forecast_error_diffuse_cov > 0
    regular = ~np.isnan(y) & ~met
    pairs = {
        "filtered_state": (result.filtered_state, peer.filtered_state.T),
        "filtered_state_cov": (full.filtered_state_cov, peer.filtered_state_cov.transpose(2, 0, 1)),
        "predicted_state": (full.predicted_state, peer.predicted_state.T),
        "predicted_state_cov": (full.predicted_state_cov, peer.predicted_state_cov.transpose(2, 0, 1)),
        "forecasts": (full.forecasts, peer.forecasts[0]),
        "forecast_error": (full.forecast_error, peer.forecasts_error[0]),
        "forecast_error_cov": (full.forecast_error_cov, peer.forecasts_error_cov[0, 0]),
        "standardized_forecast_error": (
            full.standardized_forecast_error[regular],
            peer.standardized_forecasts_error[0][regular],
        ),
        "loglike_obs": (full.loglike_obs, peer.llf_obs),
        "loglike": (full.loglike, peer.llf),
    }
    for name, (ours, theirs) in pairs.items():
        scale = np.nanmax(np.abs(theirs), initial=1e-300)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * scale, err_msg=name)
    assert full.nobs_diffuse == peer.nobs_diffuse
    assert result.finite


@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_output_is_the_one_of_statsmodels(kind, start, gaps):
    states, build = KINDS[kind]
    assert_same(build(STARTS[start](states)), series(GAPS[gaps]), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_series_in_several_chunks_is_the_one_of_statsmodels(kind):
    _, build = KINDS[kind]
    assert_same(build(Diffuse()), series([0, 2000, 2048, 2049, 4000], 4321), rtol=1e-9)


def test_the_diffuse_forecast_variance_is_the_one_of_statsmodels_and_stands_where_missing_too():
    model = KINDS["trend"][1](Diffuse())
    y = series([0, 2])
    (result,) = filter_batch([(y, model)], "full").series
    peer = statsmodels_filter(model, y).forecasts_error_diffuse_cov[0, 0]
    ours = result.full.forecast_error_diffuse_cov
    np.testing.assert_allclose(ours[~np.isnan(y)], peer[~np.isnan(y)], rtol=1e-12)
    # statsmodels puts zero here; the forecast's variance is infinite all the same.
    assert ours[0] == pytest.approx(1.0)
    assert ours[2] > 0
