"""Draws from a model against the joint Gaussian of all its states and observations."""

import numpy as np
import pytest
from tests.engines.statespace.gaussian import assert_drawn_from
from tests.engines.statespace.oracle import Joint

from luna_serving.engines.statespace.kinds import local_level, local_linear_trend
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import Blocks, Diffuse, Known, Stationary
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.simulation.simulate import factor, simulate

LENGTH = 8
KNOWN = Known([5.0, -1.0], [[2.0, 0.6], [0.6, 1.0]])


def varying() -> Model:
    """Two observed of three states that two shocks move, everything changing from period to period."""
    rng = np.random.default_rng(5)
    root, noise = rng.normal(size=(LENGTH, 2, 2)), rng.normal(size=(LENGTH, 2, 2))
    return Model(
        transition=rng.normal(size=(LENGTH, 3, 3)) / 2,
        design=rng.normal(size=(LENGTH, 2, 3)),
        obs_cov=noise @ noise.swapaxes(1, 2),
        state_cov=root @ root.swapaxes(1, 2),
        selection=rng.normal(size=(LENGTH, 3, 2)),
        obs_intercept=rng.normal(size=(LENGTH, 2)),
        state_intercept=rng.normal(size=(LENGTH, 3)),
        initial=Known([1.0, 2.0, 3.0], np.diag([1.0, 0.0, 2.0])),
    )


def mixed() -> Model:
    """A trend that is known without doubt beside a stationary cycle with a constant."""
    return Model(
        transition=[[1, 1, 0], [0, 1, 0], [0, 0, 0.7]],
        design=[[1.0, 0.0, 1.0]],
        obs_cov=[[0.0]],
        state_cov=np.diag([0.0, 0.5, 2.0]),
        state_intercept=[0.0, 0.0, 3.0],
        initial=Blocks(((2, Known([10.0, 0.1], np.zeros((2, 2)))), (1, Stationary()))),
    )


MODELS = {
    "a trend with a correlated start": lambda: local_linear_trend(
        obs_var=2.0, level_var=0.3, trend_var=0.1, initial=KNOWN
    ),
    "one shock that moves two states": lambda: Model(
        transition=[[0.5, 0.2], [0.0, -0.6]],
        design=[[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]],
        obs_cov=np.ones((3, 3)),
        state_cov=[[4.0]],
        selection=[[1.0], [0.5]],
        obs_intercept=[100.0, 0.0, -5.0],
        initial=Stationary(),
    ),
    "units 1e12 apart": lambda: Model(
        transition=np.eye(2),
        design=[[1.0, 1e12]],
        obs_cov=[[1.0]],
        state_cov=[[1.0, 0.5e-12], [0.5e-12, 1e-24]],
        initial=Known([0.0, 0.0], [[1.0, -0.9e-12], [-0.9e-12, 1e-24]]),
    ),
    "blocks without noise": mixed,
    "all matrices vary": varying,
}


