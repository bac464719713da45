"""Parameters to matrices, and errors that point to the field and say the cure."""

import numpy as np
import pytest

from luna_serving.statespace.checks import ModelError
from luna_serving.statespace.initial import ApproximateDiffuse, Diffuse, Known
from luna_serving.statespace.models import KINDS, Model, constant_velocity, local_level, local_linear_trend


def test_constant_velocity_takes_filterpys_discrete_white_noise():
    model = constant_velocity(dt=0.5, obs_var=2.0, accel_var=3.0)
    np.testing.assert_array_equal(model.transition, [[1.0, 0.5], [0.0, 1.0]])
    np.testing.assert_allclose(model.state_cov, 3.0 * np.array([[0.25 * 0.5**4, 0.5 * 0.5**3], [0.5 * 0.5**3, 0.5**2]]))


def test_the_default_start_is_exact_diffuse():
    for build, parameters in (
        (local_level, {"obs_var": 1, "level_var": 1}),
        (local_linear_trend, {"obs_var": 1, "level_var": 1, "trend_var": 1}),
        (constant_velocity, {"dt": 1, "obs_var": 1, "accel_var": 1}),
    ):
        assert isinstance(build(**parameters).initial, Diffuse)


def test_every_kind_is_built_from_its_wire_name():
    assert KINDS["local_level"](obs_var=1.0, level_var=2.0).states == 1
    assert set(KINDS) == {"local_level", "local_linear_trend", "constant_velocity"}


LEVEL = {"obs_var": 1.0, "level_var": 1.0}
TREND = {"obs_var": 1.0, "level_var": 1.0, "trend_var": 1.0}
TRACK = {"dt": 1.0, "obs_var": 1.0, "accel_var": 1.0}


@pytest.mark.parametrize(
    ("kind", "parameters", "pointer", "cure"),
    [
        ("local_level", LEVEL | {"obs_var": -1.0}, "/obs_var", "must not be negative"),
        ("local_level", LEVEL | {"level_var": -1e-9}, "/level_var", "must not be negative"),
        ("local_level", LEVEL | {"obs_var": float("nan")}, "/obs_var", "finite"),
        ("local_level", LEVEL | {"obs_var": float("inf")}, "/obs_var", "finite"),
        ("local_level", LEVEL | {"obs_var": 1e101}, "/obs_var", "larger unit"),
        ("local_level", LEVEL | {"level_var": 1e-101}, "/level_var", "smaller unit"),
        ("local_level", {"obs_var": 0.0, "level_var": 0.0}, "/obs_var", "above zero"),
        ("local_linear_trend", TREND | {"trend_var": -2.0}, "/trend_var", "must not be negative"),
        ("local_linear_trend", {"obs_var": 0.0, "level_var": 0.0, "trend_var": 0.0}, "/obs_var", "above zero"),
        ("constant_velocity", TRACK | {"dt": 0.0}, "/dt", "unit of time"),
        ("constant_velocity", TRACK | {"dt": -1.0}, "/dt", "unit of time"),
        ("constant_velocity", TRACK | {"dt": 1e10}, "/dt", "unit of time"),
        ("constant_velocity", TRACK | {"accel_var": -1.0}, "/accel_var", "must not be negative"),
        ("constant_velocity", TRACK | {"dt": 1e9, "accel_var": 1e80}, "/accel_var", "larger unit"),
        ("local_level", LEVEL | {"initial": Known([1.0, 2.0], [[1.0]])}, "/initial/mean", "shape [1]"),
        ("local_level", LEVEL | {"initial": Known([1.0], [[1.0, 2.0]])}, "/initial/cov", "shape [1, 1]"),
        ("local_level", LEVEL | {"initial": Known([1.0], [[-1.0]])}, "/initial/cov", "negative variance"),
        ("local_level", LEVEL | {"initial": Known(["x"], [[1.0]])}, "/initial/mean", "numbers"),
        ("local_level", LEVEL | {"initial": Known([1.0], [[1.0]], "sideways")}, "/initial/timing", "predicted"),
        ("local_level", LEVEL | {"initial": Known([float("inf")], [[1.0]])}, "/initial/mean", "finite"),
        ("local_level", LEVEL | {"initial": ApproximateDiffuse(0.0)}, "/initial/variance", "above zero"),
        ("local_linear_trend", TREND | {"initial": Known([0, 0], [[1, 0.5], [0.2, 1]])}, "/initial/cov", "symmetric"),
        (
            "local_linear_trend",
            TREND | {"initial": Known([0, 0], [[1, 2], [2, 1]])},
            "/initial/cov",
            "positive semi-definite",
        ),
        (
            "local_linear_trend",
            TREND | {"initial": Known([0, 0], [[0, 1], [1, 1]])},
            "/initial/cov",
            "positive semi-definite",
        ),
        ("local_linear_trend", TREND | {"initial": Known([0, 0], [[1, 0], [1]])}, "/initial/cov", "shape [2, 2]"),
    ],
)
def test_a_wrong_field_is_pointed_to_with_its_cure(kind, parameters, pointer, cure):
    with pytest.raises(ModelError) as caught:
        KINDS[kind](**parameters)
    assert caught.value.pointer == pointer
    assert cure in caught.value.message


@pytest.mark.parametrize(
    ("matrices", "pointer"),
    [
        ((np.eye(3), np.ones(2), 1.0, np.eye(2)), "/transition"),
        ((np.eye(2), np.ones(2), 1.0, np.eye(3)), "/state_cov"),
        ((np.eye(2), np.ones((1, 2)), 1.0, np.eye(2)), "/design"),
        ((np.eye(0), np.ones(0), 1.0, np.eye(0)), "/design"),
        ((np.eye(2), np.ones(2), 1.0, np.array([[1.0, 0.3], [0.0, 1.0]])), "/state_cov"),
        ((np.full((2, 2), np.nan), np.ones(2), 1.0, np.eye(2)), "/transition"),
    ],
)
def test_a_matrix_that_does_not_fit_is_pointed_to(matrices, pointer):
    with pytest.raises(ModelError) as caught:
        Model(*matrices)
    assert caught.value.pointer == pointer


def test_rounding_in_a_printed_covariance_is_forgiven():
    cov = [[1e-6, 1.0000000001e-3], [1e-3, 1.0]]
    model = local_linear_trend(**TREND, initial=Known([0, 0], cov))
    assert model.packed[-9:-5].tolist() == pytest.approx([1e-6, 1e-3, 1e-3, 1.0])


def test_a_model_does_not_change_when_the_callers_arrays_do():
    cov = np.eye(2)
    model = Model(np.eye(2), np.ones(2), 1.0, cov)
    cov[0, 0] = 7.0
    assert model.state_cov[0, 0] == 1.0
    assert not model.packed.flags.writeable


def test_all_variances_zero_are_legal_for_a_known_start():
    assert local_level(obs_var=0.0, level_var=0.0, initial=Known([1.0], [[1.0]])).obs_var == 0
