"""`/kalman/simulate` from a body to an answer: what goes together, what is bounded, and what comes back."""

import json
import math
from typing import Any

import numpy as np
import orjson
import pytest

from luna_serving.capabilities.kalman.replica import compute
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.simulations.schemas import LARGEST_SEED, MAX_DRAWS, SimulateAnswer
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate, random_seed
from luna_serving.capabilities.kalman.wire.calls import NamedCall
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.process.jax_process import configure_jax
from luna_serving.wire.problems import Problem

configure_jax()
LIMITS = SeriesLimits(max_series_length=1000, max_series_per_request=3, max_answer_numbers=50_000)
KNOWN = {"kind": "known", "mean": [5.0], "cov": [[2.0]]}
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5, "initial": KNOWN}
DIFFUSE = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}
TREND = {"kind": "local_linear_trend", "obs_var": 1.0, "level_var": 0.5, "trend_var": 0.1}
PAIR = {
    "kind": "state_space",
    "transition": [[0.5]],
    "design": [[1.0], [2.0]],
    "obs_cov": [[1.0, 0.5], [0.5, 1.0]],
    "state_cov": [[1.0]],
    "initial": {"kind": "stationary"},
}
EXPLOSIVE = {
    "kind": "state_space",
    "transition": [[10.0]],
    "design": [[1.0]],
    "obs_cov": [[1.0]],
    "state_cov": [[1.0]],
    "initial": KNOWN,
}


def parsed(**request: object) -> KalmanWork[SimulateJob]:
    work = parse_simulate(LIMITS, orjson.dumps(request), new_seed=lambda: 17)
    assert isinstance(work, KalmanWork)
    return work


def errors(**request: object) -> dict[str, str]:
    with pytest.raises(Problem) as refusal:
        parsed(**request)
    assert refusal.value.status == 422
    return {e["pointer"]: e["detail"] for e in refusal.value.extra["errors"]}


def answered(**request: object) -> dict[str, Any]:
    work = parsed(**request)
    (answer,) = compute([work.job])
    assert not isinstance(answer, Refused), answer
    document: dict[str, Any] = json.loads(work.finish(answer))
    SimulateAnswer.model_validate(document)
    return document


def refused(**request: object) -> Refused:
    (answer,) = compute([parsed(**request).job])
    assert isinstance(answer, Refused)
    return answer


def test_paths_of_a_model_come_as_draws_over_time() -> None:
    answer = answered(model=LEVEL, length=4, draws=3, seed=7)
    assert answer["seed"] == 7
    assert answer["plan"]["algorithm"] == "simulation"
    (result,) = answer["results"]
    assert np.shape(result["states"]) == (3, 4, 1)
    assert np.shape(result["observations"]) == (3, 4)
    several = answered(model=PAIR, length=4, draws=3)["results"][0]
    assert np.shape(several["observations"]) == (3, 4, 2)


def test_draws_given_observations_fill_the_gaps_and_go_beyond_the_end() -> None:
    series = [[1.0, None, 3.0], [4.0]]
    answer = answered(model=DIFFUSE, observations=series, draws=2, steps=2, seed=1)
    for sent, result in zip(series, answer["results"], strict=True):
        assert np.shape(result["states"]) == (2, len(sent) + 2, 1)
        for draw in result["observations"]:
            assert [x for x, there in zip(draw, sent, strict=False) if there is not None] == [
                x for x in sent if x is not None
            ]
            assert all(math.isfinite(x) for x in draw)


def test_several_observed_elements_may_be_missing_one_by_one() -> None:
    series = [[1.0, None], [None, None], [2.0, 3.0]]
    (result,) = answered(model=PAIR, observations=[series], draws=2)["results"]
    for draw in result["observations"]:
        assert np.shape(draw) == (3, 2)
        assert (draw[0][0], draw[2]) == (1.0, [2.0, 3.0])


def test_the_seed_that_was_picked_is_answered_and_repeats_the_draws() -> None:
    first = answered(model=LEVEL, length=5)
    assert first["seed"] == 17
    assert answered(model=LEVEL, length=5, seed=17)["results"] == first["results"]
    assert answered(model=LEVEL, length=5, seed=18)["results"] != first["results"]
    assert all(0 <= random_seed() <= LARGEST_SEED for _ in range(100))
    assert random_seed() != random_seed()


def test_only_the_outputs_asked_for_are_answered_and_each_alone_is_the_same() -> None:
    both = answered(model=LEVEL, length=3, seed=0)["results"][0]
    for name in ("states", "observations"):
        assert answered(model=LEVEL, length=3, seed=0, outputs=[name])["results"] == [{name: both[name]}]


def test_a_job_gets_its_own_answer_whatever_else_is_in_the_batch() -> None:
    requests = [
        {"model": LEVEL, "length": 3, "seed": 1},
        {"model": DIFFUSE, "observations": [[1.0, None]], "seed": 1},
        {"model": LEVEL, "length": 3, "seed": 2, "draws": 5},
    ]
    jobs = [parsed(**request).job for request in requests]
    together = compute(jobs)
    for answer, job in zip(together, jobs, strict=True):
        assert [answer] == compute([job])


def test_a_stored_model_is_drawn_from_once_it_is_known() -> None:
    call = parse_simulate(LIMITS, orjson.dumps({"model": {"name": "mine"}, "length": 3, "seed": 1}))
    assert isinstance(call, NamedCall)
    assert call.reference.name == "mine"
    named = parsed(model=LEVEL, length=3, seed=1)
    assert call.under(named.job.model) == named