@pytest.mark.parametrize("name", MODELS)
def test_states_and_observations_have_the_models_joint_distribution(name: str) -> None:
    model = MODELS[name]()
    drawn = simulate(model, LENGTH, 5000, seed=1)
    n, m = LENGTH * model.states, LENGTH * model.observed
    joint = Joint(model, np.zeros((LENGTH, m // LENGTH)))
    mean = np.concatenate([joint.states_mean[:-1].ravel(), -joint.residuals])
    cross = joint.cross[:-1].reshape(n, m)
    cov = np.block([[joint.states_cov[:-1, :, :-1].reshape(n, n), cross], [cross.T, joint.obs_joint]])
    both = np.concatenate([drawn.states.reshape(5000, -1), drawn.observations.reshape(5000, -1)], axis=1)
    assert_drawn_from(both, mean, cov)


def test_a_seed_gives_the_same_draws_and_another_seed_others() -> None:
    model = varying()
    first, again, other = simulate(model, 5, 3, 7), simulate(model, 5, 3, 7), simulate(model, 5, 3, 8)
    np.testing.assert_array_equal(first.states, again.states)
    np.testing.assert_array_equal(first.observations, again.observations)
    assert not np.isin(first.observations, other.observations).any()


def test_draws_and_sets_of_draws_under_one_seed_differ() -> None:
    model = local_level(obs_var=1.0, level_var=1.0, initial=Known([0.0], [[1.0]]))
    sets = np.stack([simulate(model, 10, 20, 7, series=i).states for i in range(3)])
    assert len(np.unique(sets)) == sets.size


@pytest.mark.parametrize("states", [1, 2, 5, 13, 64])
def test_a_draw_has_the_same_bits_however_many_and_however_long(states: int) -> None:
    rng = np.random.default_rng(states)
    model = Model(
        transition=rng.normal(size=(states, states)) / np.sqrt(states) / 3,
        design=rng.normal(size=(2, states)),
        obs_cov=np.eye(2),
        state_cov=np.eye(states),
        initial=Stationary(),
    )
    most = simulate(model, 40, 70, seed=7)
    for draws in (1, 2, 3, 4, 5, 31, 64):
        fewer = simulate(model, 33, draws, seed=7)
        np.testing.assert_array_equal(fewer.states, most.states[:draws, :33])
        np.testing.assert_array_equal(fewer.observations, most.observations[:draws, :33])


def test_a_diffuse_start_is_no_distribution_to_draw_from() -> None:
    model = local_linear_trend(obs_var=1.0, level_var=1.0, trend_var=1.0)
    for open_state in (None, [np.nan, 1.0]):
        with pytest.raises(ModelError, match="initial_state") as error:
            simulate(model, 3, 1, 0, initial_state=open_state)
        assert error.value.pointer == "/initial"


def test_a_given_first_state_is_where_all_draws_start() -> None:
    model = local_linear_trend(obs_var=0.0, level_var=1.0, trend_var=1.0, initial=Diffuse())
    drawn = simulate(model, 3, 50, 0, initial_state=[1120.0, -3.0])
    np.testing.assert_array_equal(drawn.states[:, 0], np.tile([1120.0, -3.0], (50, 1)))
    np.testing.assert_array_equal(drawn.observations[:, 0, 0], 1120.0)


def test_states_left_open_are_drawn_given_the_others() -> None:
    model = local_linear_trend(obs_var=1.0, level_var=1.0, trend_var=1.0, initial=KNOWN)
    drawn = simulate(model, 1, 5000, 0, initial_state=[8.0, np.nan]).states[:, 0]
    np.testing.assert_array_equal(drawn[:, 0], 8.0)
    # The regression of one normal variable on another.
    assert_drawn_from(drawn[:, 1:], np.array([-1 + 0.6 / 2 * (8 - 5)]), np.array([[1 - 0.6**2 / 2]]))


@pytest.mark.parametrize("unit", [1.0, 1e-30, 1e30])
def test_a_state_that_the_others_tell_for_certain_has_no_variance_left(unit: float) -> None:
    # Not exact in binary: the conditional variance comes out as rounding of either sign.
    cov = np.array([[0.49, 0.21 * unit], [0.21 * unit, 0.09 * unit**2]])
    model = local_linear_trend(obs_var=1.0, level_var=1.0, trend_var=1.0, initial=Known([0.0, 0.0], cov))
    drawn = simulate(model, 1, 20, 0, initial_state=[0.7, np.nan]).states[:, 0, 1]
    np.testing.assert_allclose(drawn, 0.3 * unit, rtol=1e-12)


def test_diffuse_states_take_their_values_and_the_others_are_drawn() -> None:
    initial = Blocks(((1, Diffuse()), (1, Known([4.0], [[9.0]]))))
    model = Model(np.eye(2), [[1.0, 1.0]], [[0.0]], np.eye(2), obs_intercept=[1.0], initial=initial)
    drawn = simulate(model, 2, 4000, 3, initial_state=[100.0, np.nan])
    assert_drawn_from(drawn.observations[:, 0], np.array([105.0]), np.array([[9.0]]))


@pytest.mark.parametrize("wrong", [[1.0], [1.0, np.inf], [1.0, 1e101]])
def test_a_first_state_that_is_none_is_refused(wrong: list[float]) -> None:
    model = local_linear_trend(obs_var=1.0, level_var=1.0, trend_var=1.0)
    with pytest.raises(ValueError, match="initial_state must"):
        simulate(model, 2, 1, 0, initial_state=wrong)


def test_draws_end_where_matrices_that_vary_end() -> None:
    model = varying()
    assert simulate(model, LENGTH, 1, 0).states.shape == (1, LENGTH, 3)
    with pytest.raises(ModelError, match=f"covers {LENGTH} periods; the draws have {LENGTH + 1}") as error:
        simulate(model, LENGTH + 1, 1, 0)
    assert error.value.pointer == "/transition"


def test_a_factor_leaves_out_what_has_no_variance() -> None:
    shock = np.array([0.5, 1.0])
    singular = np.stack([3.0 * np.outer(shock, shock), np.zeros((2, 2)), np.diag([0.0, 4.0])])
    found = factor(singular)
    np.testing.assert_allclose(found @ found.swapaxes(1, 2), singular, rtol=1e-14)
    assert np.linalg.matrix_rank(found).tolist() == [1, 0, 1]
    assert (found[1] == 0).all()
