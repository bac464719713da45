"""Estimates: which calls share a lane, and which could not end in their time."""

import dataclasses
import math

import numpy as np
import pytest

from luna_serving.capabilities.kalman.cost import SHORT_S, estimate, lane_of
from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.streams.job import AppendJob

LEVEL = ModelSpec.of("local_level", {"obs_var": 1.0, "level_var": 0.5})
ARIMA = ModelSpec.of("arima", {"order": [1, 1, 1], "ar": [0.3], "ma": [0.2], "var": 1})
AIRLINE = ModelSpec.of(
    "arima",
    {
        "order": [0, 1, 1],
        "seasonal_order": [0, 1, 1, 12],
        "ma": [-0.4],
        "seasonal_ma": [-0.5],
        "var": 1,
    },
)


def filtered(model: ModelSpec, *lengths: int, **changes: object) -> Job:
    job = Job(model, np.zeros(sum(lengths)), lengths, "filter", ("loglike",))
    return dataclasses.replace(job, **changes)  # type: ignore[arg-type]


def given(series: int, draws: int, periods: int = 144) -> SimulateJob:
    y = np.zeros((series, periods))
    y[range(series), [i % periods for i in range(series)]] = np.nan
    return SimulateJob(AIRLINE, draws, 0, ("observations",), series=tuple(y))


def test_small_models_are_light_and_others_go_by_their_cost() -> None:
    assert lane_of(filtered(LEVEL, 1000)) == "light"
    assert lane_of(filtered(ARIMA, 6)) == "heavy"
    assert lane_of(filtered(AIRLINE, *[144] * 8)) == "heavy"
    assert lane_of(filtered(AIRLINE, 100_000)) == "long"
    assert lane_of(SimulateJob(LEVEL, 1, 0, ("states",), length=10)) == "heavy"
    assert lane_of(given(1, 900)) == lane_of(given(1, 1)) == "long"
    assert lane_of(FitJob(LEVEL, (np.zeros(9),), ("obs_var",), "mle", 1, 10, "full")) == "fit"
    stream = AppendJob(AIRLINE, None, np.zeros(3), ("filtered_state",), 3.0, 0)
    assert lane_of(stream) == "heavy"
    assert lane_of(dataclasses.replace(stream, values=np.zeros(1000), lag=100)) == "long"


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (filtered(AIRLINE, 500), filtered(AIRLINE, 1000)),
        (filtered(AIRLINE, 500), filtered(AIRLINE, *[500] * 20)),
        (filtered(ARIMA, 500), filtered(AIRLINE, 500)),
        (filtered(AIRLINE, 500), filtered(AIRLINE, 500, task="smooth")),
        (filtered(AIRLINE, 500), filtered(AIRLINE, 500, task="forecast", steps=1000)),
        (given(1, 100), given(1, 900)),
        (given(2, 1), given(200, 1)),
    ],
)
def test_more_points_series_states_steps_or_draws_take_longer(less: Job | SimulateJob, more: Job | SimulateJob) -> None:
    assert estimate(less).seconds < estimate(more).seconds


def test_series_that_miss_the_same_points_share_their_weights() -> None:
    y = np.zeros(144)
    alike = SimulateJob(AIRLINE, 1, 0, ("observations",), series=(y,) * 100)
    assert estimate(alike).seconds < estimate(given(100, 1)).seconds / 5


def test_it_names_what_to_send_less_of() -> None:
    assert estimate(given(2, 7)).pointer == "/draws"
    assert (estimate(filtered(AIRLINE, 3, 4)).pointer, estimate(filtered(AIRLINE, 3, 4)).amount) == ("/observations", 7)
    far = filtered(AIRLINE, 3, task="forecast", steps=9)
    assert (estimate(far).pointer, estimate(far).amount) == ("/steps", 9)


def test_what_a_thousand_draws_of_the_airline_model_take_is_no_reason_to_refuse_them() -> None:
    assert SHORT_S < estimate(given(1, 1000)).seconds < 1.0


def test_a_job_is_sent_with_the_seconds_that_its_call_has_left() -> None:
    for job in (filtered(LEVEL, 3), given(1, 1), AppendJob(LEVEL, None, np.zeros(3), (), 3.0, 0)):
        assert job.seconds == math.inf
        assert job.within(2.5).seconds == 2.5
        assert job.within(-1.0).seconds == 0.0
