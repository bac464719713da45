"""From bytes to a job: the quick path and the careful one agree, and every mistake is named."""

import json
import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import (
    DEFAULT_MODEL,
    FilterRequest,
    ForecastRequest,
    SeriesRequest,
    SmoothRequest,
)
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.wire.documents import MAX_EXPLAINED_BYTES
from luna_serving.wire.pointers import MAX_ERRORS
from luna_serving.wire.problems import Problem

WIRE = Wire(SeriesLimits(max_series_length=1000, max_series_per_request=3, max_answer_numbers=50))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}
TREND = {"kind": "local_linear_trend", "obs_var": 1, "level_var": 0.5, "trend_var": 0}


def refused(body: bytes, schema: type[SeriesRequest] | None = None) -> Problem:
    with pytest.raises(Problem) as refusal:
        WIRE.parse_original(body) if schema is None else WIRE.parse_series(schema, body)
    assert refusal.value.status == 422
    return refusal.value


def errors(body: bytes, schema: type[SeriesRequest] | None = None) -> dict[str, str]:
    return {e["pointer"]: e["detail"] for e in refused(body, schema).extra["errors"]}


def series_body(**changes: object) -> bytes:
    request = {"model": LEVEL, "observations": [[1.0]]} | changes
    return orjson.dumps({k: v for k, v in request.items() if v is not ...})


def filter_errors(**changes: object) -> dict[str, str]:
    return errors(series_body(**changes), FilterRequest)


def known(**changes: object) -> dict[str, object]:
    return {**LEVEL, "initial": {"kind": "known", "mean": [0], "cov": [[1]]} | changes}


@given(st.lists(FINITE | st.integers(-(2**53), 2**53) | st.none(), min_size=1))
def test_what_is_parsed_and_echoed_is_what_was_sent(series: list[float | None]) -> None:
    work = WIRE.parse_original(json.dumps({"results": series}).encode())
    expected = np.array([math.nan if x is None else x for x in series], dtype=float)
    np.testing.assert_array_equal(work.job.values, expected)
    answer = json.loads(work.finish(b"[]"))
    assert answer == {"processed_results": [], "input_data": series}
    assert (work.units, work.points, work.grant.name, work.job.model) == (1, len(series), "local_level", DEFAULT_MODEL)


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
        (b'{"results":[[1,2]]}', "/results/0", "not a list"),
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
        (b"\xff\xfe", "", "UTF-16"),
        (b"[" * 5_000, "", "not valid JSON"),
        (b'{"results":' + b"[" * 5_000, "", "not valid JSON"),
        (b"[" * 100_000, "", "more lists"),
        (b'{"results":' + b"[" * 100_000, "", "more lists"),
        (b'\xef\xbb\xbf{"results":[1]}', "", "byte order mark"),
        (b'\xef\xbb\xbf{"results":[1,null]}', "", "byte order mark"),
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
        (known(q=1), "/model/initial/q"),
        (known(cov=[[1, 0], [0]]), "/model/initial/cov"),
        (known(cov=[[]]), "/model/initial/cov"),
        (known(mean=[]), "/model/initial/mean"),
        (known(mean=[[0], [0, 1]]), "/model/initial/mean/0"),
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
    assert "finite" in errors(body, FilterRequest)["/observations/1/1"]


def test_many_mistakes_are_shown_together_but_not_all_of_a_thousand() -> None:
    found = errors(json.dumps({"results": ["x"] * 1000}).encode())
    assert list(found) == [f"/results/{i}" for i in range(10)]


def test_a_filter_request_becomes_one_job() -> None:
    request = {"model": TREND, "observations": [[1, None], [3.5]], "outputs": ["loglike", "loglike"]}
    work = WIRE.parse_series(FilterRequest, orjson.dumps(request))
    np.testing.assert_array_equal(work.job.values, [1, np.nan, 3.5])
    assert (work.units, work.points, work.job.lengths, work.job.outputs) == (2, 3, (2, 1), ("loglike",))
    assert work.job.task == "filter"
    assert work.job.model.build().states == 2


def test_a_smooth_request_becomes_a_job_that_may_ask_for_what_was_filtered_too() -> None:
    job = WIRE.parse_series(SmoothRequest, series_body(outputs=["smoothed_state", "filtered_state"])).job
    assert (job.task, job.outputs) == ("smooth", ("smoothed_state", "filtered_state"))
    assert WIRE.parse_series(SmoothRequest, series_body()).job.outputs[0] == "smoothed_state"


def test_a_forecast_request_becomes_a_job_with_its_steps_and_level() -> None:
    job = WIRE.parse_series(ForecastRequest, series_body(steps=3, level=0.5)).job
    assert (job.task, job.steps, job.level) == ("forecast", 3, 0.5)
    assert job.outputs == ("mean", "variance", "lower", "upper")
    assert WIRE.parse_series(ForecastRequest, series_body(steps=1)).job.level == 0.95


