"""A series of a model with one observed element may be a column, as NumPy writes (T, 1): it means the flat list."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.jobs.saved_states import from_words
from luna_serving.capabilities.kalman.replica import compute
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.streams.messages import read_values
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import FilterRequest, ForecastRequest, SmoothRequest
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.engines.statespace.process.jax_process import configure_jax
from luna_serving.wire.problems import Problem

configure_jax()
LIMITS = SeriesLimits(max_series_length=1000, max_series_per_request=10, max_answer_numbers=50_000)
WIRE = Wire(LIMITS)
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}
PAIR = {
    "kind": "state_space",
    "transition": [[0.5]],
    "design": [[1.0], [2.0]],
    "obs_cov": [[1.0, 0.5], [0.5, 1.0]],
    "state_cov": [[1.0]],
}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53) | st.none()
ROUTES: dict[str, tuple[Callable[[bytes], Any], dict[str, Any]]] = {
    "filter": (partial(WIRE.parse_series, FilterRequest), {}),
    "smooth": (partial(WIRE.parse_series, SmoothRequest), {}),
    "forecast": (partial(WIRE.parse_series, ForecastRequest), {"steps": 2}),
    "fit": (partial(parse_fit, LIMITS), {}),
    "simulate": (partial(parse_simulate, LIMITS), {"seed": 1}),
}


def column(series: list[Any]) -> list[list[Any]]:
    return [[each] for each in series]


def pointers(parse: Callable[[bytes], object], body: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Problem) as refused:
        parse(json.dumps(body).encode())
    assert refused.value.status == 422
    return {each["pointer"]: each["detail"] for each in refused.value.extra["errors"]}


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_a_column_is_read_as_the_flat_list_and_echoed_as_it_was_sent(series: list[Any]) -> None:
    flat = WIRE.parse_original(json.dumps({"results": series, "model": LEVEL}).encode())
    sent = WIRE.parse_original(json.dumps({"results": column(series), "model": LEVEL}).encode())
    np.testing.assert_array_equal(sent.job.values, flat.job.values)
    assert (sent.job.values.shape, sent.job.lengths, sent.units, sent.amounts) == (
        (len(series),),
        (len(series),),
        flat.units,
        flat.amounts,
    )
    assert json.loads(sent.finish(b"[]"))["input_data"] == column(series)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_takes_columns_beside_flat_series(route: str) -> None:
    parse, members = ROUTES[route]
    series = [[1.0, None, 3], [4.0, 5.5]]
    flat = parse(json.dumps({"model": LEVEL, "observations": series, **members}).encode()).job
    sent = parse(json.dumps({"model": LEVEL, "observations": [column(series[0]), series[1]], **members}).encode()).job
    assert sent.lengths == flat.lengths == (3, 2)
    for one, other in zip(_arrays(sent), _arrays(flat), strict=True):
        np.testing.assert_array_equal(one, other)


def _arrays(job: Any) -> list[Any]:
    return list(job.series) if hasattr(job, "series") else [job.values]


def test_a_stream_takes_a_column() -> None:
    np.testing.assert_array_equal(read_values(column([1, None, 2.5]), 1, 10), [1.0, np.nan, 2.5])


def test_the_answers_are_those_to_the_flat_series() -> None:
    series = [1.0, None, 3.0, 2.5]
    for member in ({"results": series}, {"results": column(series)}):
        work: Any = WIRE.parse_original(orjson.dumps(member))
        (means,) = compute([work.job])
        assert json.loads(work.finish(means)) == {
            "processed_results": json.loads(compute([WIRE.parse_original(orjson.dumps({"results": series})).job])[0]),
            "input_data": member["results"],
        }
    ask = {"model": LEVEL, "outputs": ["filtered_state", "forecasts", "state"]}
    answers = []
    for sent in (series, column(series)):
        work = WIRE.parse_series(FilterRequest, orjson.dumps({**ask, "observations": [sent]}))
        answers.append(json.loads(compute([work.job])[0])["results"])
    assert answers[0] == answers[1]
    assert from_words(answers[0][0]["state"]).period == len(series)


@pytest.mark.parametrize(
    ("series", "place", "words"),
    [
        ([[1.0], 2.0, [3.0]], 1, "a list of one number or null, as the first point"),
        ([[1.0], [2.0], None], 2, "a list of one number or null, as the first point"),
        ([[None], [1.0, 2.0]], 1, "a list of one number or null, as the first point"),
        ([[1.0], []], 1, "a list of one number or null, as the first point"),
        ([1.0, [2.0], 3.0], 1, "not a list"),
        ([None, [2.0]], 1, "not a list"),
        ([[1.0, 2.0], [3.0, 4.0]], 0, "not a list"),
    ],
)
def test_a_series_of_two_forms_is_refused_at_its_first_point_that_differs(
    series: list[Any], place: int, words: str
) -> None:
    found = pointers(WIRE.parse_original, {"results": series, "model": LEVEL})
    assert next(iter(found)) == f"/results/{place}"
    assert words in found[f"/results/{place}"]
    for parse, members in ROUTES.values():
        found = pointers(parse, {"model": LEVEL, "observations": [[1.0], series], **members})
        assert next(iter(found)) == f"/observations/1/{place}"
    with pytest.raises(Problem) as refused:
        read_values(series, 1, 10)
    assert refused.value.extra["errors"][0]["pointer"] == f"/values/{place}"


def test_a_value_in_a_column_that_is_no_number_is_pointed_to() -> None:
    assert pointers(WIRE.parse_original, {"results": [[1.0], ["2"]]}).keys() == {"/results/1/0"}
    parse, _ = ROUTES["filter"]
    assert pointers(parse, {"model": LEVEL, "observations": [[[True], [1.0]]]}).keys() == {"/observations/0/0/0"}


def test_a_column_is_no_series_of_a_model_that_observes_two_elements() -> None:
    parse, _ = ROUTES["filter"]
    found = pointers(parse, {"model": PAIR, "observations": [[[1.0], [2.0]]]})
    assert "observes 2 elements" in found["/observations/0/0"]


def test_a_list_of_numbers_in_lists_is_many_series_where_many_are_asked_for() -> None:
    parse, _ = ROUTES["filter"]
    assert parse(json.dumps({"model": LEVEL, "observations": [[1.0], [2.0], [None]]}).encode()).job.lengths == (1, 1, 1)
