"""Prometheus' answers, byte for byte where it matters and value for value elsewhere."""

import math
import time
from decimal import Decimal

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luna_serving.capabilities.metrics.rendering.answers import list_answer, query_answer
from luna_serving.capabilities.metrics.rendering.errors import STATUSES, ErrorType, of_problem, of_query
from luna_serving.capabilities.metrics.rendering.numbers import float_text, float_texts, time_text
from luna_serving.engines.promql.api import (
    EvaluationError,
    LimitExceeded,
    Matrix,
    ParseError,
    Position,
    Scalar,
    Series,
    String,
    Vector,
)
from luna_serving.wire import problems

NOW = 1_795_867_200_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (-0.0, "-0"),
        (0.0, "0"),
        (100.0, "100"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (9.99e-7, "9.99e-07"),
        (1e-10, "1e-10"),
        (5e-324, "5e-324"),
        (123456789012345680.0, "123456789012345680"),
        (9007199254740993.0, "9007199254740992"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.7976931348623157e308, "-1.7976931348623157e+308"),
        (0.30000000000000004, "0.30000000000000004"),
    ],
)
def test_numbers_are_written_as_prometheus_writes_them(value, text):
    assert float_text(value) == text
    assert float_texts(np.array([value, 1.0])) == [text.encode(), b"1"]


@given(st.lists(st.floats(), max_size=20))
@example([1e16, 1e15, 1e-5, 1e-4, 9999999999999998.0, 10.0, 0.10])
def test_numbers_read_back_and_are_the_shortest(values):
    texts = [text.decode() for text in float_texts(np.array(values, np.float64))]
    assert texts == [float_text(value) for value in values]
    for value, text in zip(values, texts, strict=True):
        assert np.array(float(text)).tobytes() == np.array(value).tobytes() or math.isnan(value)
        if math.isfinite(value):
            assert Decimal(text).normalize().as_tuple().digits == Decimal(repr(value)).normalize().as_tuple().digits
            assert ("e" in text) == (value != 0 and not 1e-6 <= abs(value) < 1e21)
            assert not text.endswith(".0")


@pytest.mark.parametrize(
    ("at", "text"), [(0, "0"), (1, "0.001"), (1_050, "1.050"), (NOW, "1795867200"), (-500, "-0.500"), (-2_000, "-2")]
)
def test_times_are_seconds_with_three_decimals(at, text):
    assert time_text(at) == text


def test_a_vector():
    result = Vector(
        NOW + 50, ({"b": "2", "__name__": "up", "a": 'q"\n'}, {}), np.array([1.0, np.nan]), ("w",), ("i", "j")
    )
    assert query_answer(result) == (
        b'{"status":"success","data":{"resultType":"vector","result":['
        b'{"metric":{"__name__":"up","a":"q\\"\\n","b":"2"},"value":[1795867200.050,"1"]},'
        b'{"metric":{},"value":[1795867200.050,"NaN"]}]},"warnings":["w"],"infos":["i","j"]}'
    )


def test_a_matrix():
    first = Series({"a": "1"}, np.array([NOW, NOW + 1_000]), np.array([0.5, 2.0]))
    second = Series({}, np.array([NOW + 1_000]), np.array([np.inf]))
    assert query_answer(Matrix((first, second))) == (
        b'{"status":"success","data":{"resultType":"matrix","result":['
        b'{"metric":{"a":"1"},"values":[[1795867200,"0.5"],[1795867201,"2"]]},'
        b'{"metric":{},"values":[[1795867201,"+Inf"]]}]}}'
    )


def test_nothing_is_an_empty_list():
    empty = b'{"status":"success","data":{"resultType":"%s","result":[]}}'
    assert query_answer(Matrix(())) == empty % b"matrix"
    assert query_answer(Vector(NOW, (), np.array([]))) == empty % b"vector"


def test_a_scalar_and_a_string():
    assert orjson.loads(query_answer(Scalar(NOW, 1.5)))["data"] == {
        "resultType": "scalar",
        "result": [1795867200, "1.5"],
    }
    assert orjson.loads(query_answer(String(NOW, 'é"')))["data"] == {
        "resultType": "string",
        "result": [1795867200, 'é"'],
    }


def test_other_lists():
    assert list_answer(["a"], ["results truncated due to limit"]) == (
        b'{"status":"success","data":["a"],"warnings":["results truncated due to limit"]}'
    )


def test_a_million_points_are_written_well_below_a_second():
    times = NOW + 15_000 * np.arange(11_000)
    random = np.random.default_rng(1)
    series = tuple(Series({"i": str(i)}, times, random.normal(0, 100, 11_000)) for i in range(100))
    best = math.inf
    for _ in range(3):
        began = time.process_time()
        body = query_answer(Matrix(series))
        best = min(best, time.process_time() - began)
    assert best < 1.0
    read = orjson.loads(body)["data"]["result"]
    assert [float(v) for _, v in read[99]["values"]] == series[99].values.tolist()
    assert [t for t, _ in read[0]["values"]] == (times // 1_000).tolist()


@pytest.mark.parametrize(
    ("error", "type_", "message"),
    [
        (
            ParseError("unexpected end of input", Position(4, 1, 5)),
            "bad_data",
            'invalid parameter "query": 1:5: parse error: unexpected end of input',
        ),
        (EvaluationError("many-to-many matching not allowed"), "execution", "many-to-many matching not allowed"),
        (LimitExceeded("too many samples", "samples", 5), "execution", "too many samples"),
        (LimitExceeded("too many points", "points", 5), "bad_data", "too many points"),
        (LimitExceeded("too long", "length", 5), "bad_data", "too long"),
    ],
)
def test_errors_of_queries(error, type_, message):
    answer = of_query(error)
    assert orjson.loads(answer.body()) == {"status": "error", "errorType": type_, "error": message}
    assert answer.status == {"bad_data": 400, "execution": 422}[type_]


def test_every_type_of_error_has_a_status():
    assert STATUSES.keys() == set(ErrorType)


@pytest.mark.parametrize(
    ("problem", "type_"),
    [
        (problems.unauthenticated("No key."), "bad_data"),
        (problems.not_found("No such route."), "not_found"),
        (problems.deadline(5), "timeout"),
        (problems.overloaded(), "unavailable"),
        (problems.internal(), "internal"),
    ],
)
def test_problems_have_prometheus_form_too(problem, type_):
    assert orjson.loads(of_problem(problem)) == {"status": "error", "errorType": type_, "error": problem.detail}
