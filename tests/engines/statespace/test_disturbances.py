"""Signals, smoothed disturbances and auxiliary residuals, against the dense joint Gaussian and statsmodels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from statsmodels.tsa.statespace.structural import UnobservedComponents

from luna_serving.engines.statespace.batch import filter_batch, smooth_batch
from luna_serving.engines.statespace.kinds import arima, constant_velocity, local_level, local_linear_trend, structural
from luna_serving.engines.statespace.model.initial import Blocks, Diffuse, Known
from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.results.disturbances import obs_disturbances, state_disturbances
from luna_serving.engines.statespace.results.signals import filtered_signal, smoothed_signal

from .oracle import Joint
from .peer import statsmodels_smoother
from .test_oracle import close, identified, models, observations

NAN = np.nan
KNOWN = Known(np.array([1.0, -0.5]), np.array([[2.0, 0.3], [0.3, 1.0]]))


def with_disturbances(model: Model, periods: int) -> Model:
    """The same model with the shocks to come and the noise of now as states of their own: (x, η, ε)."""
    n, r, m = model.states, model.shocks, model.observed
    cov, noise = over_time(model.state_cov, 2, 0, periods), over_time(model.obs_cov, 2, 0, periods)
    transition = np.zeros((periods, n + r + m, n + r + m))
    transition[:, :n, :n] = over_time(model.transition, 2, 0, periods)
    transition[:, :n, n : n + r] = over_time(model.selection, 2, 0, periods)
    state_cov = np.zeros((periods, r + m, r + m))
    state_cov[:-1, :r, :r], state_cov[:-1, r:, r:] = cov[1:], noise[1:]
    # Past the end; not zero, for a model without any variance is refused.
    state_cov[-1] = np.eye(r + m)
    intercept = np.zeros((periods, n + r + m))
    intercept[:, :n] = over_time(model.state_intercept, 1, 0, periods)
    design = np.concatenate(
        [over_time(model.design, 2, 0, periods), np.zeros((periods, m, r)), np.tile(np.eye(m), (periods, 1, 1))], 2
    )
    return Model(
        transition=transition,
        design=design,
        obs_cov=np.zeros((m, m)),
        state_cov=state_cov,
        selection=np.concatenate([np.zeros((n, r + m)), np.eye(r + m)]),
        obs_intercept=model.obs_intercept,
        state_intercept=intercept,
        initial=Blocks(((n, model.initial), (r, Known(np.zeros(r), cov[0])), (m, Known(np.zeros(m), noise[0])))),
    )


def assert_dense(model: Model, y: np.ndarray) -> None:
    """Every disturbance, signal and auxiliary residual is that of the joint Gaussian."""
    n, r, m, periods = model.states, model.shocks, model.observed, len(y)
    joint = Joint(with_disturbances(model, periods), y)
    (result,) = smooth_batch([(y, model)], later=True).series
    state, obs, seen = state_disturbances(result), obs_disturbances(result, y), smoothed_signal(result)
    rows = [each.reshape(periods, m) for each in (obs.mean, obs.variance, obs.standardized, seen.mean, seen.variance)]
    own, noise = over_time(model.state_cov, 2, 0, periods), over_time(model.obs_cov, 2, 0, periods)
    design = over_time(model.design, 2, 0, periods)
    for t in range(periods):
        belief = joint.state(t, periods)
        variance = np.diagonal(belief.cov)
        close(state.mean[t], belief.mean[n : n + r])
        close(state.variance[t], variance[n : n + r])
        close(rows[0][t], belief.mean[n + r :])
        close(rows[1][t], variance[n + r :])
        z = design[t]
        close(rows[3][t], z @ belief.mean[:n] + over_time(model.obs_intercept, 1, 0, periods)[t])
        close(rows[4][t], np.diagonal(z @ belief.cov[:n, :n] @ z.T))
        residual(state.standardized[t], belief.mean[n : n + r], np.diagonal(own[t]) - variance[n : n + r])
        there = ~np.isnan(y.reshape(periods, m)[t])
        assert np.isnan(rows[2][t][~there]).all()
        residual(rows[2][t][there], belief.mean[n + r :][there], (np.diagonal(noise[t]) - variance[n + r :])[there])


def residual(ours: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> None:
    """A disturbance by its deviation; the dense one is a difference, and says nothing where that is rounding."""
    told = variance > 1e-6
    if told.any():
        close(ours[told], mean[told] / np.sqrt(variance[told]))


PAIR = Model(
    transition=np.array([[0.9, 0.2], [0.0, 0.7]]),
    design=np.array([[1.0, 0.0], [0.5, 1.0], [1.0, -1.0]]),
    obs_cov=np.array([[1.0, 0.3, 0.1], [0.3, 2.0, -0.2], [0.1, -0.2, 0.5]]),
    state_cov=np.array([[0.5]]),
    selection=np.array([[1.0], [0.5]]),
    obs_intercept=np.array([10.0, -3.0, 1.0]),
    state_intercept=np.array([0.2, -0.1]),
    initial=KNOWN,
)
TWO = replace(
    PAIR,
    design=PAIR.design[:2],
    obs_cov=PAIR.obs_cov[:2, :2],
    obs_intercept=PAIR.obs_intercept[:2],
    state_cov=np.array([[0.5, 0.1], [0.1, 0.2]]),
    selection=np.eye(2),
)
PERIODS = 9
RAMP = np.linspace(0.5, 2.0, PERIODS)[:, None, None]
VARYING = replace(
    TWO,
    transition=np.array([[0.9, 0.2], [0.0, 0.7]]) * RAMP / 2,
    obs_cov=TWO.obs_cov * RAMP,
    state_cov=TWO.state_cov / RAMP,
    selection=np.eye(2) * RAMP,
    obs_intercept=RAMP[:, 0] * np.array([1.0, -1.0]),
    initial=Diffuse(),
)
FEW = np.array([[10.1, -2.0], [11.0, NAN], [NAN, NAN], [9.0, -4.0], [NAN, -3.5], [10, -3], [8, 0], [NAN, 1], [9, -1]])
THREE = np.column_stack([FEW, [NAN, 2, 1, NAN, 0, 2, 1, NAN, 3.0]])
DENSE = {
    "one shock, three correlated elements": (PAIR, THREE),
    "two correlated elements": (TWO, FEW),
    "diffuse": (replace(TWO, initial=Diffuse()), FEW),
    "varying": (VARYING, FEW),
    "level": (local_level(obs_var=2.0, level_var=0.3), np.array([NAN, 3.0, NAN, 5.0, 4.0, 2.0])),
    "trend": (
        local_linear_trend(obs_var=1.5, level_var=0.4, trend_var=0.02),
        np.array([1.0, NAN, 2.5, 2.0, NAN, NAN, 4.0, 3.0]),
    ),
    "fixed level": (
        local_linear_trend(obs_var=1.5, level_var=0.0, trend_var=0.05),
        np.array([1.0, 1.5, 2.5, 2.0, NAN, 3.5, 4.0, 3.0]),
    ),
    "track": (constant_velocity(dt=0.5, obs_var=0.8, accel_var=1.7), np.array([0.0, 1.1, NAN, 3.2, 4.0])),
}


@pytest.mark.parametrize("name", DENSE)
def test_disturbances_and_signals_are_those_of_the_joint_gaussian(name):
    assert_dense(*DENSE[name])


@settings(max_examples=150)
@given(models(), observations)
def test_the_disturbances_of_any_model_are_those_of_the_joint_gaussian(model, y):
    assume(identified(Joint(model, y), len(y)))
    assume(not isinstance(model.initial, Known) or model.initial.timing == "predicted")
    assert_dense(model, y)


@pytest.mark.parametrize("name", DENSE)
def test_disturbances_are_those_of_statsmodels(name):
    model, y = DENSE[name]
    if model.observed > 1:
        # statsmodels says nothing of a missing element's noise that others are correlated with.
        there = np.eye(model.observed)
        model = replace(model, obs_cov=model.obs_cov * there)
    peer = statsmodels_smoother(model, y)
    (result,) = smooth_batch([(y, model)], later=True).series
    state, obs = state_disturbances(result), obs_disturbances(result, y)
    periods = len(y)
    close(state.mean, peer.smoothed_state_disturbance.T)
    close(state.variance, np.diagonal(peer.smoothed_state_disturbance_cov))
    close(obs.mean.reshape(periods, -1), peer.smoothed_measurement_disturbance.T)
    close(obs.variance.reshape(periods, -1), np.diagonal(peer.smoothed_measurement_disturbance_cov))


def test_a_structural_models_disturbances_are_those_of_unobserved_components(nile):
    y = nile.copy()
    y[20:30] = NAN
    peer = UnobservedComponents(y, "lltrend", cycle=True, stochastic_cycle=True, use_exact_diffuse=True)
    period, damping = 11.0, 0.9
    results = peer.smooth([15000.0, 1400.0, 3.0, 900.0, 2 * np.pi / period, 1.0], transformed=True)
    model = structural(
        obs_var=15000.0,
        level={"var": 1400.0},
        trend={"var": 3.0},
        cycle={"period": period, "damping": 1.0, "var": 900.0},
        initial=None,
    )
    assert damping < 1, "an undamped cycle starts diffuse in both"
    (result,) = smooth_batch([(y, model)], later=True).series
    state, obs = state_disturbances(result), obs_disturbances(result, y)
    np.testing.assert_allclose(state.mean, results.smoothed_state_disturbance.T, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        state.variance, np.diagonal(results.smoothed_state_disturbance_cov), rtol=1e-7, atol=1e-9
    )
    np.testing.assert_allclose(obs.mean, results.smoothed_measurement_disturbance[0], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(obs.variance, results.smoothed_measurement_disturbance_cov[0, 0], rtol=1e-8)


def test_the_nile_of_1899_is_a_break_of_the_level_and_of_no_single_year(nile):
    # Durbin & Koopman (2012) section 2.12.3: the dam at Aswan shows in the level's auxiliary residual for 1898.
    (result,) = smooth_batch([(nile, local_level(obs_var=15099.0, level_var=1469.1))], later=True).series
    state = state_disturbances(result).standardized[:, 0]
    obs = obs_disturbances(result, nile).standardized
    assert int(np.nanargmin(state)) + 1871 == 1898
    assert state[1898 - 1871] == pytest.approx(-3.1, abs=0.2)
    assert int(np.nanargmax(np.abs(obs))) + 1871 != 1898
    assert np.isnan(state[-1]), "nothing is observed of the last step"


def test_the_filtered_signal_is_that_of_the_joint_gaussian():
    y = FEW
    for model in (TWO, replace(TWO, initial=Diffuse()), VARYING):
        joint = Joint(model, y)
        (result,) = filter_batch([(y, model)], "full").series
        seen = filtered_signal(result)
        for t in range(len(y)):
            if identified(joint, t + 1):
                belief, z = joint.state(t, t + 1), joint.design[t]
                close(seen.mean[t], z @ belief.mean + joint.obs_intercept[t])
                close(seen.variance[t], np.diagonal(z @ belief.cov @ z.T))


def test_signals_and_disturbances_go_on_from_a_saved_state_at_its_period():
    (head,) = filter_batch([(FEW[:4], VARYING)], "full").series
    whole, rest = (
        smooth_batch([(y, VARYING)], starts=start, later=True).series[0]
        for y, start in ((FEW, None), (FEW[4:], [head.saved]))
    )
    close(filtered_signal(rest).mean, filtered_signal(whole).mean[4:])
    close(smoothed_signal(rest).variance, smoothed_signal(whole).variance[4:])
    close(state_disturbances(rest).mean, state_disturbances(whole).mean[4:])
    close(obs_disturbances(rest, FEW[4:]).variance, obs_disturbances(whole, FEW).variance[4:])


def test_a_signal_that_no_observation_tells_is_unknown_and_one_that_is_observed_is_not():
    # A level and a constant: only their sum is ever told.
    twice = Model(
        transition=np.eye(2), design=np.ones((1, 2)), obs_cov=np.array([[1.0]]), state_cov=np.diag([0.5, 0.0])
    )
    y = np.array([3.0, NAN, 5.0, 4.0])
    (result,) = smooth_batch([(y, twice)], later=True).series
    (one,) = smooth_batch([(y, local_level(obs_var=1.0, level_var=0.5))], later=True).series
    assert result.smoothed.smoothed_state_diffuse.all()
    seen, alone = smoothed_signal(result), smoothed_signal(one)
    there = ~np.isnan(y)
    close(seen.mean[there], alone.mean[there])
    close(seen.variance[there], alone.variance[there])
    assert np.isnan(seen.mean[~there]).all()
    assert np.isnan(seen.variance[~there]).all()
    close(obs_disturbances(result, y).mean, obs_disturbances(one, y).mean)


def test_an_observation_that_alone_tells_its_signal_has_no_auxiliary_residual():
    # An intervention at period 2: its coefficient takes whatever was observed there.
    design = np.ones((5, 1, 2))
    design[:, 0, 1] = [0, 0, 1, 0, 0]
    model = Model(transition=np.eye(2), design=design, obs_cov=np.array([[1.0]]), state_cov=np.diag([0.5, 0.0]))
    y = np.array([3.0, 2.0, 900.0, 5.0, 4.0])
    (result,) = smooth_batch([(y, model)], later=True).series
    obs = obs_disturbances(result, y)
    assert np.isnan(obs.standardized).tolist() == [False, False, True, False, False]
    assert obs.mean[2] == pytest.approx(0.0, abs=1e-9)
    assert obs.variance[2] == pytest.approx(1.0)


def test_without_noise_a_disturbance_is_exactly_none_and_shocks_are_told_exactly():
    model = arima(order=(1, 0, 1), ar=[0.5], ma=[0.4], var=2.0)
    y = np.random.default_rng(3).normal(size=60)
    (result,) = smooth_batch([(y, model)], later=True).series
    obs, state = obs_disturbances(result, y), state_disturbances(result)
    assert (obs.mean == 0).all()
    assert (obs.variance == 0).all()
    assert np.isnan(obs.standardized).all()
    assert (filtered_signal(result).variance == 0).all()
    innovations = y[1:] - 0.5 * y[:-1]
    shocks = state.mean[:-1, 0]
    np.testing.assert_allclose(shocks[1:] + 0.4 * shocks[:-1], innovations[1:], atol=1e-12)


def test_the_shocks_variance_keeps_its_digits_where_observations_tell_nearly_all_of_it():
    # Var(η | Y) is of the size of obs_var, 1e-11 of level_var: the book's difference has four digits of it.
    model = local_level(obs_var=1e-11, level_var=1.0)
    y = np.random.default_rng(4).normal(size=12).cumsum()
    (result,) = smooth_batch([(y, model)], later=True).series
    variance = state_disturbances(result).variance[:, 0]
    # Inside: two observations' noise; at the first, the diffuse start leaves the same; the last step is not seen.
    np.testing.assert_allclose(variance[:-1], 2e-11, rtol=1e-8)
    assert variance[-1] == pytest.approx(1.0)


def test_an_auxiliary_residual_is_never_rounding_divided_by_rounding():
    # A fast state of large shocks and little noise: nothing separates the noise from the signal, 1e-9 of it.
    model = local_level(obs_var=1e-3, level_var=1e6)
    y = np.random.default_rng(6).normal(size=20).cumsum() * 1e3
    (result,) = smooth_batch([(y, model)], later=True).series
    assert np.isnan(obs_disturbances(result, y).standardized).all()
    # 1e-6 of it: the residual has its digits, and H - Z V Z' in float64 alone would not.
    model = local_level(obs_var=1.0, level_var=1e6)
    (result,) = smooth_batch([(y, model)], later=True).series
    obs = obs_disturbances(result, y)
    joint = Joint(with_disturbances(model, len(y)), y)
    inverse = np.linalg.inv(joint.obs_joint)
    x = joint.regressors
    smoothing = inverse - inverse @ x @ np.linalg.solve(x.T @ inverse @ x, x.T @ inverse)
    # Smoothing errors u = D y (Durbin & Koopman section 4.5.3): no difference in them.
    expected = (smoothing @ joint.residuals) / np.sqrt(np.diagonal(smoothing))
    np.testing.assert_allclose(obs.standardized, expected, rtol=1e-6)
