"""What /openapi.json says of the Kalman requests: a change of it is a change of what clients are generated from."""

import json
from pathlib import Path
from typing import Any

import pytest

from luna_serving.capabilities.kalman.fits.schemas import FitRequest
from luna_serving.capabilities.kalman.simulations.schemas import SimulateRequest
from luna_serving.capabilities.kalman.wire.schemas import FilterRequest, ForecastRequest, KalmanRequest, SmoothRequest
from luna_serving.edge.openapi import REFERENCE
from luna_serving.wire.forms import Form

DOCUMENTED: dict[str, Any] = json.loads((Path(__file__).parent / "documented_requests.json").read_text())
REQUESTS: list[type[Form]] = [KalmanRequest, FilterRequest, SmoothRequest, ForecastRequest, SimulateRequest, FitRequest]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each.__name__)
def test_a_request_and_all_that_it_refers_to_are_described_as_before(request_: type[Form]) -> None:
    schema = request_.model_json_schema(ref_template=REFERENCE)
    referred = schema.pop("$defs")
    assert schema == DOCUMENTED[request_.__name__]
    assert {name: DOCUMENTED[name] for name in referred} == referred


def test_nothing_is_described_that_no_request_has() -> None:
    schemas = [each.model_json_schema(ref_template=REFERENCE) for each in REQUESTS]
    known = {name for schema in schemas for name in schema["$defs"]} | {each.__name__ for each in REQUESTS}
    assert set(DOCUMENTED) == known


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each.__name__)
def test_a_series_is_described_and_not_validated(request_: type[Form]) -> None:
    member = request_.series_member()
    assert member in request_.model_json_schema()["properties"]
    assert member not in request_.model_fields
