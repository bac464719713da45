"""Series at the edge of what floats hold, and models with variances of zero."""

from fractions import Fraction

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import constant_velocity, local_level, local_linear_trend
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Diffuse, Known, Stationary
from luna_serving.engines.statespace.model.model import Model

from .exact import fractions, product, turned
from .univariate import univariate

LEVEL = local_level(obs_var=1.0, level_var=0.5)
TREND = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1)


def full(y, model):
    (result,) = filter_batch([(np.asarray(y, dtype=np.float64), model)], "full").series
    return result


@pytest.mark.parametrize("model", [LEVEL, TREND], ids=["level", "trend"])
def test_a_series_without_an_observation_stays_at_its_start(model):
    result = full([np.nan] * 30, model)
    assert result.finite
    assert not result.filtered_state.any()
    assert result.full.loglike == 0
    assert result.full.nobs_diffuse == 30
    assert np.isnan(result.full.standardized_forecast_error).all()


@pytest.mark.parametrize("model", [LEVEL, TREND], ids=["level", "trend"])
def test_an_empty_series_answers_the_start_alone(model):
    result = full([], model)
    assert result.finite
    assert result.filtered_state.shape == (0, model.states)
    assert result.full.predicted_state.shape == (1, model.states)
    assert result.full.predicted_state_cov.shape == (1, model.states, model.states)


def test_no_series_at_all_is_no_error():
    assert filter_batch([], "means").series == []


@pytest.mark.parametrize("model", [LEVEL, TREND], ids=["level", "trend"])
def test_one_observation_is_believed_entirely_by_a_diffuse_start(model):
    result = full([42.0], model)
    assert result.filtered_state[0, 0] == 42.0
    assert result.full.filtered_state_cov[0, 0, 0] == 1.0


def test_a_missing_observation_leaves_the_prediction_unchanged():
    result = full([3.0, np.nan, 4.0], LEVEL)
    np.testing.assert_array_equal(result.filtered_state[1], result.full.predicted_state[1])
    np.testing.assert_array_equal(result.full.filtered_state_cov[1], result.full.predicted_state_cov[1])


@pytest.mark.parametrize("model", [LEVEL, TREND], ids=["level", "trend"])
def test_a_large_offset_costs_no_more_than_its_own_rounding(model):
    y = np.random.default_rng(0).normal(size=400).cumsum()
    plain, moved = full(y, model), full(y + 1e9, model)
    np.testing.assert_allclose(moved.filtered_state[:, 0] - 1e9, plain.filtered_state[:, 0], atol=2e-5)
    assert moved.full.loglike == pytest.approx(plain.full.loglike, rel=1e-7)


def test_without_observation_noise_the_filtered_level_is_the_observation():
    y = np.random.default_rng(1).normal(size=50)
    for model in (
        local_level(obs_var=0.0, level_var=2.0),
        local_linear_trend(obs_var=0.0, level_var=0.5, trend_var=0.1),
        local_linear_trend(obs_var=0.0, level_var=0.0, trend_var=0.1),
        constant_velocity(dt=0.1, obs_var=0.0, accel_var=1.0),
    ):
        result = full(y, model)
        np.testing.assert_allclose(result.filtered_signal, y, rtol=1e-12)
        assert result.finite


def test_without_state_noise_the_level_is_the_mean_and_the_trend_the_regression_line():
    y = np.random.default_rng(2).normal(size=80) + np.arange(80.0)
    level = full(y, local_level(obs_var=3.0, level_var=0.0))
    assert level.filtered_state[-1, 0] == pytest.approx(y.mean(), rel=1e-13)
    assert level.full.filtered_state_cov[-1, 0, 0] == pytest.approx(3.0 / 80, rel=1e-13)
    line = full(y, local_linear_trend(obs_var=3.0, level_var=0.0, trend_var=0.0))
    slope, intercept = np.polyfit(np.arange(80.0), y, 1)
    np.testing.assert_allclose(line.filtered_state[-1], [intercept + 79 * slope, slope], rtol=1e-10)


def test_an_observation_that_is_known_already_is_skipped():
    """F = 0 (Durbin & Koopman section 6.4.2): nothing is learnt and nothing divided by zero."""
    result = full([5.0, 5.0, np.nan], local_level(obs_var=0.0, level_var=0.0, initial=Known([5.0], [[2.0]])))
    assert result.finite
    np.testing.assert_array_equal(result.filtered_state[:, 0], 5.0)
    assert result.full.loglike_obs[1] == 0
    assert np.isnan(result.full.standardized_forecast_error[1])


def test_a_state_that_is_never_seen_stays_diffuse_and_harms_nothing():
    blind = univariate(np.eye(2), np.array([1.0, 0.0]), 1.0, np.eye(2), Diffuse())
    y = np.random.default_rng(3).normal(size=300)
    result, seen = full(y, blind), full(y, local_level(obs_var=1.0, level_var=1.0))
    np.testing.assert_allclose(result.filtered_state[:, 0], seen.filtered_state[:, 0], rtol=1e-12)
    assert result.full.nobs_diffuse == 300


def test_a_direction_that_is_never_seen_is_told_from_rounding():
    """Only the sum of two states is observed; what is left of P∞ in its direction is rounding, not F∞ > 0."""
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    blind = univariate(np.eye(2), turn @ np.array([0.7, 0.0]), 1.0, np.eye(2), Diffuse())
    y = np.random.default_rng(4).normal(size=200)
    result = full(y, blind)
    assert (result.full.forecast_error_diffuse_cov > 0).sum() == 1
    level = full(y, local_level(obs_var=1.0, level_var=0.49))
    np.testing.assert_allclose(result.filtered_signal, level.filtered_signal, rtol=1e-10)