@pytest.mark.parametrize(
    ("schema", "changes", "pointer"),
    [
        (FilterRequest, {"outputs": ["smoothed_state"]}, "/outputs/0"),
        (FilterRequest, {"steps": 1}, "/steps"),
        (SmoothRequest, {"outputs": []}, "/outputs"),
        (SmoothRequest, {"outputs": ["mean"]}, "/outputs/0"),
        (SmoothRequest, {"outputs": ["smoothed_state_cov"], "observations": [[1.0] * 60]}, "/outputs"),
        (SmoothRequest, {"observations": [[1.0], [None, "x"]]}, "/observations/1/1"),
        (ForecastRequest, {}, "/steps"),
        (ForecastRequest, {"steps": 0}, "/steps"),
        (ForecastRequest, {"steps": 1.5}, "/steps"),
        (ForecastRequest, {"steps": 1_000_000_000}, "/steps"),
        (ForecastRequest, {"steps": 1e9}, "/steps"),
        (ForecastRequest, {"steps": 50}, "/steps"),
        (ForecastRequest, {"steps": 1, "level": 0}, "/level"),
        (ForecastRequest, {"steps": 1, "level": 1}, "/level"),
        (ForecastRequest, {"steps": 1, "level": "x"}, "/level"),
        (ForecastRequest, {"steps": 1, "outputs": ["mean"]}, "/outputs"),
    ],
)
def test_a_bad_request_is_named_by_its_field_on_its_route(
    schema: type[SeriesRequest], changes: dict[str, object], pointer: str
) -> None:
    assert pointer in errors(series_body(**changes), schema)


def test_a_forecast_that_answers_too_much_is_told_how_much() -> None:
    assert "Would answer 200 numbers" in errors(series_body(steps=50), ForecastRequest)["/steps"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"outputs": [1] * 100_000}, "/outputs"),
        ({"outputs": ["loglike"] * 100_000}, "/outputs"),
        ({"model": known(mean=["x"] * 100_000)}, "/model/initial/mean"),
        ({"model": known(cov=[0] * 100_000)}, "/model/initial/cov"),
        ({"model": known(cov=[["x"] * 100_000])}, "/model/initial/cov/0"),
    ],
)
def test_a_list_that_is_too_long_is_one_error_however_many_are_wrong_in_it(
    changes: dict[str, object], pointer: str
) -> None:
    problem = refused(series_body(**changes), FilterRequest)
    built = problem.__cause__
    assert isinstance(built, ValidationError)
    assert built.error_count() == 1
    assert [e["pointer"] for e in problem.extra["errors"]] == [pointer]


@pytest.mark.parametrize("where", [(), ("model",), ("model", "initial")])
def test_unknown_fields_are_refused_before_an_error_is_built_for_each(where: tuple[str, ...]) -> None:
    request: dict[str, Any] = {"model": known(), "observations": [[1.0]]}
    place = request
    for step in where:
        place = place[step]
    place |= {f"field{i}": i for i in range(500)}
    problem = refused(orjson.dumps(request), FilterRequest)
    assert problem.__cause__ is None, "pydantic was asked"
    expected = ["".join(f"/{step}" for step in (*where, f"field{i}")) for i in range(MAX_ERRORS)]
    assert [e["pointer"] for e in problem.extra["errors"]] == expected
    assert all("not permitted" in e["detail"] for e in problem.extra["errors"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":{},"observations":[' + b"[]," * 20_000 + b"[]]}",
        b'{"model":{},"observations":[' + b"{}," * 20_000 + b"{}]}",
        b"{" + b",".join(b'"%d":0' % i for i in range(20_000)) + b"}",
    ],
)
def test_more_containers_than_any_valid_call_has_are_counted_and_not_built(body: bytes) -> None:
    assert "more lists, objects or members" in errors(body, FilterRequest)[""]
    assert "more lists, objects or members" in errors(body)[""]


def test_a_name_of_megabytes_is_not_sent_back() -> None:
    for body in (
        series_body(**{"n" * 1_000_000: 1}),
        series_body(model={**LEVEL, "/" * 1_000_000: 1}),
        series_body(model={"kind": "k" * 1_000_000}),
    ):
        assert len(refused(body, FilterRequest).body()) < 2_000


def test_the_culprit_is_searched_only_in_a_body_that_is_read_again_quickly() -> None:
    small = b'{"results":[NaN' + b",1" * 1_000 + b"]}"
    assert "/results/0" in errors(small)
    large = small.replace(b",1", b",1" * (MAX_EXPLAINED_BYTES // 1_000))
    assert "not valid JSON" in errors(large)[""]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"period": 2**63}, "/resume/0/period"),
        ({"nobs_diffuse": 10**10}, "/resume/0/nobs_diffuse"),
        ({"rank": 0, "diffuse": [[1.0]]}, "/resume/0/rank"),
        ({"rank": 1}, "/resume/0/rank"),
        ({"cov": [[-1.0]]}, "/resume/0/cov"),
        ({"mean": [1.0, 2.0]}, "/resume/0/mean"),
    ],
)
def test_a_saved_state_that_no_answer_had_is_refused(change: dict[str, object], pointer: str) -> None:
    state = {"mean": [1.0], "cov": [[1e-120]], "diffuse": [[0.0]], "rank": 0, "period": 3, "nobs_diffuse": 1}
    model = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}
    body = {"model": model, "observations": [[1.0]], "resume": [state], "outputs": ["loglike"]}
    assert WIRE.parse_series(FilterRequest, orjson.dumps(body)).job.starts[0].cov[0, 0] == 1e-120
    found = errors(orjson.dumps({**body, "resume": [{**state, **change}]}), FilterRequest)
    assert list(found) == [pointer]


def test_what_would_not_fit_into_memory_is_refused_with_its_cure() -> None:
    model = {"kind": "structural", "obs_var": 1.0, "level": {"var": 0.1}, "seasonal": {"period": 60, "var": 0.1}}
    body = {"model": model, "observations": [[1.0] * 30_000], "outputs": ["loglike"]}
    wide = Wire(SeriesLimits(max_series_length=100_000, max_series_per_request=3, max_answer_numbers=4_000_000))
    with pytest.raises(Problem) as refusal:
        wide.parse_series(FilterRequest, orjson.dumps(body))
    (error,) = refusal.value.extra["errors"]
    assert error["pointer"] == "/observations"
    assert "resume" in error["detail"]
