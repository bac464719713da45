"""Smoothing and forecasting models drawn at random, against the dense joint Gaussian."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luna_serving.engines.statespace.batch import forecast_batch, smooth_batch

from .oracle import Joint
from .test_oracle import close, identified, models, observations


@settings(max_examples=300)
@given(models(), observations)
def test_smoothed_moments_are_those_of_the_joint_gaussian(model, y):
    joint = Joint(model, y)
    assume(identified(joint, len(y)))
    (result,) = smooth_batch([(y, model)]).series
    assert not result.smoothed.smoothed_state_diffuse.any()
    for t in range(len(y)):
        belief = joint.state(t, len(y))
        close(result.smoothed.smoothed_state[t], belief.mean)
        close(result.smoothed.smoothed_state_cov[t], belief.cov)


@settings(max_examples=150)
@given(models(), observations)
def test_a_state_is_marked_diffuse_exactly_where_no_observation_tells_of_it(model, y):
    joint = Joint(model, y)
    moved = [joint.unseen(t, len(y)) for t in range(len(y))]
    assume(all(each is not None for each in moved))
    (result,) = smooth_batch([(y, model)]).series
    np.testing.assert_array_equal(result.smoothed.smoothed_state_diffuse, np.array(moved) > 1e-3)


@settings(max_examples=150)
@given(models(), observations)
def test_every_smoothed_number_is_finite_and_every_covariance_positive_and_not_above_the_filtered(model, y):
    (result,) = smooth_batch([(y, model)]).series
    assert result.finite
    if identified(Joint(model, y), len(y)):
        cov, before = result.smoothed.smoothed_state_cov, result.full.filtered_state_cov
        np.testing.assert_array_equal(cov, cov.transpose(0, 2, 1))
        assert (np.diagonal(cov, axis1=1, axis2=2) >= 0).all()
        assert (np.linalg.eigvalsh(cov) > -1e-9 * max(1.0, np.abs(before).max())).all()
        gone = np.cumsum(result.full.forecast_error_diffuse_cov[::-1] > 0)[::-1] == 0
        assert (np.linalg.eigvalsh(before - cov)[gone] > -1e-9 * max(1.0, np.abs(before).max())).all()


@settings(max_examples=150)
@given(models(), observations, st.integers(1, 6))
def test_forecasts_are_those_of_the_joint_gaussian(model, y, steps):
    joint = Joint(model, np.append(y, np.full(steps, np.nan)))
    assume(identified(joint, len(y)))
    (result,) = forecast_batch([(y, model)], [steps]).series
    assert result.finite
    assert not result.diffuse.any()
    for h in range(steps):
        observation, state = joint.observation(len(y) + h, len(y)), joint.state(len(y) + h, len(y))
        close(result.mean[h], observation.mean)
        close(result.variance[h], observation.cov)
        close(result.state[h], state.mean)
        close(result.state_cov[h], state.cov)