def test_a_transition_that_forgets_ends_the_diffuse_phase():
    forgetful = univariate(np.zeros((1, 1)), np.ones(1), 1.0, np.ones((1, 1)), Diffuse())
    result = full([np.nan, 2.0, 3.0], forgetful)
    assert result.full.nobs_diffuse == 1
    np.testing.assert_allclose(result.filtered_state[:, 0], [0.0, 1.0, 1.5])


# A prior 1e12 times wider than the noise leaves 16 - 12 digits of the trend in any form but a square root.
@pytest.mark.parametrize(("prior", "rtol"), [(1.0, 1e-12), (1e12, 1e-6)])
@pytest.mark.parametrize("ratio", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_far_apart_variances_keep_their_digits(ratio, prior, rtol):
    """Against the textbook's subtraction in exact fractions; in float64 that form loses up to 12 digits."""
    y = np.round(np.random.default_rng(5).normal(size=12), 3)
    start = Known([0, 0], prior * np.eye(2))
    model = local_linear_trend(obs_var=1.0, level_var=ratio, trend_var=ratio, initial=start)
    mean, cov = exact_trend(y, ratio, prior)
    result = full(y, model)
    np.testing.assert_allclose(result.filtered_state[-1], mean, rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(result.full.filtered_state_cov[-1], cov, rtol=rtol)


def exact_trend(y, ratio, prior):
    """Last filtered moments of a local linear trend with observation variance 1, without any rounding."""
    q = Fraction(float(ratio))
    (a, b), (p, c, r) = (Fraction(0), Fraction(0)), (Fraction(prior), Fraction(0), Fraction(prior))
    for t, value in enumerate(y):
        if t:
            a, p, c, r = a + b, p + 2 * c + r + q, c + r, r + q
        f, v = p + 1, Fraction(float(value)) - a
        a, b, p, c, r = a + p * v / f, b + c * v / f, p - p * p / f, c - p * c / f, r - c * c / f
    return [float(a), float(b)], [[float(p), float(c)], [float(c), float(r)]]


@pytest.mark.parametrize("variant", ["means", "full"])
def test_an_overflow_is_flagged_and_named_in_the_report(variant):
    exploding = univariate(np.array([[1e50]]), np.ones(1), 1.0, np.ones((1, 1)), Known([1.0], [[1.0]]))
    y = np.array([1.0, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, 1.0])
    answer = filter_batch([(y, LEVEL), (y, exploding)], variant)
    assert [result.finite for result in answer.series] == [True, False]
    assert answer.report.warnings == ("1 of 2 series overflowed float64",)


@pytest.mark.parametrize("variant", ["means", "full"])
def test_a_series_that_swings_across_all_floats_is_flagged(variant):
    answer = filter_batch([(np.array([1e308, -1e308, 1e308]), LEVEL)], variant)
    assert not answer.series[0].finite


def test_infinite_observations_are_flagged():
    assert not filter_batch([(np.array([1.0, np.inf, 2.0]), LEVEL)], "means").series[0].finite


def test_a_stationary_start_whose_powers_grow_before_they_decay_is_exact():
    """Eigenvalues of one half, powers that grow by 100 a step; by exact fractions P - T P T' is R Q R' to 13 digits.

    It was refused while a solver in float64 lost all digits.
    """
    transition = 0.5 * np.eye(10) + 100.0 * np.diag(np.ones(9), 1)
    cov = univariate(transition, np.eye(10)[0], 1.0, np.eye(10), Stationary()).start.cov
    t, p = fractions(transition), fractions(cov)
    left = product(product(t, p), turned(t))
    for i in range(10):
        for j in range(10):
            size = abs(p[i][j]) + abs(left[i][j])
            assert abs(p[i][j] - left[i][j] - (i == j)) <= size * Fraction(1, 10**13)


def test_a_stationary_start_that_float64_cannot_hold_is_refused():
    transition = 0.5 * np.eye(10) + 1e50 * np.diag(np.ones(9), 1)
    with pytest.raises(ModelError, match="known start"):
        univariate(transition, np.eye(10)[0], 1.0, np.eye(10), Stationary())


def test_no_variance_comes_out_below_zero_and_a_state_can_be_gone_on_from():
    """Two sensors whose errors cancel tell everything: what is left of the variance is the rounding of zero."""
    model = Model(
        transition=np.array([[1.0, 1.0], [0.0, 1.0]]),
        design=np.array([[2.0, 1.0], [1.0, 0.0]]),
        obs_cov=np.array([[2.0, -2.0], [-2.0, 2.0]]),
        state_cov=np.zeros((2, 2)),
        initial=ApproximateDiffuse(1e4),
    )
    states = np.array([[3.0 + t, 1.0] for t in range(12)])
    (result,) = filter_batch([(states @ model.design.T, model)], "full").series
    for cov in (result.full.filtered_state_cov, result.full.predicted_state_cov, result.saved.cov[None]):
        assert (np.diagonal(cov, axis1=1, axis2=2) >= 0).all()


def test_a_forecast_that_overflows_is_flagged_where_the_state_does_not():
    huge = univariate(np.array([[1e60]]), np.array([1e100]), 1.0, np.zeros((1, 1)), Known([1.0], [[1.0]]))
    assert not full([np.nan, np.nan], huge).finite
