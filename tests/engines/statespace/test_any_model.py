"""Models of many states and observations, drawn at random, against the dense joint Gaussian.

To 6 states, 4 observations with correlated noise, gaps element by element, every matrix varying in time or none,
selection, intercepts, and every start. 1e-8 relative where the diffuse part is told clearly.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luna_serving.engines.statespace.batch import filter_batch, forecast_batch, smooth_batch
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Blocks, Diffuse, Known, Stationary
from luna_serving.engines.statespace.model.model import Model

from .oracle import Joint

STEPS = 3


def model_and_series(seed: int) -> tuple[Model, np.ndarray]:
    """A model that covers the series and STEPS periods more, drawn by NumPy: thousands of numbers are no example."""
    rng = np.random.default_rng(seed)
    n, m, length = int(rng.integers(1, 7)), int(rng.integers(1, 5)), int(rng.integers(1, 13))
    shocks = int(rng.integers(1, n + 1))
    vary = rng.random() < 0.5

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=(length + STEPS, *shape) if vary and rng.random() < 0.5 else shape)

    def cov(size: int, rank: int) -> np.ndarray:
        root = draw(size, rank)
        return root @ np.swapaxes(root, -1, -2)

    transition = draw(n, n)
    # Below 1: a start one has, a stationary one too. Around 1 it grows and shrinks.
    radius = np.abs(np.linalg.eigvals(transition)).max(axis=-1)[..., None, None]
    transition = transition / radius * rng.choice([0.7, 1.0])
    root = rng.normal(size=(n, n))
    known = Known(rng.normal(size=n), root @ root.T, rng.choice(["predicted", "filtered"]))
    starts = [Diffuse(), ApproximateDiffuse(100.0), known]
    if n > 1:
        starts.append(Blocks(((1, Diffuse()), (n - 1, Known(np.ones(n - 1), np.eye(n - 1))))))
    constant = transition.ndim == 2
    if constant and np.abs(np.linalg.eigvals(transition)).max() < 0.9:
        starts.append(Stationary())
    noise = cov(m, m)
    model = Model(
        transition=transition,
        design=draw(m, n),
        obs_cov=noise + 0.1 * np.eye(m) if rng.random() < 0.7 else np.abs(rng.normal(size=m) + 0.1) * np.eye(m),
        state_cov=cov(shocks, shocks),
        selection=draw(n, shocks),
        obs_intercept=draw(m),
        state_intercept=draw(n),
        initial=starts[rng.integers(len(starts))],
    )
    y = 5 * rng.normal(size=(length, m))
    y[rng.random((length, m)) < rng.choice([0.0, 0.3, 0.6])] = np.nan
    return model, y


def identified(joint: Joint, upto: int) -> bool:
    """Whether the observations determine the diffuse part with digits to spare."""
    information = joint.information(upto)
    if not len(information):
        return True
    values = np.linalg.eigvalsh(information)
    return bool(values[0] > 1e-3 * values[-1] and values[-1] > 1e-3)


def close(ours: np.ndarray, theirs: np.ndarray, size: float) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8 * max(1.0, size))


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=200)
@given(seeds)
def test_filtered_and_predicted_moments_are_those_of_the_joint_gaussian(seed):
    model, y = model_and_series(seed)
    (result,) = filter_batch([(y, model)], "full").series
    joint = Joint(model, y)
    size = float(np.nanmax(np.abs(result.full.predicted_state), initial=0.0))
    assert result.finite
    for t in range(len(y) + 1):
        if identified(joint, t):
            belief = joint.state(t, t)
            scale = float(np.abs(belief.cov).max())
            close(result.full.predicted_state[t], belief.mean, size)
            close(result.full.predicted_state_cov[t], belief.cov, scale)
            if t < len(y):
                observation = joint.observation(t, t)
                forecast = np.atleast_1d(result.full.forecasts[t])
                close(forecast, observation.mean, float(np.abs(observation.mean).max()))
                cov = result.full.forecast_error_cov[t].reshape(observation.cov.shape)
                close(cov, observation.cov, float(np.abs(observation.cov).max()))
        if t < len(y) and identified(joint, t + 1):
            belief = joint.state(t, t + 1)
            close(result.filtered_state[t], belief.mean, size)
            close(result.full.filtered_state_cov[t], belief.cov, float(np.abs(belief.cov).max()))


@settings(max_examples=150)
@given(seeds)
def test_the_log_likelihood_is_that_of_the_joint_gaussian(seed):
    model, y = model_and_series(seed)
    joint = Joint(model, y)
    assume(identified(joint, len(y)))
    (result,) = filter_batch([(y, model)], "full").series
    close(np.array(result.full.loglike), np.array(joint.loglike()), abs(joint.loglike()))
    assert result.full.loglike == pytest.approx(result.full.loglike_obs.sum(), rel=1e-12)


@settings(max_examples=150)
@given(seeds)
def test_smoothed_moments_are_those_of_the_joint_gaussian(seed):
    model, y = model_and_series(seed)
    joint = Joint(model, y)
    assume(identified(joint, len(y)))
    (result,) = smooth_batch([(y, model)]).series
    assert result.finite
    assert not result.smoothed.smoothed_state_diffuse.any()
    size = float(np.abs(result.smoothed.smoothed_state).max())
    for t in range(len(y)):
        belief = joint.state(t, len(y))
        close(result.smoothed.smoothed_state[t], belief.mean, size)
        close(result.smoothed.smoothed_state_cov[t], belief.cov, float(np.abs(belief.cov).max()))


@settings(max_examples=100)
@given(seeds)
def test_forecasts_are_those_of_the_joint_gaussian(seed):
    model, y = model_and_series(seed)
    joint = Joint(model, np.concatenate([y, np.full((STEPS, model.observed), np.nan)]))
    assume(identified(joint, len(y)))
    (result,) = forecast_batch([(y, model)], [STEPS]).series
    assert result.finite
    assert not result.diffuse.any()
    for h in range(STEPS):
        observation, state = joint.observation(len(y) + h, len(y)), joint.state(len(y) + h, len(y))
        size = float(np.abs(observation.cov).max())
        close(np.atleast_1d(result.mean[h]), observation.mean, float(np.abs(observation.mean).max()))
        close(np.atleast_1d(result.variance[h]), np.diagonal(observation.cov), size)
        close(result.state[h], state.mean, float(np.abs(state.mean).max()))
        close(result.state_cov[h], state.cov, float(np.abs(state.cov).max()))


@settings(max_examples=100)
@given(seeds, st.integers(0, 12))
def test_to_stop_and_go_on_is_one_pass(seed, cut):
    model, y = model_and_series(seed)
    assume(cut <= len(y))
    (whole,) = smooth_batch([(y, model)]).series
    (before,) = filter_batch([(y[:cut], model)], "full").series
    (after,) = smooth_batch([(y[cut:], model)], starts=[before.saved]).series
    # To the last bit, unless a part of it needed more digits than float64 has: then both are right, each by its plan.
    exact = len({each.plan for each in (whole, before, after)}) > 1
    rtol = 1e-9 if exact else 0.0

    def equal(ours, theirs, name=""):
        size = float(np.abs(theirs).max(initial=0.0))
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * size, err_msg=name)

    equal(np.concatenate([before.filtered_state, after.filtered_state]), whole.filtered_state)
    equal(after.full.filtered_state_cov, whole.full.filtered_state_cov[cut:])
    equal(after.full.loglike_obs, whole.full.loglike_obs[cut:])
    equal(after.smoothed.smoothed_state, whole.smoothed.smoothed_state[cut:])
    assert after.full.nobs_diffuse == whole.full.nobs_diffuse
    for name in ("mean", "cov", "diffuse"):
        equal(getattr(after.saved, name), getattr(whole.saved, name), name)
    for name in ("rank", "period", "nobs_diffuse"):
        assert getattr(after.saved, name) == getattr(whole.saved, name)


@settings(max_examples=60)
@given(seeds)
def test_many_observations_of_few_states_collapse_without_a_trace(seed):
    """Also with gaps that leave fewer than n of them, and designs of lower rank."""
    rng = np.random.default_rng(seed)
    n, length = int(rng.integers(1, 4)), 9
    m = n + int(rng.integers(1, 5))
    root, noise = rng.normal(size=(n, n)), rng.normal(size=(m, m))
    design = rng.normal(size=(m, n))
    if rng.random() < 0.3:
        design[:, -1] = design[:, 0]
    model = Model(
        transition=0.9 * np.linalg.qr(rng.normal(size=(n, n)))[0],
        design=design,
        obs_cov=noise @ noise.T + 0.1 * np.eye(m),
        state_cov=root @ root.T,
        obs_intercept=rng.normal(size=m),
        initial=Diffuse() if rng.random() < 0.5 else Stationary(),
    )
    y = 5 * rng.normal(size=(length, m))
    y[rng.random((length, m)) < rng.choice([0.0, 0.5, 0.9])] = np.nan
    joint = Joint(model, y)
    assume(identified(joint, length))
    (result,) = smooth_batch([(y, model)]).series
    close(np.array(result.full.loglike), np.array(joint.loglike()), abs(joint.loglike()))
    for t in range(length):
        belief = joint.state(t, length)
        close(result.smoothed.smoothed_state[t], belief.mean, float(np.abs(belief.mean).max()))
        close(result.smoothed.smoothed_state_cov[t], belief.cov, float(np.abs(belief.cov).max()))


def test_a_collapsed_likelihood_keeps_its_digits_where_observations_are_large():
    """Two elements that differ by noise alone; collapsed or not must not matter."""
    rng = np.random.default_rng(0)
    level = 1e7 + rng.normal(size=50).cumsum()
    y = level[:, None] + rng.normal(size=(50, 2))
    start = Known([1e7], [[1.0]])
    both = Model(np.eye(1), np.ones((2, 1)), np.eye(2), np.eye(1), initial=start)
    # The same, with a second state that is always zero: two states, so that nothing collapses.
    wide = Known([1e7, 0.0], [[1.0, 0.0], [0.0, 0.0]])
    apart = Model(np.eye(2), np.array([[1.0, 0], [1, 0]]), np.eye(2), np.diag([1.0, 0]), initial=wide)
    (one,), (other,) = (filter_batch([(y, model)], "full").series for model in (both, apart))
    assert one.full.loglike == pytest.approx(other.full.loglike, abs=1e-6)
    np.testing.assert_allclose(one.full.loglike_obs, other.full.loglike_obs, atol=1e-7)
