"""Observations that a model without noise rules out: never skipped in silence, and judged once."""

from dataclasses import replace

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch, forecast_batch, smooth_batch
from luna_serving.engines.statespace.kinds import local_linear_trend
from luna_serving.engines.statespace.model.initial import Known, Stationary
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.results.quality import warnings_of

NAN = np.nan
# After IRIS-Toolbox issue 223: a quarterly flow and its annual sum, both observed without noise.
ANNUAL = Model(
    transition=np.array([[0.5, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], dtype=float),
    design=np.array([[1, 0, 0, 0], [1, 1, 1, 1]], dtype=float),
    obs_cov=np.zeros((2, 2)),
    state_cov=np.array([[1.0]]),
    selection=np.array([[1.0], [0], [0], [0]]),
    initial=Stationary(),
)
QUARTERS = [0.3, 0.1, -0.7, 1.1, 0.2, 0.4, 0.6, -0.1]
YEARS = {3: 0.8, 7: 1.1}


def flows(*, wrong: int | None = None, off: float = 0.5) -> np.ndarray:
    """Quarters with their years' sums in the fourth; that of period `wrong` is off."""
    sums = np.full(len(QUARTERS), NAN)
    sums[list(YEARS)] = list(YEARS.values())
    if wrong is not None:
        sums[wrong] += off
    return np.column_stack([QUARTERS, sums])


def filtered(model: Model, y: np.ndarray):
    (result,) = filter_batch([(y, model)], "full").series
    return result


def test_an_impossible_observation_has_probability_zero_and_is_named():
    y = flows(wrong=7)
    result = filtered(ANNUAL, y)
    assert result.finite
    assert np.isneginf(result.full.loglike)
    assert np.isneginf(result.full.loglike_obs).tolist() == [False] * 7 + [True]
    assert np.isnan(result.full.standardized_forecast_error[7, 1])
    (warning,) = warnings_of([filtered(ANNUAL, flows()), result])
    assert warning.startswith("1 observation contradicts the model")
    assert "in 1 of 2 series" in warning
    assert "/observations/1/7/1" in warning


def test_a_certain_observation_that_comes_true_is_no_news_and_no_warning():
    result, alone = filtered(ANNUAL, flows()), filtered(ANNUAL, np.column_stack([QUARTERS, [NAN] * 8]))
    assert warnings_of([result]) == ()
    np.testing.assert_allclose(result.full.loglike, alone.full.loglike, rtol=1e-12)
    assert np.isnan(result.full.standardized_forecast_error[list(YEARS), 1]).all(), "0.1 + 0.2 is not 0.3"


def test_what_comes_after_an_impossible_observation_is_as_without_it():
    wrong, without = flows(wrong=3), flows()
    without[3, 1] = NAN
    result, expected = filtered(ANNUAL, wrong), filtered(ANNUAL, without)
    np.testing.assert_allclose(result.filtered_state, expected.filtered_state, rtol=1e-12, atol=1e-12)
    possible = ~np.isneginf(result.full.loglike_obs)
    assert possible.tolist() == [True] * 3 + [False] + [True] * 4
    np.testing.assert_allclose(
        result.full.loglike_obs[possible], expected.full.loglike_obs[possible], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("noise", [1e-24, 1e-12, 1e-4])
def test_where_there_is_a_little_noise_the_likelihood_and_the_standardized_error_say_the_same(noise):
    result = filtered(replace(ANNUAL, obs_cov=noise * np.eye(2)), flows(wrong=7))
    error, loglike_obs = result.full.standardized_forecast_error, result.full.loglike_obs
    assert warnings_of([result]) == ()
    assert np.isfinite(loglike_obs).all()
    assert not np.isnan(error[[3, 7]]).any()
    # The year's sum of four quarters and itself, each with the noise.
    np.testing.assert_allclose(error[7, 1], 0.5 / np.sqrt(5 * noise), rtol=1e-3)
    np.testing.assert_allclose(loglike_obs[7], -0.5 * error[7, 1] ** 2, rtol=0.02, atol=20)


def test_one_thing_observed_without_noise_or_shocks_is_judged_too():
    model = local_linear_trend(obs_var=0.0, level_var=0.0, trend_var=0.0, initial=Known([10.0, 0.3], np.diag([1, 0])))
    line = 10.7 + 0.3 * np.arange(20)
    assert warnings_of([filtered(model, line)]) == ()
    line[12] += 1e-3
    line[15] = NAN
    (warning,) = warnings_of([filtered(model, line)])
    assert "/observations/0/12." in warning


def test_many_series_that_share_their_gains_are_each_looked_at():
    rng = np.random.default_rng(5)
    model = local_linear_trend(obs_var=0.0, level_var=0.0, trend_var=0.0, initial=Known([10.0, 0.3], np.diag([1, 0])))
    items = [(start + 0.3 * np.arange(30), model) for start in rng.normal(size=40)]
    items[7][0][20] += 0.25
    for variant in ("means", "full"):
        batch = filter_batch(items, variant)
        (warning,) = batch.report.warnings
        assert "in 1 of 40 series" in warning
        assert "/observations/7/20." in warning


def test_smoothing_and_forecasting_report_it_as_filtering_does():
    y = flows(wrong=7)
    assert smooth_batch([(y, ANNUAL)]).report.warnings == filter_batch([(y, ANNUAL)], "full").report.warnings
    (forecast,) = forecast_batch([(y, ANNUAL)], [2]).series
    assert forecast.finite
    assert np.isneginf(forecast.filtered.full.loglike)
