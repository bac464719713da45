"""The kernel of a model for each series, interpreted on a CPU, against a NumPy loop over time."""

import jax.numpy as jnp
import numpy as np
import pytest

from luna_serving.engines.statespace.gpu.per_series import Filtered, Params, filter_series

from .models import Case, draw, stiff_trend


def run(
    case: Case,
    *,
    means: type = np.float64,
    covs: type = np.float64,
    length: int | None = None,
    loglike: bool = True,
) -> Filtered:
    return filter_series(
        Params(*(jnp.asarray(array, covs) for array in case[:5])),
        jnp.asarray(case.y, means),
        jnp.asarray(case.mean, means),
        jnp.asarray(case.cov, covs),
        length=jnp.int32(len(case.y) if length is None else length),
        loglike=loglike,
        interpret=True,
    )


@pytest.mark.parametrize(("states", "length", "batch"), [(1, 37, 45), (2, 41, 3), (3, 22, 64), (4, 19, 33)])
def test_every_series_is_filtered_as_if_alone(states: int, length: int, batch: int) -> None:
    case = draw(states, states, length, batch)
    found, expected = run(case), case.answers()
    tolerance = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(found.means, np.stack([a.means for a in expected], axis=-1), **tolerance)
    np.testing.assert_allclose(found.mean, np.stack([a.mean for a in expected], axis=-1), **tolerance)
    np.testing.assert_allclose(found.cov, np.stack([a.cov for a in expected], axis=-1), **tolerance)
    np.testing.assert_allclose(found.loglike, [a.loglike for a in expected], rtol=1e-12)


def test_the_covariance_is_symmetric_to_the_last_bit() -> None:
    cov = np.asarray(run(draw(30, 4, 19, 33)).cov)
    np.testing.assert_array_equal(cov, cov.swapaxes(0, 1))


def test_two_parts_are_one_pass() -> None:
    case = draw(31, 2, 41, 3)
    cut = 17
    head = run(case, length=cut)
    left = len(case.y) - cut
    # The rest moved to the front of an array as long as before: what follows it is not to be run.
    rest = case._replace(y=np.roll(case.y, -cut, axis=0), mean=np.asarray(head.mean), cov=np.asarray(head.cov))
    tail, whole = run(rest, length=left), run(case)
    np.testing.assert_allclose(tail.means[:left], whole.means[cut:], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(tail.cov, whole.cov, rtol=1e-13, atol=1e-13)
    assert head.loglike is not None
    assert tail.loglike is not None
    np.testing.assert_allclose(head.loglike + tail.loglike, whole.loglike, rtol=1e-13)


def test_a_series_without_observations_is_predicted_only() -> None:
    case = draw(32, 2, 41, 3)
    case.y[:, 1] = np.nan
    found, expected = run(case), case.answers()
    np.testing.assert_allclose(found.means[..., 1], expected[1].means, rtol=1e-12, atol=1e-12)
    assert found.loglike is not None
    assert found.loglike[1] == 0.0


def test_an_observation_that_the_model_already_knows_is_skipped() -> None:
    # A constant seen without noise: known after the first observation, whatever the next ones say.
    one = np.ones((1, 1, 2))
    y = np.array([[3.0, 5.0], [3.0, np.nan], [3.0, 5.0]])
    case = Case(one, one[0], np.zeros(2), np.zeros((1, 2)), 0 * one, y, np.zeros((1, 2)), 4 * one)
    found = run(case)
    np.testing.assert_array_equal(found.means[:, 0], [[3.0, 5.0]] * 3)
    np.testing.assert_array_equal(found.cov, np.zeros((1, 1, 2)))
    np.testing.assert_allclose(found.loglike, -0.5 * (np.log(2 * np.pi * 4) + np.array([9, 25]) / 4))


def test_an_overflow_is_not_hidden() -> None:
    case = draw(33, 1, 37, 45)
    case.cov[..., 0] = np.inf
    case.y[0] = 1.0
    found = run(case)
    assert np.isnan(found.means[0, 0, 0])
    assert np.isfinite(found.means[..., 1:]).all()


def test_a_model_of_another_batch_is_refused() -> None:
    case = draw(38, 2, 41, 3)
    with pytest.raises(ValueError, match=r"^obs_var must be float64\[3\]"):
        run(case._replace(obs_var=case.obs_var[:2]))


def test_a_series_does_not_depend_on_its_neighbours() -> None:
    case = draw(34, 3, 22, 64)
    found = run(case)
    order = np.random.default_rng(0).permutation(64)
    shuffled = run(Case(*(array[..., order] for array in case)))
    for before, after in zip(found, shuffled, strict=True):
        np.testing.assert_array_equal(np.asarray(before)[..., order], after)


def test_a_batch_of_many_programs_is_each_series_alone() -> None:
    few, batch = draw(35, 1, 2, 5), 2**14 + 9
    tiles = -(-batch // 5)
    found = run(Case(*(np.tile(array, tiles)[..., :batch] for array in few)))
    for array, alone in zip(found[:3], run(few)[:3], strict=True):
        np.testing.assert_array_equal(array, np.tile(alone, tiles)[..., :batch])


def test_float64_gains_hold_float32_means_within_2e_4_posterior_standard_deviations() -> None:
    case = stiff_trend(36, 400, 4)
    expected = case.answers()
    means = np.stack([answer.means for answer in expected], axis=-1)
    sd = np.sqrt(np.stack([np.diagonal(answer.covs, axis1=1, axis2=2) for answer in expected], axis=-1))

    def off(covs: type) -> float:
        found = run(case, means=np.float32, covs=covs, loglike=False)
        assert found.means.dtype == np.float32
        assert found.loglike is None
        return float(np.abs((np.asarray(found.means, np.float64) - means) / sd)[50:].max())

    assert off(np.float64) < 2e-4
    # What the float64 gains are for: were this as good, they would be waste.
    assert off(np.float32) > 2e-4


@pytest.mark.parametrize("covs", [np.float32, np.float64])
def test_the_likelihood_of_float32_means_is_summed_in_float64(covs: type) -> None:
    case = draw(37, 2, 2000, 3)
    found = run(case, means=np.float32, covs=covs)
    assert found.loglike is not None
    assert found.loglike.dtype == np.float64
    np.testing.assert_allclose(found.loglike, [answer.loglike for answer in case.answers()], rtol=2e-6)
