"""Series as Arrow and NumPy mean what the same series mean as JSON, and so do their answers."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.compute import compute
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import FilterRequest, ForecastRequest, SeriesRequest, SmoothRequest
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.dispatch.work import Rendered
from luna_serving.engines.statespace.process.jax_process import configure_jax
from luna_serving.wire.npy import NPY, written_npy
from luna_serving.wire.problems import Problem
from luna_serving.wire.sent import Sent
from luna_serving.wire.tabular import ARROW, JSON

configure_jax()
LIMITS = SeriesLimits(max_series_length=1000, max_series_per_request=3, max_answer_numbers=10_000)
WIRE = Wire(LIMITS)
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}
TREND = {"kind": "local_linear_trend", "obs_var": 1.0, "level_var": 0.5, "trend_var": 0.1}
TWO = {
    "kind": "state_space",
    "design": [[1.0, 0.0], [0.0, 1.0]],
    "transition": [[1.0, 0.0], [0.0, 1.0]],
    "obs_cov": [[1.0, 0.2], [0.2, 2.0]],
    "state_cov": [[0.5, 0.0], [0.0, 0.1]],
}
SERIES = [np.array([1.0, np.nan, 3.0, 2.0]), np.array([5.0, 4.0])]
Series = Sequence[NDArray[np.float64]]


def arrow(series: Series, metadata: Mapping[str, Any] | None = None, name: str = "observations") -> bytes:
    schema = pa.schema([(name, pa.list_(pa.float64()) if series[0].ndim == 1 else pa.list_(pa.list_(pa.float64())))])
    if metadata is not None:
        schema = schema.with_metadata({b"luna": orjson.dumps(metadata)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table([[each.tolist() for each in series]], schema=schema))
    return sink.getvalue()


def saved(array: NDArray[np.float64]) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def answered(schema: type[SeriesRequest], sent: Sent) -> tuple[bytes, str]:
    """The body of the answer and its type."""
    work: Any = WIRE.parse_sent(schema, sent)
    (result,) = compute([work.job])
    assert isinstance(result, bytes), result
    answer = work.finish(result)
    if isinstance(answer, Rendered):
        return answer.body, dict(answer.headers)[b"content-type"].decode()
    return answer, JSON


def as_json(schema: type[SeriesRequest], series: Series, **members: Any) -> dict[str, Any]:
    rows = [orjson.loads(orjson.dumps(each, option=orjson.OPT_SERIALIZE_NUMPY)) for each in series]
    body, kind = answered(schema, Sent(json.dumps({"observations": rows, **members}).encode(), JSON))
    assert kind == JSON
    answer: dict[str, Any] = json.loads(body)
    return answer


def query(**members: Any) -> dict[str, list[str]]:
    return {"request": [json.dumps(members)]}


def as_table(schema: type[SeriesRequest], sent: Sent) -> pa.Table:
    body, kind = answered(schema, sent)
    assert kind == ARROW
    return pa.ipc.open_stream(body).read_all()


def errors(schema: type[SeriesRequest], sent: Sent) -> dict[str, str]:
    with pytest.raises(Problem) as refusal:
        WIRE.parse_sent(schema, sent)
    assert refusal.value.status == 422
    return {each["pointer"]: each["detail"] for each in refusal.value.extra["errors"]}


def numbers(value: object) -> NDArray[np.float64]:
    return np.array(value, dtype=np.float64)


@pytest.mark.parametrize(
    ("schema", "members"),
    [
        (FilterRequest, {"model": TREND, "outputs": ["filtered_state", "filtered_state_cov", "forecasts", "loglike"]}),
        (SmoothRequest, {"model": TREND, "outputs": ["smoothed_state", "smoothed_signal", "nobs_diffuse"]}),
        (ForecastRequest, {"model": TREND, "steps": 3, "level": 0.8}),
    ],
)
def test_an_arrow_stream_is_answered_as_the_same_json(schema: type[SeriesRequest], members: dict[str, Any]) -> None:
    expected = as_json(schema, SERIES, **members)
    for body in (Sent(arrow(SERIES), ARROW, query=query(**members)), Sent(arrow(SERIES, members), ARROW)):
        table = as_table(schema, body)
        beside = json.loads(table.schema.metadata[b"luna"])
        assert beside == {name: expected[name] for name in ("plan", "state_names")}
        assert table.column_names == list(expected["results"][0])
        for i, result in enumerate(expected["results"]):
            for name, value in result.items():
                found = numbers(table.column(name)[i].as_py()).reshape(numbers(value).shape)
                np.testing.assert_array_equal(found, numbers(value))


def test_the_shape_of_an_element_is_in_its_field() -> None:
    table = as_table(FilterRequest, Sent(arrow(SERIES, {"model": TREND}), ARROW))
    assert table.schema.field("filtered_state_cov").metadata == {b"shape": b"2,2"}
    assert table.column("filtered_state_cov").type.value_type.list_size == 4


def test_a_model_of_two_elements_takes_points_of_two_numbers() -> None:
    rng = np.random.default_rng(3)
    series = [rng.normal(size=(5, 2)), rng.normal(size=(5, 2))]
    members = {"model": TWO, "outputs": ["filtered_state"]}
    expected = numbers([each["filtered_state"] for each in as_json(FilterRequest, series, **members)["results"]])
    table = as_table(FilterRequest, Sent(arrow(series, members), ARROW))
    np.testing.assert_array_equal(numbers(table.column("filtered_state").to_pylist()), expected)
    body, kind = answered(FilterRequest, Sent(written_npy(np.array(series)), NPY, NPY, query(**members)))
    assert kind == NPY
    np.testing.assert_array_equal(np.load(io.BytesIO(body)), expected)


def test_an_array_is_one_series_or_several() -> None:
    y = np.array([[1.0, np.nan, 2.0], [3.0, 4.0, 5.0]])
    members = {"model": LEVEL, "outputs": ["filtered_state"]}
    expected = numbers([each["filtered_state"] for each in as_json(FilterRequest, list(y), **members)["results"]])
    for sent, shown in ((y, expected), (y[0], expected[:1])):
        body, _ = answered(FilterRequest, Sent(written_npy(sent), NPY, NPY, query(**members)))
        np.testing.assert_array_equal(np.load(io.BytesIO(body)), shown)


def test_a_forecast_is_an_array_of_its_four_outputs() -> None:
    y = np.arange(12.0).reshape(2, 6)
    members = {"model": LEVEL, "steps": 3}
    body, _ = answered(ForecastRequest, Sent(written_npy(y), NPY, NPY, query(**members)))
    found = np.load(io.BytesIO(body))
    assert found.shape == (4, 2, 3)
    expected = as_json(ForecastRequest, list(y), **members)["results"]
    for name, each in zip(("mean", "variance", "lower", "upper"), found, strict=True):
        np.testing.assert_array_equal(each, numbers([result[name] for result in expected]))


def test_a_saved_state_of_an_arrow_answer_resumes() -> None:
    y = np.arange(8.0)
    whole = as_json(FilterRequest, [y], model=LEVEL, outputs=["filtered_state"])["results"][0]["filtered_state"]
    table = as_table(FilterRequest, Sent(arrow([y[:5]], {"model": LEVEL, "outputs": ["state"]}), ARROW))
    state = json.loads(table.column("state")[0].as_py())
    members = {"model": LEVEL, "outputs": ["filtered_state"], "resume": [state]}
    rest = as_table(FilterRequest, Sent(arrow([y[5:]], members), ARROW))
    assert rest.column("filtered_state")[0].as_py() == whole[5:]


def test_residuals_are_two_columns() -> None:
    table = as_table(SmoothRequest, Sent(arrow(SERIES, {"model": TREND, "outputs": ["auxiliary_residuals"]}), ARROW))
    assert table.column_names == ["auxiliary_residuals.obs", "auxiliary_residuals.state"]


@pytest.mark.parametrize(
    ("media_type", "accept", "form"),
    [(ARROW, "*/*", ARROW), (ARROW, JSON, JSON), (JSON, ARROW, ARROW), (NPY, "*/*", JSON), (NPY, ARROW, ARROW)],
)
def test_accept_says_the_form_of_the_answer(media_type: str, accept: str, form: str) -> None:
    members = {"model": LEVEL}
    bodies = {
        ARROW: arrow(SERIES),
        NPY: written_npy(np.ones((2, 3))),
        JSON: json.dumps(members | {"observations": [[1.0]]}).encode(),
    }
    asked = {} if media_type == JSON else query(**members)
    assert answered(FilterRequest, Sent(bodies[media_type], media_type, accept, asked))[1] == form


def test_what_numpy_cannot_hold_is_refused_with_the_cure() -> None:
    body = written_npy(np.ones((2, 3)))
    for outputs in (["filtered_state", "loglike"], ["state"]):
        found = errors(FilterRequest, Sent(body, NPY, NPY, query(model=LEVEL, outputs=outputs)))
        assert ARROW in found["/outputs"]
    asked = query(model=LEVEL, outputs=["filtered_state"])
    assert "different lengths" in errors(FilterRequest, Sent(arrow(SERIES), ARROW, NPY, asked))["/observations"]


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        (Sent(b"", ARROW, query=query(model=LEVEL)), ""),
        (Sent(arrow(SERIES)[:200], ARROW, query=query(model=LEVEL)), ""),
        (Sent(arrow(SERIES, name="y"), ARROW, query=query(model=LEVEL)), "/y"),
        (Sent(arrow(SERIES, {"model": LEVEL}), ARROW, query=query(model=LEVEL)), "/query/request"),
        (Sent(arrow(SERIES, {"model": LEVEL, "observations": [[1]]}), ARROW), "/observations"),
        (Sent(arrow(SERIES, {"model": LEVEL, "outpust": []}), ARROW), "/outpust"),
        (Sent(arrow(SERIES), ARROW), "/model"),
        (Sent(arrow(SERIES), ARROW, query={"request": ["{"]}), ""),
        (Sent(arrow([*SERIES, *SERIES]), ARROW, query=query(model=LEVEL)), ""),
        (Sent(arrow([np.array([1.0, np.inf])]), ARROW, query=query(model=LEVEL)), "/observations/0/1"),
        (Sent(arrow([np.array([1.0]), np.array([])]), ARROW, query=query(model=LEVEL)), "/observations/1"),
        (Sent(arrow(SERIES), ARROW, query=query(model=TWO)), "/observations/0"),
        (Sent(written_npy(np.ones((4, 2))), NPY, query=query(model=LEVEL)), "/observations"),
        (Sent(written_npy(np.ones((1, 1001))), NPY, query=query(model=LEVEL)), "/observations/0"),
        (Sent(written_npy(np.ones((1, 2, 3))), NPY, query=query(model=LEVEL)), "/observations/0"),
        (Sent(written_npy(np.ones((1, 1, 1, 1))), NPY, query=query(model=LEVEL)), ""),
        (Sent(written_npy(np.ones((0, 3))), NPY, query=query(model=LEVEL)), ""),
        (Sent(saved(np.array(1.0)), NPY, query=query(model=LEVEL)), ""),
        (Sent(b'{"model": {}}', JSON, ARROW, query(model=LEVEL)), "/query/request"),
    ],
)
def test_a_wrong_request_is_refused_with_a_pointer(sent: Sent, pointer: str) -> None:
    assert pointer in errors(FilterRequest, sent)


def test_compressed_buffers_are_refused_before_they_are_unpacked() -> None:
    table = pa.table({"observations": pa.array([[0.0] * 1000], pa.list_(pa.float64()))})
    for codec in ("zstd", "lz4"):
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
            writer.write_table(table)
        found = errors(FilterRequest, Sent(sink.getvalue(), ARROW, query=query(model=LEVEL)))
        assert "Content-Encoding" in found[""]


def test_the_work_of_a_named_model_waits_for_it() -> None:
    named: Any = WIRE.parse_sent(FilterRequest, Sent(arrow(SERIES), ARROW, query=query(model={"name": "nile"})))
    assert named.reference.name == "nile"
