"""Draws given observations, against the conditioned joint Gaussian and against statsmodels."""

import numpy as np
import pytest
from statsmodels.tsa.statespace.simulation_smoother import SimulationSmoother
from tests.engines.statespace.gaussian import assert_drawn_from
from tests.engines.statespace.oracle import Joint
from tests.engines.statespace.peer import prepared

from luna_serving.engines.statespace.batch import forecast_batch, smooth_batch
from luna_serving.engines.statespace.kinds import local_level, local_linear_trend
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import Blocks, Diffuse, Known, Stationary
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.process.deadline import OutOfTime
from luna_serving.engines.statespace.simulation.simulation_smoother import simulate_given

NAN = np.nan
NILE = local_level(obs_var=15099.0, level_var=1469.1)
TREND = local_linear_trend(obs_var=2.0, level_var=0.3, trend_var=0.1)
GAPS = np.array([NAN, 3.0, 1.0, NAN, NAN, 6.0, 7.0, NAN])


def given(model: Model, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all states and then the missing observations, given the observed ones, densely."""
    steps = len(y)
    joint = Joint(model, y)
    there = np.flatnonzero(~np.isnan(joint.y.reshape(-1)))
    n, m = steps * model.states, steps * model.observed
    cross = joint.cross[:-1].reshape(n, m)
    cov = np.block([[joint.states_cov[:-1, :, :-1].reshape(n, n), cross], [cross.T, joint.obs_joint]])
    seen = np.where(np.isnan(joint.y.reshape(-1)), 0.0, joint.y.reshape(-1))
    expected = Joint(model, np.zeros((steps, model.observed))).residuals
    mean = np.concatenate([joint.states_mean[:-1].ravel(), -expected])
    diffuse = np.concatenate([joint.states_diffuse[:-1].reshape(n, -1), joint.regressors])
    places, wanted = n + there, np.setdiff1d(np.arange(n + m), n + there)
    gain = np.linalg.solve(cov[np.ix_(places, places)], cov[places]).T
    surprise = seen[there] - mean[places]
    answer, spread = mean + gain @ surprise, cov - gain @ cov[places]
    if model.start.rank:
        x, v = diffuse[places], cov[np.ix_(places, places)]
        information = x.T @ np.linalg.solve(v, x)
        delta = np.linalg.solve(information, x.T @ np.linalg.solve(v, surprise))
        open_part = diffuse - gain @ x
        answer, spread = answer + open_part @ delta, spread + open_part @ np.linalg.solve(information, open_part.T)
    return answer[wanted], spread[np.ix_(wanted, wanted)]


def three_observed(**changes: object) -> Model:
    """Correlated noise, a shock that moves both states, intercepts, one state diffuse."""
    matrices = {
        "transition": [[1.0, 0.3], [0.0, 0.6]],
        "design": [[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]],
        "obs_cov": [[2.0, 1.2, -0.5], [1.2, 1.0, 0.0], [-0.5, 0.0, 3.0]],
        "state_cov": [[0.5]],
        "selection": [[1.0], [0.5]],
        "obs_intercept": [100.0, 0.0, -5.0],
        "state_intercept": [0.2, 1.0],
        "initial": Blocks(((1, Diffuse()), (1, Stationary()))),
    }
    return Model(**(matrices | changes))


def partly_missing() -> np.ndarray:
    y = np.random.default_rng(3).normal(size=(7, 3)) * 3 + [100.0, 5.0, 0.0]
    y[0, 1:] = y[2, 0] = y[4, 2] = NAN
    y[3] = NAN
    y[5, :2] = NAN
    return y


def varying() -> Model:
    rng = np.random.default_rng(8)
    root = rng.normal(size=(7, 3, 3))
    return three_observed(
        transition=rng.normal(size=(7, 2, 2)) / 2,
        obs_cov=root @ root.swapaxes(1, 2),
        state_intercept=rng.normal(size=(7, 2)),
        initial=Diffuse(),
    )


CASES = {
    "a diffuse level": lambda: (NILE, np.array([1120.0, 1160.0, 963.0, 1210.0])),
    "a diffuse trend with gaps": lambda: (TREND, GAPS),
    "a known start": lambda: (
        local_level(obs_var=1.0, level_var=0.5, initial=Known([4.0], [[2.0]])),
        np.array([NAN, 2.0, NAN, 5.0]),
    ),
    "no observation at all": lambda: (
        local_level(obs_var=1.0, level_var=0.5, initial=Known([4.0], [[2.0]])),
        np.full(3, NAN),
    ),
    "noise that its neighbours tell of": lambda: (three_observed(), partly_missing()),
    "matrices that vary": lambda: (varying(), partly_missing()),
}


@pytest.mark.parametrize("name", CASES)
def test_states_and_missing_observations_have_their_joint_conditional_distribution(name: str) -> None:
    model, y = CASES[name]()
    mean, cov = given(model, y)
    (drawn,) = simulate_given([(y, model)], 1500, seed=4).series
    assert drawn.finite
    assert drawn.determined
    states, observations = drawn.paths
    missing = observations[:, np.isnan(y.reshape(len(y), -1))]
    assert_drawn_from(np.concatenate([states.reshape(1500, -1), missing], axis=1), mean, cov)


def test_what_was_observed_is_in_every_draw_as_it_was() -> None:
    y = partly_missing()
    (drawn,) = simulate_given([(y, three_observed())], 3, seed=0).series
    there = ~np.isnan(y)
    np.testing.assert_array_equal(drawn.paths.observations[:, there], np.tile(y[there], (3, 1)))
    assert np.isfinite(drawn.paths.observations).all()


def test_without_noise_the_draws_run_through_the_observations() -> None:
    model = local_linear_trend(obs_var=0.0, level_var=1.0, trend_var=0.5)
    y = GAPS + 1000
    (drawn,) = simulate_given([(y, model)], 20, seed=0).series
    level, there = drawn.paths.states[:, :, 0], ~np.isnan(y)
    np.testing.assert_allclose(level[:, there], np.tile(y[there], (20, 1)), rtol=1e-12)
    np.testing.assert_allclose(drawn.paths.observations[:, :, 0], level, rtol=1e-12)
    assert level[:, ~there].std(axis=0).min() > 0.3


def test_paths_beyond_the_end_are_the_forecasts_and_move_together(nile: np.ndarray) -> None:
    steps = 6
    (drawn,) = simulate_given([(nile, NILE)], 2000, seed=2, steps=steps).series
    (forecast,) = forecast_batch([(nile, NILE)], [steps]).series
    # Of a local level h and k steps ahead, h < k: the h-step variance of the level is all that they share.
    level_var = forecast.variance - 15099.0
    cov = np.minimum.outer(level_var, level_var) + 15099.0 * np.eye(steps)
    assert_drawn_from(drawn.paths.observations[:, -steps:, 0], forecast.mean, cov)


def test_the_mean_of_many_draws_is_the_smoothed_state(nile: np.ndarray) -> None:
    y = nile.copy()
    y[20:40] = NAN
    (drawn,) = simulate_given([(y, NILE)], 1000, seed=5).series
    smoothed = smooth_batch([(y, NILE)]).series[0].smoothed
    assert smoothed is not None
    error = np.sqrt(smoothed.smoothed_state_cov[:, 0, 0] / 1000)
    assert np.abs((drawn.paths.states.mean(axis=0) - smoothed.smoothed_state)[:, 0] / error).max() < 5


@pytest.mark.parametrize("case", ["a diffuse trend with gaps", "noise that its neighbours tell of"])
def test_statsmodels_draws_from_the_same_distribution(case: str) -> None:
    model, y = CASES[case]()
    if model.observed > 1:
        # statsmodels draws exact diffuse starts only where all states have one.
        model = three_observed(initial=Known([0.0, 1.0], [[9.0, 1.0], [1.0, 4.0]]))
    peer = SimulationSmoother(k_endog=model.observed, k_states=model.states, k_posdef=model.shocks)
    sampler = prepared(peer, model, y).simulation_smoother(rng=np.random.default_rng(1))
    mean, cov = given(model, y)
    states = len(y) * model.states
    theirs = []
    for _ in range(1000):
        sampler.simulate()
        theirs.append(sampler.simulated_state.T.copy())
    assert_drawn_from(np.array(theirs), mean[:states], cov[:states, :states])
    (ours,) = simulate_given([(y, model)], 1000, seed=1).series
    assert_drawn_from(ours.paths.states, mean[:states], cov[:states, :states])


def test_a_seed_gives_the_same_draws_and_other_series_others() -> None:
    items = [(GAPS, TREND), (GAPS, TREND), (GAPS[:4], TREND)]
    first, again = (simulate_given(items, 2, seed=9).series for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.paths.states, other.paths.states)
    assert not np.isin(first[0].paths.states, first[1].paths.states).any()
    assert [each.paths.states.shape for each in first] == [(2, 8, 2), (2, 8, 2), (2, 4, 2)]


@pytest.mark.parametrize("case", ["a diffuse trend with gaps", "noise that its neighbours tell of"])
def test_a_draw_does_not_depend_on_how_many_are_asked_for(case: str) -> None:
    model, y = CASES[case]()
    (most,) = simulate_given([(y, model)], 70, seed=9).series
    for draws in (1, 5, 33):
        (fewer,) = simulate_given([(y, model)], draws, seed=9).series
        np.testing.assert_allclose(fewer.paths.states, most.paths.states[:draws], rtol=1e-12, atol=1e-12)


def test_drawing_stops_when_its_time_is_over() -> None:
    looks = 0

    def out_of_time() -> bool:
        nonlocal looks
        looks += 1
        return looks > 40

    with pytest.raises(OutOfTime):
        simulate_given([(GAPS, TREND)] * 3, 20, seed=0, out_of_time=out_of_time)
    assert looks == 41


def test_series_that_miss_the_same_are_smoothed_together_and_the_others_apart() -> None:
    items = [(GAPS, TREND), (GAPS * 2, TREND), (np.nan_to_num(GAPS), TREND), (GAPS, NILE)]
    batch = simulate_given(items, 3, seed=9)
    assert (batch.report.batches, batch.report.batch_shape) == (3, (6, 8))
    for place, item in enumerate(items):
        alone = simulate_given([*items[:place], item], 3, seed=9).series[place]
        np.testing.assert_allclose(batch.series[place].paths.states, alone.paths.states, rtol=1e-12, atol=1e-12)


def test_a_state_that_no_observation_tells_of_is_not_drawn() -> None:
    one, two = simulate_given([(np.array([5.0]), TREND), (np.array([5.0, 6.0]), TREND)], 2, seed=0).series
    assert not one.determined
    assert two.determined


def test_an_overflow_is_told() -> None:
    model = local_level(obs_var=1.0, level_var=1.0)
    wild, tame = simulate_given([(np.array([1e308, -1e308, 1e308]), model), (np.ones(3), model)], 2, seed=0).series
    assert not wild.finite
    assert tame.finite


def test_paths_end_where_matrices_that_vary_end() -> None:
    with pytest.raises(ModelError, match="covers 7 periods") as error:
        simulate_given([(partly_missing(), varying())], 2, seed=0, steps=1)
    assert error.value.pointer == "/transition"
