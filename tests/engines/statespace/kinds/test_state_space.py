"""The full model by its matrices, and the short forms that can mean only one thing."""

import numpy as np
import pytest

from luna_serving.engines.statespace.kinds import KINDS, state_space
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import Diffuse, Stationary

WIDE = {
    "transition": [[0.5, 0.1], [0.0, 0.3]],
    "design": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    "obs_cov": np.eye(3).tolist(),
    "state_cov": [[2.0]],
    "selection": [[1.0], [0.5]],
    "obs_intercept": [1.0, 2.0, 3.0],
    "state_intercept": [0.1, 0.2],
}


def test_every_matrix_arrives_where_its_name_says():
    model = state_space(**WIDE, initial=Stationary())
    for name, value in WIDE.items():
        np.testing.assert_array_equal(getattr(model, name), value)
    assert (model.observed, model.states, model.shocks, model.length) == (3, 2, 1, None)


def test_what_is_left_out_is_identity_or_zero():
    model = state_space(transition=np.eye(2), design=[[1, 0]], obs_cov=[[1]], state_cov=np.eye(2))
    np.testing.assert_array_equal(model.selection, np.eye(2))
    assert not model.obs_intercept.any()
    assert not model.state_intercept.any()
    assert isinstance(model.initial, Diffuse)


def test_numbers_are_matrices_of_one_element_and_a_flat_design_is_one_row():
    scalar = state_space(transition=0.5, design=1.0, obs_cov=2.0, state_cov=3.0, obs_intercept=4.0, state_intercept=5.0)
    assert [getattr(scalar, name).item() for name in ("transition", "design", "obs_cov", "state_cov")] == [0.5, 1, 2, 3]
    assert (scalar.obs_intercept.item(), scalar.state_intercept.item()) == (4.0, 5.0)
    row = state_space(transition=np.eye(2), design=[1, 0], obs_cov=1, state_cov=np.eye(2))
    assert row.design.shape == (1, 2)


def test_any_matrix_may_vary_over_the_same_periods():
    for name, value in WIDE.items():
        model = state_space(**WIDE | {name: [value] * 7})
        assert (model.length, model.varying) == (7, f"/{name}")


@pytest.mark.parametrize(
    ("changes", "pointer", "cure"),
    [
        ({"transition": np.eye(3)}, "/transition", "shape [2, 2]"),
        ({"transition": [[1.0, 2.0], [3.0]]}, "/transition", "same length"),
        ({"transition": [0.5, 0.3]}, "/transition", "shape [2, 2]"),
        ({"transition": np.full((2, 2), np.nan)}, "/transition", "finite"),
        ({"transition": [WIDE["transition"]] * 3, "design": [WIDE["design"]] * 2}, "/design", "cover the same"),
        ({"design": np.ones((3, 3))}, "/transition", "shape [3, 3]"),
        ({"design": np.ones((0, 2))}, "/design", "shape"),
        ({"design": np.ones((1, 65))}, "/design", "at most 64"),
        ({"design": np.ones((65, 2))}, "/design", "at most 64"),
        ({"obs_cov": [1.0, 1.0, 1.0]}, "/obs_cov", "shape [3, 3]"),
        ({"obs_cov": np.diag([1.0, 1.0, -1.0])}, "/obs_cov", "negative variance"),
        ({"state_cov": [[1.0, 0.3], [0.0, 1.0]], "selection": np.eye(2)}, "/state_cov", "symmetric"),
        ({"state_cov": np.eye(3)}, "/state_cov", "shape [1, 1]"),
        ({"selection": np.ones((2, 65)), "state_cov": np.eye(65)}, "/selection", "at most 64"),
        ({"selection": [[1.0]]}, "/selection", "shape [2, 1]"),
        ({"obs_intercept": [1.0]}, "/obs_intercept", "shape [3]"),
        ({"state_intercept": [[[1.0]]]}, "/state_intercept", "shape"),
        ({"obs_intercept": "many"}, "/obs_intercept", "numbers"),
        ({"obs_cov": np.zeros((3, 3)), "state_cov": 0.0}, "/obs_cov", "above zero"),
    ],
)
def test_a_matrix_that_does_not_fit_is_pointed_to(changes, pointer, cure):
    with pytest.raises(ModelError) as caught:
        state_space(**WIDE | changes)
    assert caught.value.pointer == pointer
    assert cure in caught.value.message


def test_a_model_does_not_change_when_the_callers_arrays_do():
    cov = np.eye(2)
    model = state_space(transition=np.eye(2), design=[1, 0], obs_cov=1, state_cov=cov)
    cov[0, 0] = 7.0
    assert model.state_cov[0, 0] == 1.0
    assert not model.state_cov.flags.writeable


def test_every_kind_is_built_from_its_wire_name():
    assert set(KINDS) == {
        "local_level",
        "local_linear_trend",
        "constant_velocity",
        "constant_acceleration",
        "structural",
        "arima",
        "state_space",
    }
