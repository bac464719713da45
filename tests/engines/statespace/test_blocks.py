"""Starts by blocks of states, in any order, and what is refused of them."""

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import structural
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Blocks, Diffuse, Known, Stationary
from luna_serving.engines.statespace.model.model import Model

Y = np.random.default_rng(3).normal(size=20).cumsum()


def three(initial, order=(0, 1, 2)):
    """A level, a slope that moves it, and an autoregression, with the states in the order asked for."""
    transition = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.6]])
    shown, place = np.array([[1.0, 0.0, 1.0]]), list(order)
    return Model(
        transition=transition[np.ix_(place, place)],
        design=shown[:, place],
        obs_cov=np.eye(1),
        state_cov=np.diag(np.array([0.1, 0.2, 0.3])[place]),
        initial=initial,
    )


def test_runs_and_indices_say_the_same():
    known = Known([3.0], [[2.0]])
    runs = three(Blocks(((1, Diffuse()), (1, known), (1, Stationary()))))
    named = three(Blocks((([2], Stationary()), ([1], known), ([0], Diffuse()))))
    for name in ("mean", "cov"):
        np.testing.assert_array_equal(getattr(runs.start, name), getattr(named.start, name))
    np.testing.assert_array_equal(
        runs.start.diffuse @ runs.start.diffuse.T, named.start.diffuse @ named.start.diffuse.T
    )
    assert runs.start.rank == named.start.rank == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_order_of_the_states_does_not_matter(order):
    """Known level and slope with a covariance between them, beside a stationary state."""
    known = Known([1.0, 0.5], [[2.0, 0.3], [0.3, 1.0]])
    place = {state: i for i, state in enumerate(order)}
    initial = Blocks((([place[2]], Stationary()), ([place[0], place[1]], known)))
    found = filter_batch([(Y, three(initial, order))], "full").series[0]
    exact = Known([1.0, 0.5, 0.0], [[2.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 0.3 / (1 - 0.36)]])
    whole = filter_batch([(Y, three(exact))], "full").series[0]
    assert found.full.loglike == pytest.approx(whole.full.loglike, rel=1e-12)
    np.testing.assert_allclose(found.filtered_state[:, [place[i] for i in range(3)]], whole.filtered_state, rtol=1e-10)


def test_a_known_level_and_an_unknown_slope_need_one_observation():
    """KFAS#35: with the level known exactly, the second observation tells of the slope."""
    model = three(Blocks((([0], Known([0.0], [[0.0]])), ([1], Diffuse()), ([2], Known([0.0], [[0.0]])))))
    result = filter_batch([(Y, model)], "full").series[0]
    assert result.full.nobs_diffuse == 2
    assert np.isfinite(result.full.loglike)


def test_a_block_of_an_approximate_start_has_its_variance():
    model = three(Blocks((([1, 0], ApproximateDiffuse(100.0)), ([2], Diffuse()))))
    np.testing.assert_array_equal(model.start.cov, np.diag([100.0, 100.0, 0.0]))


@pytest.mark.parametrize(
    ("blocks", "pointer", "cure"),
    [
        ((([0, 1], Diffuse()),), "/initial/blocks", "left out: 2"),
        ((([0, 1, 3], Diffuse()), ([2], Stationary())), "/initial/blocks/0/states/2", "from 0 to 2"),
        ((([0, 1], Diffuse()), ([2, 1], Diffuse())), "/initial/blocks/1/states/1", "block 0 has already"),
        ((([0, 0], Diffuse()), ([1, 2], Diffuse())), "/initial/blocks/0/states/1", "has already"),
        ((([0, 1, 2], Diffuse()), ([], Diffuse())), "/initial/blocks/1/states", "at least one"),
        ((([0, 2], Diffuse()), ([1], Stationary())), "/initial/blocks/1", "largest eigenvalue"),
        ((([0], Known([0.0, 1.0], [[1.0]])), ([1, 2], Diffuse())), "/initial/blocks/0/mean", "shape [1]"),
        ((([1, 2], Diffuse()), ([0], Known([0.0], [[-1.0]]))), "/initial/blocks/1/cov", "negative"),
        ((([0, 1], ApproximateDiffuse(0.0)), ([2], Diffuse())), "/initial/blocks/0/variance", "above zero"),
        ((([0], Known([0.0], [[1.0]], "filtered")), ([1, 2], Diffuse())), "/initial/blocks/0/states", "predicted"),
    ],
)
def test_a_wrong_block_is_pointed_to_with_its_cure(blocks, pointer, cure):
    with pytest.raises(ModelError) as caught:
        three(Blocks(blocks))
    assert caught.value.pointer == pointer
    assert cure in caught.value.message


def test_a_stationary_block_must_stand_alone():
    def pair(transition, state_cov, initial):
        return Model(np.array(transition), np.ones((1, 2)), np.eye(1), np.array(state_cov), initial=initial)

    apart = Blocks((([0], Diffuse()), ([1], Stationary())))
    moved = ([[0.5, 0.0], [0.1, 0.5]], np.eye(2))
    with pytest.raises(ModelError, match="state 1 depends on state 0") as caught:
        pair(*moved, apart)
    assert caught.value.pointer == "/initial/blocks/1/states"
    together = ([[0.5, 0.0], [0.0, 0.5]], [[1.0, 0.5], [0.5, 1.0]])
    with pytest.raises(ModelError, match="state 0 has shocks in common with state 1"):
        pair(*together, Blocks((([0], Stationary()), ([1], Stationary()))))
    # A diffuse state's covariances do not matter.
    assert pair(*together, apart).start.cov[1, 1] == pytest.approx(4 / 3)
    one = pair(*together, Blocks((([1, 0], Stationary()),)))
    np.testing.assert_allclose(one.start.cov, np.array([[1.0, 0.5], [0.5, 1.0]]) / 0.75, rtol=1e-15)
    # It may move others.
    assert pair([[0.5, 0.2], [0.0, 0.5]], np.eye(2), apart).start.cov[1, 1] == pytest.approx(4 / 3)


def test_the_components_of_a_structural_model_start_each_in_its_own_way():
    parts = {"level": {"var": 0.1}, "ar": {"coefficients": [0.5], "var": 1.0}}
    start = structural(obs_var=1.0, **parts, initial=Blocks((([1], Stationary()), ([0], Known([5.0], [[1.0]]))))).start
    np.testing.assert_allclose(start.mean, [5.0, 0.0])
    np.testing.assert_allclose(start.cov, np.diag([1.0, 4 / 3]))
    assert start.rank == 0
