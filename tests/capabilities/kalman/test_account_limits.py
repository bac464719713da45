"""What an account's own limits look at in a call, and where its refusal points."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.streams import protocol
from luna_serving.capabilities.kalman.streams.protocol import StreamRules
from luna_serving.capabilities.kalman.wire.calls import NamedCall
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import FilterRequest, ForecastRequest, SmoothRequest
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.dispatch.work import Work
from luna_store.quota.debits import Standing

LIMITS = SeriesLimits(max_series_length=1000, max_series_per_request=10, max_answer_numbers=50_000)
WIRE = Wire(LIMITS)
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}
Parse = Callable[[bytes], Work | NamedCall]
ORIGINAL: Parse = WIRE.parse_original
FILTER: Parse = partial(WIRE.parse_series, FilterRequest)
SMOOTH: Parse = partial(WIRE.parse_series, SmoothRequest)
FORECAST: Parse = partial(WIRE.parse_series, ForecastRequest)
SIMULATE: Parse = partial(parse_simulate, LIMITS)
FIT: Parse = partial(parse_fit, LIMITS)
THREE = {"model": LEVEL, "observations": [[1.0], [1.0, None, 3.0, 4.0], [1.0, 2.0]]}


def parsed(parse: Parse, body: dict[str, Any]) -> Work:
    work = parse(json.dumps(body).encode())
    assert not isinstance(work, NamedCall)
    return work


def standing(max_series: int = 0, max_length: int = 0) -> Standing:
    most = {"max_series_per_request": max_series, "max_series_length": max_length}
    limits = {name: value for name, value in most.items() if value}
    return Standing(500, 500, 0, 0, 100, 100, 20_000, 0, limits)


@pytest.mark.parametrize(
    ("parse", "body", "longest", "pointer"),
    [
        (ORIGINAL, {"results": [1.0, 2.0, 3.0, 4.0]}, 4, "/results"),
        (ORIGINAL, {"results": [1.0, None, 3.0, 4.0], "model": LEVEL}, 4, "/results"),
        (FILTER, THREE, 4, "/observations/1"),
        (SMOOTH, THREE, 4, "/observations/1"),
        (FORECAST, THREE | {"steps": 50}, 4, "/observations/1"),
        (FIT, THREE, 4, "/observations/1"),
        (SIMULATE, THREE, 4, "/observations/1"),
        (SIMULATE, {"model": LEVEL, "observations": [[1.0], [2.0, 3.0]], "steps": 2}, 4, "/steps"),
        (SIMULATE, {"model": LEVEL, "length": 4, "draws": 9, "initial_state": [0.0]}, 4, "/length"),
    ],
)
def test_the_longest_series_counts_and_the_refusal_points_to_it(
    parse: Parse, body: dict[str, Any], longest: int, pointer: str
) -> None:
    work = parsed(parse, body)
    assert work.amounts["max_series_length"] == longest
    refusal = work.limit_error("max_series_length", 3)
    assert refusal.pointer == pointer
    assert " 4 " in refusal.detail
    assert " 3" in refusal.detail, "says how long it may be"


@pytest.mark.parametrize("parse", [FILTER, SMOOTH, FORECAST, FIT, SIMULATE])
def test_too_many_series_are_refused_as_a_whole(parse: Parse) -> None:
    steps = {"steps": 1} if parse is FORECAST else {}
    refusal = parsed(parse, THREE | steps).limit_error("max_series_per_request", 2)
    assert refusal.pointer == "/observations"
    assert refusal.detail == "Holds 3 series; this account may send 2. Split the call."


def test_a_stream_tells_the_points_that_its_account_may_send_in_a_message() -> None:
    rules = StreamRules(max_points=1000, replay_points=500, replay_numbers=10_000, max_lag=10)
    assert rules.within(standing()) == rules
    assert rules.within(standing(max_length=2000)) == rules, "the server's limit is the ceiling"
    assert rules.within(standing(max_length=20)).max_points == 20
    assert protocol.too_many_points(21, "max_series_length", 20).pointer == "/values"
