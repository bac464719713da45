"""What a call of /kalman/fit asks for, and what is wrong with it."""

import json
from typing import Any

import numpy as np
import pytest

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.wire.calls import NamedCall
from luna_serving.capabilities.kalman.wire.named_model import NamedModel
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.wire.problems import Problem

LIMITS = SeriesLimits(max_series_length=100, max_series_per_request=3, max_answer_numbers=1000)
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}
AIRLINE = {
    "kind": "arima",
    "order": [0, 1, 1],
    "seasonal_order": [0, 1, 1, 12],
    "ma": [0.0],
    "seasonal_ma": [0.0],
    "var": 1.0,
}


def parsed(**members: Any) -> KalmanWork[FitJob]:
    work = parse_fit(LIMITS, json.dumps({"model": LEVEL, "observations": [[1, None, 3]]} | members).encode())
    assert isinstance(work, KalmanWork)
    return work


def pointers(**members: Any) -> list[str]:
    with pytest.raises(Problem) as refused:
        parsed(**members)
    assert refused.value.status == 422
    return [each["pointer"] for each in json.loads(refused.value.body())["errors"]]


def test_a_call_becomes_a_job_that_costs_a_unit_a_series() -> None:
    work = parsed(observations=[[1, None, 3], [4]], method="em", free=["level_var"], loglike_convention="kfas")
    assert work.units == 2
    assert work.points == 4
    assert work.grant.name == "local_level"
    np.testing.assert_array_equal(work.job.series[0], [1, np.nan, 3])
    assert (work.job.free, work.job.method, work.job.loglike) == (("level_var",), "em", "kfas")
    assert work.job.max_iterations == 5000


@pytest.mark.parametrize(
    ("model", "free"),
    [
        (LEVEL, ("obs_var", "level_var")),
        ({**LEVEL, "level_var": 0.0}, ("obs_var",)),
        (AIRLINE, ("ma", "seasonal_ma", "var")),
        ({**AIRLINE, "intercept": 0.1}, ("ma", "seasonal_ma", "intercept", "var")),
        (
            {"kind": "state_space", "transition": 1.0, "design": 1.0, "obs_cov": [[1.0]], "state_cov": [[1.0]]},
            ("obs_cov", "state_cov"),
        ),
    ],
)
def test_by_default_all_that_the_model_has_is_estimated(model: dict[str, Any], free: tuple[str, ...]) -> None:
    assert parsed(model=model).job.free == free


def test_a_job_leaves_time_for_the_way_back() -> None:
    job = parsed().job
    assert job.within(10.0).seconds == pytest.approx(7.9, abs=0.01)
    assert job.within(0.05).seconds == 0


def test_a_named_model_is_looked_up_first() -> None:
    call = parse_fit(LIMITS, json.dumps({"model": {"name": "mine"}, "observations": [[1.0]]}).encode())
    assert isinstance(call, NamedCall)
    assert isinstance(call.reference, NamedModel)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"free": ["obs_var", "slope"]}, "/free/1"),
        ({"free": ["obs_var", "obs_var"]}, "/free/1"),
        ({"free": []}, "/free"),
        ({"model": AIRLINE, "free": ["ar"]}, "/free/0"),
        ({"method": "bfgs"}, "/method"),
        ({"starts": 21}, "/starts"),
        ({"max_iterations": 0}, "/max_iterations"),
        ({"loglike_convention": "half"}, "/loglike_convention"),
        ({"precision": "float32"}, "/precision"),
        ({"model": {"kind": "local_level", "obs_var": -1.0}}, "/model/obs_var"),
        ({"observations": [[1], [2], [3], [4]]}, "/observations"),
        ({"observations": [[1.0, "2"]]}, "/observations/0/1"),
        ({"observations": []}, "/observations"),
        (
            {"model": {"kind": "constant_velocity", "dt": [1.0], "obs_var": 1.0, "accel_var": 1.0}},
            "/model/dt",
        ),
    ],
)
def test_a_mistake_is_named_by_its_field(members: dict[str, Any], pointer: str) -> None:
    assert pointers(**members) == [pointer]


def test_a_model_with_nothing_to_estimate_says_what_to_do() -> None:
    model = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.0}
    known = {"kind": "known", "mean": [0.0], "cov": [[1.0]]}
    assert pointers(model={**model, "obs_var": 0.0, "initial": known}) == ["/free"]
