"""Levels and slopes: parameters to matrices, and errors that point to the field and say the cure."""

import numpy as np
import pytest

from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Diffuse, Known, Stationary

LEVEL = {"obs_var": 1.0, "level_var": 1.0}
TREND = {"obs_var": 1.0, "level_var": 1.0, "trend_var": 1.0}
TRACK = {"dt": 1.0, "obs_var": 1.0, "accel_var": 1.0}


def test_the_default_start_is_exact_diffuse():
    for kind, fields in (("local_level", LEVEL), ("local_linear_trend", TREND), ("constant_velocity", TRACK)):
        assert isinstance(KINDS[kind](**fields).initial, Diffuse)


def test_a_trend_is_added_to_its_level():
    model = KINDS["local_linear_trend"](obs_var=3.0, level_var=1.0, trend_var=2.0)
    np.testing.assert_array_equal(model.transition, [[1, 1], [0, 1]])
    np.testing.assert_array_equal(model.disturbance_cov, [[1, 0], [0, 2]])
    np.testing.assert_array_equal(model.design, [[1, 0]])
    np.testing.assert_array_equal(model.obs_cov, [[3]])


@pytest.mark.parametrize(
    ("kind", "fields", "pointer", "cure"),
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
        ("constant_velocity", TRACK | {"dt": [1.0, float("nan")]}, "/dt/1", "finite"),
        ("constant_velocity", TRACK | {"dt": [1.0, 2.0, -1.0]}, "/dt/2", "unit of time"),
        ("constant_velocity", TRACK | {"dt": [1.0, 2.0, 1e-10]}, "/dt/2", "unit of time"),
        ("constant_velocity", TRACK | {"dt": []}, "/dt", "at least one"),
        ("constant_velocity", TRACK | {"dt": [[1.0]]}, "/dt", "a number, or a list"),
        ("constant_velocity", TRACK | {"dt": ["soon"]}, "/dt", "a number, or a list"),
        ("constant_velocity", TRACK | {"accel_var": -1.0}, "/accel_var", "must not be negative"),
        ("constant_velocity", TRACK | {"dt": 1e9, "accel_var": 1e80}, "/accel_var", "larger unit"),
        ("constant_acceleration", TRACK | {"dt": 1e-9, "accel_var": 1e-80}, "/accel_var", "smaller unit"),
        ("constant_acceleration", TRACK | {"obs_var": 0.0, "accel_var": 0.0}, "/obs_var", "above zero"),
        ("local_level", LEVEL | {"initial": Stationary()}, "/initial", "cannot be stationary"),
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
def test_a_wrong_field_is_pointed_to_with_its_cure(kind, fields, pointer, cure):
    with pytest.raises(ModelError) as caught:
        KINDS[kind](**fields)
    assert caught.value.pointer == pointer
    assert cure in caught.value.message


def test_rounding_in_a_printed_covariance_is_forgiven():
    cov = [[1e-6, 1.0000000001e-3], [1e-3, 1.0]]
    model = KINDS["local_linear_trend"](**TREND, initial=Known([0, 0], cov))
    np.testing.assert_array_equal(model.start.cov, model.start.cov.T)
    np.testing.assert_allclose(model.start.cov, [[1e-6, 1e-3], [1e-3, 1.0]])


def test_all_variances_zero_are_legal_for_a_known_start():
    model = KINDS["local_level"](obs_var=0.0, level_var=0.0, initial=Known([1.0], [[1.0]]))
    assert model.obs_cov == 0
