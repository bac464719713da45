"""Every plan gives the numbers of the textbook's loop, whatever the model, the gaps and the shape of the batch."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.statespace.plans.textbook import Filtered, Matrices, drawn, holes, textbook

from luna_serving.engines.statespace.plans.parallel_in_time import parallel_in_time_means
from luna_serving.engines.statespace.plans.per_series import ModelArrays, Moments, per_series_filter
from luna_serving.engines.statespace.plans.recurrence import Recurrence, period_gains, recurrence, settled
from luna_serving.engines.statespace.plans.shared_gain import shared_gain_filter
from luna_serving.engines.statespace.plans.steady_state import steady_means

seeds = st.integers(0, 2**32 - 1)


def near(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-11) -> None:
    scale = 1 + np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


def gains_of(model: Matrices, reference: Filtered) -> Recurrence:
    return recurrence(
        reference.array("gain"), model.transition, model.design, model.state_intercept, model.obs_intercept
    )


def model_arrays(models: list[Matrices]) -> ModelArrays:
    def side_by_side(name: str) -> np.ndarray:
        return np.stack([getattr(model, name)[0] for model in models], axis=-1)

    return ModelArrays(
        transition=side_by_side("transition"),
        design=side_by_side("design")[0],
        obs_var=side_by_side("obs_cov")[0, 0],
        state_cov=side_by_side("state_cov"),
        state_intercept=side_by_side("state_intercept"),
        obs_intercept=side_by_side("obs_intercept")[0],
    )


def starts_of(models: list[Matrices]) -> Moments:
    return Moments(
        np.stack([model.mean for model in models], axis=-1), np.stack([model.cov for model in models], axis=-1)
    )


@given(seeds, st.integers(1, 6), st.integers(1, 3), st.integers(1, 40), st.integers(1, 5), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_the_shared_gain_is_the_textbooks_filter(seed, n, m, length, batch, varying, intercepts):
    rng = np.random.default_rng(seed)
    model = drawn(rng, n, m, length, varying=varying, intercepts=intercepts)
    missing = holes(rng, (length, m), 0.3)
    y = rng.normal(size=(length, m, batch))
    y[missing] = np.nan
    references = [textbook(model, y[:, :, series]) for series in range(batch)]
    start = np.repeat(model.mean[:, None], batch, axis=1)
    means = shared_gain_filter(gains_of(model, references[0]), y.transpose(2, 0, 1), start)
    near(means, np.stack([reference.array("mean") for reference in references]))


@given(seeds, st.integers(1, 4), st.integers(1, 40), st.integers(1, 5), st.booleans())
@settings(max_examples=60)
def test_each_series_has_its_own_gaps_and_model(seed, n, length, batch, intercepts):
    rng = np.random.default_rng(seed)
    models = [drawn(rng, n, 1, length, varying=False, intercepts=intercepts) for _ in range(batch)]
    y = rng.normal(size=(length, batch))
    y[holes(rng, y.shape, 0.3)] = np.nan
    references = [textbook(model, y[:, [series]]) for series, model in enumerate(models)]
    means, after = per_series_filter(model_arrays(models), y.T, starts_of(models))
    near(means, np.stack([reference.array("mean") for reference in references]))
    near(after.mean, np.stack([reference.predicted_mean[-1] for reference in references], axis=-1))
    near(after.cov, np.stack([reference.predicted_cov[-1] for reference in references], axis=-1))


@given(seeds, st.integers(1, 5), st.integers(1, 3), st.integers(1, 700), st.integers(1, 4), st.booleans())
@settings(max_examples=40)
def test_a_constant_recurrence_in_blocks_is_its_loop(seed, n, m, length, batch, intercepts):
    rng = np.random.default_rng(seed)
    model = drawn(rng, n, m, 400, varying=False, intercepts=intercepts)
    tail = gains_of(model, textbook(model, np.zeros((400, m))))
    y, start = rng.normal(size=(batch, length, m)), rng.normal(size=(batch, n))
    expected, latest = np.empty((batch, length, n)), start
    for t in range(length):
        latest = latest @ tail.phi[-1].T + y[:, t] @ tail.gain[-1].T + tail.offset[-1]
        expected[:, t] = latest
    near(steady_means(tail.phi[-1], tail.gain[-1], tail.offset[-1], y, start), expected)


@given(seeds, st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=30)
def test_elements_taken_one_by_one_have_the_periods_joint_gain(seed, n, m):
    rng = np.random.default_rng(seed)
    model = drawn(rng, n, m, 8, varying=True, intercepts=False)
    model.obs_cov = model.obs_cov * np.eye(m)
    y = rng.normal(size=(8, m))
    y[holes(rng, y.shape, 0.3)] = np.nan
    reference = textbook(model, y)
    gains = np.zeros((8, m, n))
    for t in range(8):
        p = reference.predicted_cov[t]
        for i in np.flatnonzero(~np.isnan(y[t])):
            z = model.design[t, i]
            gains[t, i] = p @ z / (z @ p @ z + model.obs_cov[t, i, i])
            left = np.eye(n) - np.outer(gains[t, i], z)
            p = left @ p @ left.T + model.obs_cov[t, i, i] * np.outer(gains[t, i], gains[t, i])
    near(period_gains(gains, model.design), reference.array("gain"))


def trend(n: int, length: int, variances: list[float], obs_var: float = 1.0, start: float = 10.0) -> Matrices:
    """A polynomial trend of n states."""
    return Matrices(
        transition=np.broadcast_to(np.eye(n) + np.eye(n, k=1), (length, n, n)),
        design=np.broadcast_to(np.eye(1, n), (length, 1, n)),
        obs_cov=np.full((length, 1, 1), obs_var),
        state_cov=np.broadcast_to(np.diag(variances), (length, n, n)),
        state_intercept=np.zeros((length, n)),
        obs_intercept=np.zeros((length, 1)),
        mean=np.zeros(n),
        cov=start * np.eye(n),
    )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("length", "batch"), [(1, 1), (513, 33), (1100, 600)])
def test_threads_change_no_digit(length, batch, threads):
    model = trend(2, length, [0.1, 0.01])
    gains = gains_of(model, textbook(model, np.zeros((length, 1))))
    y = np.random.default_rng(0).normal(size=(batch, length))
    start, lanes, starts = np.zeros((2, batch)), model_arrays([model] * batch), starts_of([model] * batch)
    with ThreadPoolExecutor(threads) as pool:
        whole = shared_gain_filter(gains, y, start, pool=pool, threads=threads)
        own, after = per_series_filter(lanes, y, starts, pool=pool, threads=threads)
    unspread, own_after = per_series_filter(lanes, y, starts)
    near(own, whole)
    for place in {0, batch // 2, batch - 1}:
        np.testing.assert_array_equal(unspread[place], own[place])
        alone = shared_gain_filter(gains, y[[place]], start[:, [place]])
        near(whole[place], alone[0], 1e-15)
        near(whole[place], textbook(model, y[place][:, None]).array("mean"))
    np.testing.assert_array_equal(own_after.mean, after.mean)
    np.testing.assert_array_equal(own_after.cov, after.cov)


@pytest.mark.parametrize("precision", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_memory_is_used_again_and_nothing_shines_through(n, precision):
    model = trend(n, 1500, [0.1] * n)
    gains = gains_of(model, textbook(model, np.zeros((1500, 1))))
    rng = np.random.default_rng(n)
    one, other = rng.normal(size=(2, 700, 1500))
    start, expected = np.zeros((n, 700)), []
    for y in (one, other, one):
        expected.append(shared_gain_filter(gains, y, start, precision=precision)[::90])
        # What was observed there before is infinite, and beyond the tile's own series.
        shared_gain_filter(gains, np.full((520, 1500), np.inf), np.zeros((n, 520)), precision=precision)
        filtered = shared_gain_filter(gains, y, start, precision=precision)
        np.testing.assert_array_equal(filtered[::90], expected[-1])
    np.testing.assert_array_equal(expected[0], expected[2])
    assert not np.array_equal(expected[0], expected[1])


def test_a_settled_covariance_goes_on_as_a_steady_state():
    length = 3000
    model = trend(2, length, [0.1, 0.01])
    y = np.random.default_rng(0).normal(size=(1, length, 1)).cumsum(axis=1)
    reference = textbook(model, y[0])
    turn = settled(reference.array("predicted_cov"))
    assert 20 < turn < 200
    gains = gains_of(model, reference)
    start = reference.array("mean")[None, turn]
    tail = steady_means(gains.phi[turn], gains.gain[turn], gains.offset[turn], y[:, turn + 1 :], start)
    near(tail[0], reference.array("mean")[turn + 1 :], 1e-12)


def test_a_slow_filter_is_not_taken_for_a_settled_one():
    level_var, cov = 1e-5, [10.0]
    for _ in range(10_000):
        # P / (P + 1) + level_var, the local level's recursion with obs_var 1
        cov.append(cov[-1] / (cov[-1] + 1) + level_var)
    rows = np.array(cov)[:, None, None]
    assert settled(rows[:3000]) is None
    limit = (level_var + np.sqrt(level_var**2 + 4 * level_var)) / 2
    assert abs(cov[settled(rows)] / limit - 1) < 1e-12


@pytest.mark.parametrize(("n", "variances"), [(1, [0.1]), (2, [0.1, 0.01]), (3, [0.1, 0.01, 0.001])])
def test_one_long_series_with_gaps_may_be_cut(n, variances):
    rng = np.random.default_rng(0)
    length = 40_007
    model = trend(n, length, variances)
    y = 1e4 + rng.normal(size=length).cumsum()
    y[holes(rng, y.shape, 0.1)] = np.nan
    y[20_000:20_050] = np.nan
    lanes, start = model_arrays([model]), starts_of([model])
    result = parallel_in_time_means(lanes, y, start)
    assert result is not None
    means, after = result
    sequential, expected = per_series_filter(lanes, y[None], start)
    near(means, sequential[0])
    near(after.mean, expected.mean)
    near(after.cov, expected.cov)
    near(means[:300], textbook(model, y[:300, None]).array("mean"))


def test_what_does_not_forget_is_not_cut():
    length = 20_000
    y = np.random.default_rng(0).normal(size=length)
    never = trend(1, length, [0.0])
    assert parallel_in_time_means(model_arrays([never]), y, starts_of([never])) is None
    model = trend(1, length, [0.1])
    # The seams of a series that is mostly gap cannot agree, though its beginning forgets at once.
    y[1000:] = np.nan
    assert parallel_in_time_means(model_arrays([model]), y, starts_of([model])) is None


def test_a_short_series_is_not_cut():
    model = trend(1, 1000, [0.1])
    assert parallel_in_time_means(model_arrays([model]), np.zeros(1000), starts_of([model])) is None


def test_more_states_than_are_compiled_are_refused_by_name():
    model = trend(5, 3, [1.0] * 5)
    with pytest.raises(ValueError, match="got 5"):
        per_series_filter(model_arrays([model]), np.zeros((1, 3)), starts_of([model]))
