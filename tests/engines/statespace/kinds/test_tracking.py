"""Tracks at regular and irregular times."""

import numpy as np
import pytest
from scipy.linalg import expm

from luna_serving.engines.statespace.batch import filter_batch, forecast_batch
from luna_serving.engines.statespace.kinds import constant_acceleration, constant_velocity
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.model import Model


def test_constant_velocity_takes_filterpys_discrete_white_noise():
    model = constant_velocity(dt=0.5, obs_var=2.0, accel_var=3.0)
    np.testing.assert_array_equal(model.transition, [[1.0, 0.5], [0.0, 1.0]])
    np.testing.assert_allclose(
        model.disturbance_cov, 3.0 * np.array([[0.25 * 0.5**4, 0.5 * 0.5**3], [0.5 * 0.5**3, 0.5**2]])
    )


def test_constant_acceleration_takes_filterpys_discrete_white_noise():
    dt = 0.5
    model = constant_acceleration(dt=dt, obs_var=2.0, accel_var=3.0)
    # Q_discrete_white_noise(3, dt, 1), as filterpy prints it.
    unit = [[dt**4 / 4, dt**3 / 2, dt**2 / 2], [dt**3 / 2, dt**2, dt], [dt**2 / 2, dt, 1.0]]
    np.testing.assert_allclose(model.disturbance_cov, 3.0 * np.array(unit))
    np.testing.assert_array_equal(model.design, [[1.0, 0.0, 0.0]])


@pytest.mark.parametrize("build", [constant_velocity, constant_acceleration])
def test_the_transition_is_the_flow_of_a_motion_whose_last_derivative_rests(build):
    steps = [0.25, 3.0]
    model = build(dt=steps, obs_var=1.0, accel_var=1.0)
    generator = np.eye(model.states, k=1)
    np.testing.assert_allclose(model.transition[:2], [expm(generator * dt) for dt in steps])


def test_a_list_of_equal_steps_is_the_same_model_as_the_one_step():
    y = np.random.default_rng(1).normal(size=40).cumsum()
    for build in (constant_velocity, constant_acceleration):
        once, listed = (build(dt=dt, obs_var=1.0, accel_var=0.5) for dt in (0.5, [0.5] * 39))
        one, other = (filter_batch([(y, model)], "full").series[0] for model in (once, listed))
        np.testing.assert_allclose(other.filtered_state, one.filtered_state, rtol=1e-12)
        assert other.full.loglike == pytest.approx(one.full.loglike, rel=1e-12)


@pytest.mark.parametrize("build", [constant_velocity, constant_acceleration])
def test_irregular_times_are_those_of_a_fine_grid_seen_now_and_then(build):
    """Where nothing disturbs the motion, skipping periods and a longer step are the same."""
    steps = [1, 3, 1, 2, 5, 1, 1, 2]
    times = np.cumsum([0, *steps])
    y = np.random.default_rng(2).normal(size=len(times)) + times
    grid = np.full(times[-1] + 1, np.nan)
    grid[times] = y
    fine = filter_batch([(grid, build(dt=1.0, obs_var=1.0, accel_var=0.0))], "full").series[0]
    irregular = filter_batch([(y, build(dt=steps, obs_var=1.0, accel_var=0.0))], "full").series[0]
    np.testing.assert_allclose(irregular.filtered_state, fine.filtered_state[times], rtol=1e-7, atol=1e-9)
    assert irregular.full.loglike == pytest.approx(fine.full.loglike, rel=1e-10)


@pytest.mark.parametrize("build", [constant_velocity, constant_acceleration])
def test_two_observations_of_one_instant_are_one_of_their_mean(build):
    """Of half the variance; where the start is diffuse the likelihoods differ by that of the difference alone."""
    y = np.array([0.3, 1.4, 1.1, 3.0, 4.2, 5.1])
    pairs = build(dt=[1.0, 0.0, 2.0, 1.0, 1.0], obs_var=2.0, accel_var=0.5)
    np.testing.assert_array_equal(pairs.transition[1], np.eye(pairs.states))
    assert not pairs.disturbance_cov[1].any()
    two = filter_batch([(y, pairs)], "full").series[0]
    mean = np.array([0.3, np.nan, 1.25, 3.0, 4.2, 5.1])
    halved = np.array([2.0, 2.0, 1.0, 2.0, 2.0, 2.0])[:, None, None]
    one = Model(pairs.transition, pairs.design, halved, pairs.disturbance_cov)
    merged = filter_batch([(mean, one)], "full").series[0]
    np.testing.assert_allclose(two.filtered_state[3:], merged.filtered_state[3:], rtol=1e-9)
    difference = -0.5 * (np.log(2 * np.pi * 4.0) + 0.3**2 / 4.0)
    assert two.full.loglike == pytest.approx(merged.full.loglike + difference, rel=1e-9)


def test_only_lists_may_hold_steps_of_zero():
    with pytest.raises(ModelError, match="of one instant"):
        constant_velocity(dt=0.0, obs_var=1.0, accel_var=1.0)
    assert constant_velocity(dt=[0.0, 0.0], obs_var=1.0, accel_var=1.0).length == 3


def test_one_step_less_than_points_is_enough_to_filter_and_one_a_forecast_to_forecast():
    y = np.arange(5.0)

    def model(steps: int) -> Model:
        return constant_velocity(dt=[1.0] * steps, obs_var=1.0, accel_var=1.0)

    assert filter_batch([(y, model(4))], "full").series[0].full.predicted_state.shape == (6, 2)
    with pytest.raises(ModelError) as caught:
        filter_batch([(y, model(3))], "full")
    assert caught.value.pointer == "/dt"
    np.testing.assert_allclose(forecast_batch([(y, model(7))], [3]).series[0].mean, [5.0, 6.0, 7.0])
    with pytest.raises(ModelError):
        forecast_batch([(y, model(6))], [3])
