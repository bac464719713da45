"""Models drawn at random against the dense joint Gaussian, which knows no recursion."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Diffuse, Known
from luna_serving.engines.statespace.model.model import Model

from .oracle import Joint
from .univariate import univariate


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False).map(lambda x: round(x, 2))


@st.composite
def covariances(draw, n: int) -> np.ndarray:
    root = np.array(draw(st.lists(numbers(-2, 2), min_size=n * n, max_size=n * n))).reshape(n, n)
    return root @ root.T


@st.composite
def models(draw) -> Model:
    n = draw(st.sampled_from([1, 2]))
    transition = np.array(draw(st.lists(numbers(-1.2, 1.2), min_size=n * n, max_size=n * n))).reshape(n, n)
    design = np.array(draw(st.lists(numbers(-2, 2), min_size=n, max_size=n)))
    mean = np.array(draw(st.lists(numbers(-9, 9), min_size=n, max_size=n)))
    start = draw(
        st.one_of(
            st.just(Diffuse()),
            st.just(ApproximateDiffuse(100.0)),
            st.builds(Known, st.just(mean), covariances(n), st.sampled_from(["predicted", "filtered"])),
        )
    )
    return univariate(transition, design, draw(numbers(0.1, 5)), draw(covariances(n)), start)


observations = st.lists(st.one_of(st.just(np.nan), numbers(-20, 20)), min_size=1, max_size=10).map(np.array)


def identified(joint: Joint, upto: int) -> bool:
    """Whether the first observations determine the diffuse part, and well enough to compare digits."""
    information = joint.information(upto)
    if not len(information):
        return True
    size = np.abs(information).max()
    return size > 1e-4 and np.linalg.eigvalsh(information)[0] > 1e-5 * max(size, 1.0)


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-7 * max(1.0, float(np.abs(theirs).max())))


@settings(max_examples=300)
@given(models(), observations)
def test_filtered_moments_are_those_of_the_joint_gaussian(model, y):
    (result,) = filter_batch([(y, model)], "full").series
    joint = Joint(model, y)
    for t in range(len(y)):
        if identified(joint, t + 1):
            belief = joint.state(t, t + 1)
            close(result.filtered_state[t], belief.mean)
            close(result.full.filtered_state_cov[t], belief.cov)


@settings(max_examples=300)
@given(models(), observations)
def test_predicted_moments_are_those_of_the_joint_gaussian(model, y):
    (result,) = filter_batch([(y, model)], "full").series
    joint = Joint(model, y)
    for t in range(len(y) + 1):
        if identified(joint, t):
            belief = joint.state(t, t)
            close(result.full.predicted_state[t], belief.mean)
            close(result.full.predicted_state_cov[t], belief.cov)


@settings(max_examples=300)
@given(models(), observations)
def test_the_log_likelihood_is_that_of_the_joint_gaussian(model, y):
    joint = Joint(model, y)
    assume(identified(joint, len(y)))
    (result,) = filter_batch([(y, model)], "full").series
    close(np.array([result.full.loglike]), np.array([joint.loglike()]))


@settings(max_examples=150)
@given(models(), observations)
def test_the_variant_for_means_filters_to_the_same_means(model, y):
    (means,) = filter_batch([(y, model)], "means").series
    (full,) = filter_batch([(y, model)], "full").series
    close(means.filtered_state, full.filtered_state)


@settings(max_examples=150)
@given(models(), observations)
def test_every_number_is_finite_and_every_covariance_positive(model, y):
    (result,) = filter_batch([(y, model)], "full").series
    assert result.finite
    for cov in (result.full.filtered_state_cov, result.full.predicted_state_cov):
        np.testing.assert_array_equal(cov, cov.transpose(0, 2, 1))
        assert (np.linalg.eigvalsh(cov) > -1e-9 * max(1.0, np.abs(cov).max())).all()
    assert (np.isnan(result.full.forecast_error) == np.isnan(y)).all()
    assert (result.full.loglike_obs[np.isnan(y)] == 0).all()
