"""Forecasts: published numbers, the filter going on without observations, and what is still diffuse."""

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch, forecast_batch
from luna_serving.engines.statespace.kinds import local_level, local_linear_trend
from luna_serving.engines.statespace.model.initial import Diffuse, Known
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.results.series import ForecastResult

from .peer import statsmodels_filter
from .test_invariances import mixed
from .test_statsmodels import GAPS, KINDS, STARTS, series
from .univariate import univariate

LEVEL = local_level(obs_var=1.0, level_var=0.5)
TREND = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1)


def ahead(y, model: Model, steps: int) -> ForecastResult:
    (result,) = forecast_batch([(np.asarray(y, dtype=np.float64), model)], [steps]).series
    return result


def test_the_nile_is_forecast_as_published(nile):
    result = ahead(nile, local_level(obs_var=15099.0, level_var=1469.1), 30)
    for h, variance in ((1, 20600.2579), (2, 22069.3579), (30, 63204.1579)):
        assert result.variance[h - 1] == pytest.approx(variance, abs=5e-5)
    np.testing.assert_allclose(result.mean, 798.370293, atol=5e-7)
    assert result.finite


@pytest.mark.parametrize("gaps", ["none", "at the start", "all but two"])
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", KINDS)
def test_forecasts_are_those_of_statsmodels(kind, start, gaps):
    states, build = KINDS[kind]
    model, y = build(STARTS[start](states)), series(GAPS[gaps])
    result, peer = ahead(y, model, 25), statsmodels_filter(model, np.append(y, np.full(25, np.nan)))
    for ours, theirs in (
        (result.mean, peer.forecasts[0, 40:]),
        (result.variance, peer.forecasts_error_cov[0, 0, 40:]),
        (result.state, peer.predicted_state.T[40:65]),
        (result.state_cov, peer.predicted_state_cov.transpose(2, 0, 1)[40:65]),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max())


def test_forecasting_is_filtering_on_with_every_observation_missing():
    for y, model in mixed(24, seed=5):
        result = ahead(y, model, 12)
        (longer,) = filter_batch([(np.append(y, np.full(12, np.nan)), model)], "full").series
        np.testing.assert_allclose(result.state, longer.filtered_state[len(y) :], rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(result.state_cov, longer.full.filtered_state_cov[len(y) :], rtol=1e-11)
        unknown = longer.full.forecast_error_diffuse_cov[len(y) :] > 0
        np.testing.assert_array_equal(result.diffuse, unknown)
        np.testing.assert_allclose(result.variance[~unknown], longer.full.forecast_error_cov[len(y) :][~unknown])


def test_missing_observations_at_the_end_are_part_of_the_series():
    y = series([])
    beyond, within = ahead(y, TREND, 10), ahead(np.append(y, [np.nan] * 4), TREND, 6)
    np.testing.assert_allclose(within.mean, beyond.mean[4:], rtol=1e-12)
    np.testing.assert_allclose(within.variance, beyond.variance[4:], rtol=1e-12)


def test_each_series_has_a_horizon_and_an_end_of_its_own():
    items = mixed(70, seed=6)
    steps = [place % 9 for place in range(70)]
    answer = forecast_batch(items, steps)
    for item, count, result in zip(items, steps, answer.series, strict=True):
        alone = ahead(*item, count)
        assert result.mean.shape == (count,)
        assert result.state_cov.shape == (count, item[1].states, item[1].states)
        np.testing.assert_array_equal(result.state_diffuse, alone.state_diffuse)
        for name in ("mean", "variance", "state", "state_cov"):
            np.testing.assert_allclose(getattr(result, name), getattr(alone, name), rtol=1e-10, atol=1e-10)
        assert result.filtered.full.loglike == pytest.approx(alone.filtered.full.loglike, rel=1e-12, abs=1e-12)


def test_while_nothing_bears_on_the_forecast_its_variance_is_infinite_and_that_is_no_overflow():
    for model in (LEVEL, TREND):
        for y in ([], [np.nan] * 300):
            result = ahead(y, model, 3)
            assert result.diffuse.all()
            assert result.state_diffuse.all()
            assert result.finite
    one = ahead([np.nan, 4.0], TREND, 2)
    assert one.diffuse.all()
    assert not ahead([np.nan, 4.0, 5.0], TREND, 2).diffuse.any()


def test_a_longer_neighbour_does_not_move_what_is_diffuse_at_a_series_end():
    short, longer = np.array([3.0]), np.full(400, np.nan)
    alone = ahead(short, TREND, 4)
    (beside, _) = forecast_batch([(short, TREND), (longer, TREND)], [4, 2]).series
    np.testing.assert_array_equal(beside.state_diffuse, alone.state_diffuse)
    np.testing.assert_array_equal(beside.variance, alone.variance)
    # Level known in one period, slope never: the very next forecast is diffuse already.
    assert alone.diffuse.all()


def test_a_state_that_no_observation_sees_does_not_make_the_forecast_infinite():
    blind = univariate(np.eye(2), np.array([1.0, 0.0]), 1.0, np.eye(2), Diffuse())
    result, seen = ahead([1.0, 2.0], blind, 3), ahead([1.0, 2.0], local_level(obs_var=1.0, level_var=1.0), 3)
    np.testing.assert_allclose(result.variance, seen.variance, rtol=1e-12)
    assert result.state_diffuse.tolist() == [[False, True]] * 3


def test_an_overflowing_forecast_is_flagged_for_its_series_alone():
    exploding = univariate(np.array([[1e50]]), np.ones(1), 1.0, np.ones((1, 1)), Known([1.0], [[1.0]]))
    answer = forecast_batch([(np.ones(1), exploding), (np.ones(1), LEVEL)], [20, 20])
    assert [result.finite for result in answer.series] == [False, True]
    assert answer.report.warnings == ("1 of 2 series overflowed float64",)


def test_impossible_steps_are_refused():
    with pytest.raises(ValueError, match="1 series, 2 steps"):
        forecast_batch([(np.ones(3), LEVEL)], [1, 2])
    with pytest.raises(ValueError, match="zero or more"):
        forecast_batch([(np.ones(3), LEVEL)], [-1])


def test_no_series_at_all_is_no_error():
    assert forecast_batch([], []).series == []