def test_a_call_costs_its_series_and_one_without_any() -> None:
    assert parsed(model=LEVEL, length=50, draws=20).units == 1
    work = parsed(model=DIFFUSE, observations=[[1.0], [2.0, 3.0]], draws=20, steps=4)
    assert (work.units, work.points, work.grant.name) == (2, 20 * 11, "local_level")


def test_the_first_state_may_be_given() -> None:
    (result,) = answered(model=TREND, length=2, draws=2, initial_state=[10.0, 0.5])["results"]
    assert [draw[0] for draw in result["states"]] == [[10.0, 0.5]] * 2
    (result,) = answered(model=LEVEL, length=1, draws=2, initial_state=[None])["results"]
    assert result["states"][0] != result["states"][1]


@pytest.mark.parametrize(
    ("request_", "pointer", "words"),
    [
        ({}, "/length", "send observations"),
        ({"length": 3, "observations": [[1.0]]}, "/length", "Leave it out"),
        ({"length": 0}, "/length", "greater than or equal to 1"),
        ({"length": 3, "steps": 1}, "/steps", "length says"),
        ({"observations": [[1.0]], "initial_state": [1.0]}, "/initial_state", "Leave it out"),
        ({"observations": []}, "/observations", "at least one"),
        ({"observations": [[]]}, "/observations/0", "at least one"),
        ({"observations": [[1.0], [1.0, "2"]]}, "/observations/1/1", "not a string"),
        ({"observations": [[[1.0, 2.0]]]}, "/observations/0/0", "not a list"),
        ({"observations": [[1.0]] * 4}, "/observations", "at most 3"),
        ({"observations": [[1.0] * 1001]}, "/observations/0", "at most 1000"),
        ({"observations": [[1.0] * 990], "steps": 11}, "/steps", "1001 periods; at most 1000"),
        ({"length": 1001}, "/length", "at most 1000"),
        ({"length": 1, "draws": 0}, "/draws", "greater"),
        ({"length": 1, "draws": MAX_DRAWS + 1}, "/draws", "less"),
        ({"observations": [[1.0], [2.0]], "draws": MAX_DRAWS // 2 + 1}, "/draws", f"at most {MAX_DRAWS} in all"),
        ({"length": 335, "draws": 50}, "/draws", "50250 numbers: states, shocks and observations; at most 50000"),
        ({"length": 1, "seed": -1}, "/seed", "greater"),
        ({"length": 1, "seed": 2**53}, "/seed", "less"),
        ({"length": 1, "seed": 1.5}, "/seed", "integer"),
        ({"length": 1, "outputs": []}, "/outputs", "at least 1"),
        ({"length": 1, "outputs": ["smoothed"]}, "/outputs/0", "'states' or 'observations'"),
        ({"length": 1, "sede": 1}, "/sede", "not permitted"),
        ({"length": 1, "initial_state": [1.0, 2.0]}, "/initial_state", "1 numbers or nulls"),
        ({"length": 1, "initial_state": [1e200]}, "/initial_state", "1e+100"),
        ({"length": 1, "model": DIFFUSE}, "/model/initial", "known or stationary start"),
        ({"length": 1, "model": TREND, "initial_state": [1.0, None]}, "/model/initial", "initial_state"),
        ({"length": 1, "model": LEVEL | {"obs_var": -1}}, "/model/obs_var", "greater"),
        ({"model": PAIR, "observations": [[1.0, 2.0]]}, "/observations/0", "2"),
        ({"model": PAIR, "observations": [[[1.0, 2.0], [1.0]]]}, "/observations/0/1", "2"),
        ({"model": PAIR, "observations": [[[1.0, True]]]}, "/observations/0/0/1", "not a boolean"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(request_: dict[str, object], pointer: str, words: str) -> None:
    found = errors(**({"model": LEVEL} | request_))
    assert any(each.startswith(pointer) for each in found), found
    assert any(words in detail for detail in found.values()), found


def test_matrices_that_vary_must_cover_what_is_drawn() -> None:
    varying = PAIR | {"transition": [[[0.5]], [[0.4]], [[0.3]]], "initial": KNOWN}
    assert np.shape(answered(model=varying, length=3)["results"][0]["states"]) == (1, 3, 1)
    assert "Covers 3 periods of 4" in errors(model=varying, length=4)["/model/transition"]
    series = [[[1.0, 2.0]] * 3]
    assert "/model/transition" in errors(model=varying, observations=series, steps=1)
    assert parsed(model=varying, observations=series).units == 1


def test_a_model_that_explodes_is_refused() -> None:
    answer = refused(model=EXPLOSIVE, length=400)
    assert answer.pointer == "/model"
    assert "overflow" in answer.detail


def test_observations_that_leave_a_state_open_are_refused_at_their_series() -> None:
    answer = refused(model=DIFFUSE, observations=[[1.0, 2.0], [None]])
    assert answer.pointer == "/observations/1"
    assert "known or stationary start" in answer.detail


def test_observations_that_overflow_are_refused_at_their_series() -> None:
    answer = refused(model=DIFFUSE, observations=[[1.0], [1e308, -1e308, 1e308]])
    assert answer.pointer == "/observations/1"
    assert "overflow" in answer.detail
