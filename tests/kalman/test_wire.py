"""From bytes to a job: the quick path and the careful one agree, and every mistake is named."""

import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_serving.ingress.problems import Problem
from luna_serving.kalman.wire import DEFAULT_MODEL, Limits, Wire

WIRE = Wire(Limits(max_series_length=1000, max_series_per_request=3, max_answer_numbers=50))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}
TREND = {"kind": "local_linear_trend", "obs_var": 1, "level_var": 0.5, "trend_var": 0}


def errors(body: bytes, parse: str = "parse_original") -> dict[str, str]:
    with pytest.raises(Problem) as refused:
        getattr(WIRE, parse)(body)
    assert refused.value.status == 422
    return {e["pointer"]: e["detail"] for e in refused.value.extra["errors"]}


def filter_errors(**changes: object) -> dict[str, str]:
    request = {"model": LEVEL, "observations": [[1.0]]} | changes
    return errors(orjson.dumps({k: v for k, v in request.items() if v is not ...}), "parse_filter")


@given(st.lists(FINITE | st.integers(-(2**53), 2**53) | st.none(), min_size=1))
def test_what_is_parsed_and_echoed_is_what_was_sent(series: list[float | None]) -> None:
    work = WIRE.parse_original(json.dumps({"results": series}).encode())
    expected = np.array([math.nan if x is None else x for x in series], dtype=float)
    np.testing.assert_array_equal(work.job.values, expected)
    answer = json.loads(work.finish(b"[]"))
    assert answer == {"processed_results": [], "input_data": series}
    assert (work.units, work.points, work.model, work.job.model) == (1, len(series), "local_level", DEFAULT_MODEL)


def test_the_parser_can_be_used_again_while_an_earlier_series_lives() -> None:
    first = WIRE.parse_original(b'{"results":[1,2,3]}')
    second = WIRE.parse_original(b'{"results":[7,8,9]}')
    assert first.job.values.tolist() == [1, 2, 3]
    assert second.job.values.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        (b'{"results":[]}', "/results", "at least one"),
        (b"{}", "/results", "required"),
        (b'{"results":null}', "/results", "list"),
        (b'{"results":5}', "/results", "list"),
        (b'{"results":"[1]"}', "/results", "list"),
        (b'{"results":{"a":[1]}}', "/results", "list"),
        (b'{"results":[1,"2",3]}', "/results/1", "not a string"),
        (b'{"results":[1,true]}', "/results/1", "not a boolean"),
        (b'{"results":[[1]]}', "/results/0", "not a list"),
        (b'{"results":[1,[2],3]}', "/results/1", "not a list"),
        (b'{"results":[1e400]}', "/results/0", "finite"),
        (b'{"results":[1,-1e999]}', "/results/1", "finite"),
        (b'{"results":[1,NaN]}', "/results/1", "null"),
        (b'{"results":[Infinity]}', "/results/0", "null"),
        (b'{"results":[1' + b"0" * 400 + b"]}", "/results/0", "finite"),
        (b'{"results":[1,2', "", "not valid JSON"),
        (b"", "", "not valid JSON"),
        (b"[1,2]", "", "JSON object"),
        (b'{"results":[1]} x', "", "not valid JSON"),
        (b'{"results":[1],"window":3}', "/window", "not permitted"),
        (b"\xff\xfe", "", "not valid JSON"),
        (b"[" * 100_000, "", "not valid JSON"),
        (b'{"results":' + b"[" * 100_000, "", "not valid JSON"),
    ],
)
def test_a_mistake_is_named_where_it_stands(body: bytes, pointer: str, words: str) -> None:
    found = errors(body)
    assert words in found[pointer]


def test_a_series_beyond_the_limit_is_refused_on_both_paths() -> None:
    assert "at most 1000" in errors(json.dumps({"results": [1.0] * 1001}).encode())["/results"]
    assert "at most 1000" in errors(json.dumps({"results": [None] * 1001}).encode())["/results"]


@pytest.mark.parametrize(
    ("model", "pointer"),
    [
        ({**LEVEL, "obs_var": -1}, "/model/obs_var"),
        ({**LEVEL, "obs_var": "1"}, "/model/obs_var"),
        ({**LEVEL, "obs_var": 0, "level_var": 0}, "/model/obs_var"),
        ({**LEVEL, "q": 1}, "/model/q"),
        ({"kind": "local_linear_trend", "obs_var": 1}, "/model/level_var"),
        ({"kind": "arma"}, "/model"),
        ({"kind": "constant_velocity", "dt": 0, "obs_var": 1, "accel_var": 1}, "/model/dt"),
        ({**LEVEL, "initial": {"kind": "known", "mean": [0, 0], "cov": [[1]]}}, "/model/initial/mean"),
        ({**LEVEL, "initial": {"kind": "known", "mean": [0], "cov": [[-1]]}}, "/model/initial/cov"),
        ({**LEVEL, "initial": {"kind": "approximate_diffuse", "variance": 0}}, "/model/initial/variance"),
        ({**LEVEL, "initial": {"kind": "guess"}}, "/model/initial"),
        (None, "/model"),
        ([], "/model"),
    ],
)
def test_a_bad_model_is_named_by_its_field_on_both_routes(model: object, pointer: str) -> None:
    assert pointer in filter_errors(model=model)
    assert pointer in errors(orjson.dumps({"results": [1.0], "model": model}))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"observations": []}, "/observations"),
        ({"observations": ...}, "/observations"),
        ({"observations": [[]]}, "/observations/0"),
        ({"observations": [[1.0], 2.0]}, "/observations/1"),
        ({"observations": [[1.0], [None, "x"]]}, "/observations/1/1"),
        ({"observations": [[1.0]] * 4}, "/observations"),
        ({"model": ...}, "/model"),
        ({"outputs": []}, "/outputs"),
        ({"outputs": ["filtered_state", "gain"]}, "/outputs/1"),
        ({"outputs": ["predicted_state_cov"], "observations": [[1.0] * 60]}, "/outputs"),
        ({"precision": "float16"}, "/precision"),
        ({"loglike_convention": "R"}, "/loglike_convention"),
    ],
)
def test_a_bad_filter_request_is_named_by_its_field(changes: dict[str, object], pointer: str) -> None:
    assert pointer in filter_errors(**changes)


def test_a_number_beyond_float64_is_found_in_its_series() -> None:
    body = orjson.dumps({"model": LEVEL, "observations": [[1.0], [2.0, 77]]}).replace(b"77", b"1e400")
    assert "finite" in errors(body, "parse_filter")["/observations/1/1"]


def test_many_mistakes_are_shown_together_but_not_all_of_a_thousand() -> None:
    found = errors(json.dumps({"results": ["x"] * 1000}).encode())
    assert list(found) == [f"/results/{i}" for i in range(10)]


def test_a_filter_request_becomes_one_job() -> None:
    request = {"model": TREND, "observations": [[1, None], [3.5]], "outputs": ["loglike", "loglike"]}
    work = WIRE.parse_filter(orjson.dumps(request))
    np.testing.assert_array_equal(work.job.values, [1, np.nan, 3.5])
    assert (work.units, work.points, work.job.lengths, work.job.outputs) == (2, 3, (2, 1), ("loglike",))
    assert work.job.model.build().states == 2
