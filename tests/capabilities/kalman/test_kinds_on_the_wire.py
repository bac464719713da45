"""Every kind of model, as a caller writes it: built, refused by the field that was written, and carried cheaply."""

import gc
import time
from typing import Any

import numpy as np
import orjson
import pytest

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec, build_model
from luna_serving.capabilities.kalman.jobs.output_sizes import SIZES
from luna_serving.capabilities.kalman.wire.kind_schemas import MODELS
from luna_serving.capabilities.kalman.wire.model import read_model
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import FilterRequest, ForecastRequest, KalmanRequest, SeriesRequest
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.start_schemas import STARTS
from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.wire.problems import Problem

WIRE = Wire(SeriesLimits(max_series_length=1_000_000, max_series_per_request=100, max_answer_numbers=4_000_000))
PAIR = {
    "kind": "state_space",
    "transition": [[0.5, 0.1], [0, 0.3]],
    "design": [[1, 0], [0, 1]],
    "obs_cov": [[1, 0.2], [0.2, 1]],
    "state_cov": [[1, 0], [0, 1]],
}
TREND = {"kind": "local_linear_trend", "obs_var": 1, "level_var": 0.5, "trend_var": 0.1}


def body(model: object, *series: object, **changes: object) -> bytes:
    return orjson.dumps({"model": model, "observations": series or [[1.0]], **changes})


def job(model: object, *series: object, schema: type[SeriesRequest] = FilterRequest, **changes: object) -> Any:
    return WIRE.parse_series(schema, body(model, *series, **changes)).job


def errors(model: object, *series: object, schema: type[SeriesRequest] = FilterRequest, **changes: object) -> Any:
    with pytest.raises(Problem) as refusal:
        WIRE.parse_series(schema, body(model, *series, **changes))
    assert refusal.value.status == 422
    return {e["pointer"]: e["detail"] for e in refusal.value.extra["errors"]}


def example(kind: str) -> dict[str, Any]:
    extra: Any = MODELS[kind].model_config["json_schema_extra"]
    words: dict[str, Any] = extra["examples"][0]
    return words


def test_the_wire_and_the_engine_know_the_same_kinds() -> None:
    assert set(MODELS) == set(KINDS)


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_shows_an_example_that_is_valid(kind: str) -> None:
    words = example(kind)
    model = read_model(words).build()
    direct = build_model(kind, {name: value for name, value in words.items() if name != "kind"})
    for name in ("transition", "design", "obs_cov", "disturbance_cov", "state_intercept"):
        np.testing.assert_array_equal(getattr(model, name), getattr(direct, name))
    assert model.start.rank == direct.start.rank


@pytest.mark.parametrize("kind", STARTS)
def test_every_start_is_taken_by_a_model_that_has_it(kind: str) -> None:
    words: dict[str, Any] = {"kind": kind}
    if kind == "known":
        words |= {"mean": [1, 2], "cov": [[1, 0], [0, 2]]}
    if kind == "blocks":
        words["blocks"] = [{"kind": "approximate_diffuse", "states": [1, 0]}]
    model = job({**PAIR, "initial": words}, [[1.0, None]]).model.build()
    assert model.start.rank == (2 if kind == "diffuse" else 0)
    assert bool(model.start.cov.any()) == (kind != "diffuse")


@pytest.mark.parametrize(
    ("model", "pointer", "words"),
    [
        ({"kind": "structural"}, "/model", "needs a component"),
        ({"kind": "structural", "level": {"var": -1}}, "/model/level/var", "greater than or equal to 0"),
        ({"kind": "structural", "level": {"variance": 1}}, "/model/level/variance", "not permitted"),
        ({"kind": "structural", "level": 1}, "/model/level", "an object"),
        ({"kind": "structural", "trend": {}}, "/model/level", "needed"),
        ({"kind": "structural", "seasonal": {"var": 1}}, "/model/seasonal/period", "required"),
        ({"kind": "structural", "seasonal": {"period": 4.5}}, "/model/seasonal/period", "integer"),
        (
            {"kind": "structural", "freq_seasonal": [{"period": 7}, {"period": 7, "harmonics": 4}]},
            "/model/freq_seasonal/1/harmonics",
            "at most 3",
        ),
        ({"kind": "structural", "freq_seasonal": [{"period": "7"}]}, "/model/freq_seasonal/0/period", "number"),
        ({"kind": "structural", "cycle": {"period": 4, "damping": 2}}, "/model/cycle/damping", "less than or equal"),
        (
            {"kind": "structural", "ar": {"coefficients": [1.5], "var": 1}},
            "/model/ar/coefficients",
            "not stationary",
        ),
        (
            {"kind": "structural", "obs_var": 1, "regression": {"regressors": [[1], [1, 2]]}},
            "/model/regression/regressors",
            "same length",
        ),
        (
            {"kind": "structural", "obs_var": 1, "regression": {"regressors": [[1], ["2"]]}},
            "/model/regression/regressors",
            "numbers only",
        ),
        (
            {"kind": "structural", "obs_var": 1, "regression": {"regressors": [[1]], "var": [1, 2]}},
            "/model/regression/var",
            "one variance",
        ),
        ({"kind": "arima", "order": [1, 0, 0], "ar": [1], "var": 1}, "/model/ar", "difference the series"),
        ({"kind": "arima", "order": [1, 0, 0], "var": 1}, "/model/ar", "as order[0] says"),
        ({"kind": "arima", "order": [1, 0], "var": 1}, "/model/order", "at least 3"),
        ({"kind": "arima", "order": [1, 0, "0"], "var": 1}, "/model/order/2", "integer"),
        ({"kind": "arima", "order": [0, 0, 0]}, "/model/var", "required"),
        (
            {"kind": "arima", "order": [0, 1, 1], "ma": [0], "seasonal_order": [0, 1, 0, 62], "var": 1},
            "/model/seasonal_order",
            "at most 64",
        ),
        ({**PAIR, "transition": [[1, 2]]}, "/model/transition", "shape [2, 2]"),
        ({**PAIR, "transition": [[1, 2], [True, 0]]}, "/model/transition", "numbers only"),
        ({**PAIR, "transition": [[[[1]]]]}, "/model/transition", "numbers only"),
        ({**PAIR, "transition": []}, "/model/transition", "none of them empty"),
        ({**PAIR, "transition": None}, "/model/transition", "numbers only"),
        ({**PAIR, "selection": [1, 0]}, "/model/selection", "numbers only"),
        ({**PAIR, "obs_cov": [[1, 2], [2, 1]]}, "/model/obs_cov", "positive semi-definite"),
        ({**PAIR, "obs_intercept": [1]}, "/model/obs_intercept", "shape [2]"),
        ({**PAIR, "H": 1}, "/model/H", "not permitted"),
        ({**PAIR, "initial": {"kind": "known", "mean": [1], "cov": [[1]]}}, "/model/initial/mean", "shape [2]"),
        ({**TREND, "initial": {"kind": "stationary"}}, "/model/initial", "cannot be stationary"),
        ({"kind": "structural", "seasonal": {"period": 365}}, "/model/seasonal/period", "few harmonics: freq_seasonal"),
        ({"kind": "structural", "seasonal": {"period": 66}}, "/model/seasonal/period", "at most 64"),
        (
            {"kind": "arima", "order": [0, 1, 1], "ma": [0], "seasonal_order": [0, 1, 0, 365], "var": 1},
            "/model/seasonal_order",
            "few harmonics: freq_seasonal",
        ),
        (
            {"kind": "arima", "order": [0, 0, 0], "seasonal_order": [1, 0, 0, 7], "seasonal_ar": [-1.0], "var": 1},
            "/model/seasonal_ar",
            "difference the series",
        ),
        ({"kind": "arima", "order": [0, 0, 0], "var": 1, "trend": [0.5]}, "/model/trend/0", "integer"),
        ({"kind": "arima", "order": [0, 0, 0], "var": 1, "trend": [9]}, "/model/trend/0", "from 0 to 5"),
        ({"kind": "arima", "order": [0, 1, 0], "var": 1, "trend": [0]}, "/model/trend/0", "differences"),
        ({"kind": "arima", "order": [0, 0, 0], "var": 1, "periods": 5}, "/model/periods", "not permitted"),
        (
            {"kind": "arima", "order": [0, 0, 0], "var": 1, "regression": {"regressors": [[1], [1, 2]]}},
            "/model/regression/regressors",
            "same length; row 1 holds 2 numbers",
        ),
        (
            {"kind": "structural", "obs_var": 1, "regression": {"regressors": [[1], None, [True]]}},
            "/model/regression/regressors",
            "row 2",
        ),
        (
            {"kind": "structural", "obs_var": 1, "regression": {"regressors": [[1], None, 3]}},
            "/model/regression/regressors",
            "row 2",
        ),
        (
            {"kind": "structural", "obs_var": 1, "regression": {"regressors": [None]}},
            "/model/regression/regressors",
            "at least one row",
        ),
        ({"kind": "constant_velocity", "dt": 0, "obs_var": 1, "accel_var": 1}, "/model/dt", "of one instant"),
        ({"kind": "constant_velocity", "dt": [1, -1], "obs_var": 1, "accel_var": 1}, "/model/dt/1", "unit of time"),
        ({"kind": "constant_velocity", "dt": [[1]], "obs_var": 1, "accel_var": 1}, "/model/dt", "numbers only"),
        ({"kind": "constant_velocity", "dt": "1", "obs_var": 1, "accel_var": 1}, "/model/dt", "numbers only"),
    ],
)
def test_a_mistake_is_named_by_the_field_that_was_written(model: object, pointer: str, words: str) -> None:
    assert words in errors(model, [[1.0, 2.0]])[pointer]


def mixed(*blocks: object) -> dict[str, object]:
    return {**PAIR, "transition": [[1, 0], [0, 0.5]], "initial": {"kind": "blocks", "blocks": blocks}}


def test_some_states_may_be_known_and_others_diffuse_or_stationary() -> None:
    known = {"states": [1], "kind": "known", "mean": [3], "cov": [[2]]}
    start = job(mixed({"states": [0], "kind": "diffuse"}, known), [[1.0, None]]).model.build().start
    assert (start.rank, start.mean.tolist(), start.cov.tolist()) == (1, [0, 3], [[0, 0], [0, 2]])
    large = {"states": [0], "kind": "approximate_diffuse", "variance": 7}
    start = job(mixed({"states": [1], "kind": "stationary"}, large), [[1.0, None]]).model.build().start
    np.testing.assert_allclose(start.cov, np.diag([7, 4 / 3]))
    # As a stored model and in the original call as well.
    level = {"kind": "local_level", "initial": {"kind": "blocks", "blocks": [{"states": [0], "kind": "diffuse"}]}}
    assert read_model(level).build().start.rank == 1
    assert WIRE.parse_original(orjson.dumps({"results": [1.0], "model": level})).grant.name == "local_level"


@pytest.mark.parametrize(
    ("blocks", "pointer", "words"),
    [
        ([{"states": [0], "kind": "diffuse"}], "/model/initial/blocks", "left out: 1"),
        ([{"states": [0, 0], "kind": "diffuse"}], "/model/initial/blocks/0/states/1", "already"),
        ([{"states": [0, 1, 2], "kind": "diffuse"}], "/model/initial/blocks/0/states/2", "from 0 to 1"),
        ([{"states": [0, -1], "kind": "diffuse"}], "/model/initial/blocks/0/states/1", "greater than or equal to 0"),
        ([{"states": [], "kind": "diffuse"}], "/model/initial/blocks/0/states", "at least 1"),
        ([{"kind": "diffuse"}], "/model/initial/blocks/0/states", "required"),
        ([{"states": [0, 1]}], "/model/initial/blocks/0", "Must have a kind"),
        ([{"states": [0, 1], "kind": "blocks"}], "/model/initial/blocks/0", "'known', 'diffuse'"),
        ([], "/model/initial/blocks", "at least 1"),
        (
            [{"states": [1], "kind": "diffuse"}, {"states": [0], "kind": "stationary"}],
            "/model/initial/blocks/1",
            "not below 1",
        ),
        (
            [{"states": [0], "kind": "known", "mean": [0], "cov": [["x"]]}, {"states": [1], "kind": "diffuse"}],
            "/model/initial/blocks/0/cov/0/0",
            "number",
        ),
        ([{"states": [0, 1], "kind": "diffuse", "mean": [1]}], "/model/initial/blocks/0/mean", "not permitted"),
    ],
)
def test_a_wrong_block_of_a_start_is_named(blocks: list[object], pointer: str, words: str) -> None:
    assert words in errors(mixed(*blocks), [[1.0, 2.0]])[pointer]


GAP = {"kind": "structural", "obs_var": 1, "level": {}, "regression": {"regressors": [[1], None, [4], [None], [5]]}}


def test_null_regressors_are_taken_where_nothing_is_observed() -> None:
    assert job(GAP, [1.0, None, 3.0, None, 2.0], [1.0, None, 3.0]).lengths == (5, 3)
    at = "/model/regression/regressors"
    assert "series 1 has an observation at 3" in errors(GAP, [1.0], [1.0, None, 1.0, 1.0])[f"{at}/3"]
    assert "to forecast" in errors(GAP, [1.0], schema=ForecastRequest, steps=1)[f"{at}/1"]
    assert job(GAP, [1.0, None, 2.0, None], schema=ForecastRequest, steps=1).steps == 1
    with pytest.raises(Problem):
        WIRE.parse_original(orjson.dumps({"results": [1.0, 2.0], "model": GAP}))


def test_nulls_of_regressors_are_no_attack() -> None:
    rows = [None if t % 2 else [t] for t in range(200_000)]
    model = {**GAP, "regression": {"regressors": rows}}
    # Of this call alone: not of other threads, nor of collecting what all tests before have left.
    gc.freeze()
    try:
        started = time.thread_time()
        assert "series 0 has an observation at 1" in next(iter(errors(model, [1.0] * 1000).values()))
        assert time.thread_time() - started < 2.0
    finally:
        gc.unfreeze()


TREND_MODEL = {"kind": "arima", "order": [1, 0, 0], "ar": [0.5], "var": 1, "trend": [0, 2]}


def test_a_trend_covers_whatever_the_call_needs() -> None:
    work = job(TREND_MODEL, [1.0] * 100, schema=ForecastRequest, steps=50)
    model = work.model.build()
    assert model.length is not None
    assert model.length >= 150
    np.testing.assert_array_equal(model.design[7], [[1, 1, 49]])
    assert job(TREND_MODEL, [1.0] * 90).model == job(TREND_MODEL, [1.0] * 100).model, "lengths share programs"
    plain = {name: value for name, value in TREND_MODEL.items() if name != "trend"}
    assert job(plain, [1.0] * 100).model.build().length is None
    assert WIRE.parse_original(orjson.dumps({"results": [1.0] * 70, "model": TREND_MODEL})).points == 70
    many = {**TREND_MODEL, "order": [60, 0, 0], "ar": [0.0] * 60}
    assert "of 62 states" in errors(many, [1.0] * 70_000)["/model/trend"]


def test_a_trend_beside_regressors_ends_with_them() -> None:
    model = {**TREND_MODEL, "regression": {"regressors": [[t] for t in range(10)]}}
    assert job(model, [1.0] * 10).model.build().length == 10
    assert "give 1 more" in errors(model, [1.0] * 11)["/model/regression/regressors"]


def test_several_elements_a_point_are_rows_with_gaps_of_their_own() -> None:
    work = WIRE.parse_series(FilterRequest, body(PAIR, [[1, None], [None, None]], [[3, 4]]))
    np.testing.assert_array_equal(work.job.values, [[1, np.nan], [np.nan, np.nan], [3, 4]])
    assert (work.job.lengths, work.points, work.units) == ((2, 1), 3, 2)


@pytest.mark.parametrize(
    ("series", "pointer", "words"),
    [
        ([1.0, 2.0], "/observations/0/0", "list of 2 numbers"),
        ([[1.0, 2.0], [1.0]], "/observations/0/1", "list of 2 numbers"),
        ([[1.0, 2.0], None], "/observations/0/1", "list of 2 numbers"),
        ([[1.0, 2.0], [1.0, "x"]], "/observations/0/1/1", "not a string"),
        ([[1.0, [2.0]]], "/observations/0/0/1", "not a list"),
        ([], "/observations/0", "at least one"),
    ],
)
def test_a_row_that_does_not_fit_is_named(series: object, pointer: str, words: str) -> None:
    assert words in errors(PAIR, series)[pointer]


def test_rows_of_several_are_refused_where_one_thing_is_observed() -> None:
    assert "not a list" in errors(TREND, [[1.0, 2.0], [2.0, 3.0]])["/observations/0/0"]


def test_a_number_beyond_float64_is_found_in_rows_and_in_matrices() -> None:
    for sent, pointer in (
        (body(PAIR, [[1.0, 77]]), "/observations/0/0/1"),
        (body({**PAIR, "transition": [[77, 0], [0, 1]]}, [[1.0, 2.0]]), "/model/transition/0/0"),
    ):
        with pytest.raises(Problem) as refusal:
            WIRE.parse_series(FilterRequest, sent.replace(b"77", b"1e400"))
        (error,) = refusal.value.extra["errors"]
        assert (error["pointer"], "finite" in error["detail"]) == (pointer, True)


def test_the_original_route_takes_models_of_one_element() -> None:
    with pytest.raises(Problem) as refusal:
        WIRE.parse_original(orjson.dumps({"results": [1.0], "model": PAIR}))
    (error,) = refusal.value.extra["errors"]
    assert error["pointer"] == "/model"
    assert "/kalman/filter" in error["detail"]
    work = WIRE.parse_original(orjson.dumps({"results": [1.0, None], "model": example("structural")}))
    assert work.grant.name == "structural"


VARYING = {
    "dt": ({"kind": "constant_velocity", "dt": [1, 2, 1], "obs_var": 1, "accel_var": 1}, 4),
    "regression/regressors": (
        {"kind": "structural", "obs_var": 1, "level": {}, "regression": {"regressors": [[1], [2], [4]]}},
        3,
    ),
    "obs_cov": (
        {"kind": "state_space", "transition": 1, "design": 1, "obs_cov": [[[1]]] * 3, "state_cov": 1},
        3,
    ),
}


@pytest.mark.parametrize("field", VARYING)
def test_a_series_beyond_the_matrices_is_told_how_many_more_are_needed(field: str) -> None:
    model, longest = VARYING[field]
    assert job(model, [1.0] * longest).lengths == (longest,)
    assert "give 2 more" in errors(model, [1.0], [1.0] * (longest + 2))[f"/model/{field}"]
    assert job(model, [1.0] * 2, schema=ForecastRequest, steps=longest - 2).steps == longest - 2
    assert "give 1 more" in errors(model, [1.0] * 2, schema=ForecastRequest, steps=longest - 1)[f"/model/{field}"]
    with pytest.raises(Problem):
        WIRE.parse_original(orjson.dumps({"results": [1.0] * (longest + 1), "model": model}))


def test_a_plan_and_a_precision_may_be_forced() -> None:
    assert (job(TREND).precision, job(TREND).algorithm) == (None, None)
    forced = job(TREND, precision="float32", algorithm="square_root")
    assert (forced.precision, forced.algorithm) == ("float32", "square_root")
    assert "/algorithm" in errors(TREND, algorithm="magic")


def test_an_answer_is_counted_by_what_is_observed_and_by_states() -> None:
    rows = [[1.0, 2.0, 3.0]] * 10
    three = {**PAIR, "design": [[1, 0], [0, 1], [1, 1]], "obs_cov": np.eye(3).tolist()}
    counted = {name: job(three, rows, outputs=[name]).numbers for name in ("forecasts", "forecast_error_cov")}
    assert counted == {"forecasts": 30, "forecast_error_cov": 90}
    assert job(three, rows, outputs=["filtered_state_cov"]).numbers == 40
    assert job(three, rows, schema=ForecastRequest, steps=5).numbers == 5 * 4 * 3
    assert {size(3, 2, 1) for size in SIZES.values()} == {0, 1, 2, 3, 4, 9}


def test_the_same_model_is_one_key_however_its_words_stand() -> None:
    turned = dict(reversed(TREND.items()))
    assert job(TREND).model == job({**turned, "obs_var": 1.0}).model
    assert job(TREND).model.build() is job(turned).model.build()
    assert job(TREND).model != job({**TREND, "obs_var": 2}).model


def test_a_models_fields_are_a_copy_that_builds_it_again() -> None:
    spec = job({**TREND, "initial": {"kind": "approximate_diffuse"}}).model
    fields = spec.fields()
    assert fields["initial"] == {"kind": "approximate_diffuse", "variance": 1e6}
    fields["obs_var"] = 7.0
    assert spec.fields()["obs_var"] == 1.0
    assert ModelSpec.of(spec.kind, spec.fields()) == spec


def test_regressors_of_thousands_of_rows_travel_as_their_json() -> None:
    rows = np.random.default_rng(0).normal(size=(5_000, 3)).round(6).tolist()
    model = {"kind": "structural", "obs_var": 1, "level": {"var": 1}, "regression": {"regressors": rows}}
    spec = job(model, [1.0] * 5_000).model
    assert len(spec.json) < 1.1 * len(orjson.dumps(rows)) + 200
    assert spec.build().design.shape == (5_000, 1, 4)


@pytest.mark.parametrize("unit", [b"[],", b"[[1]],", b"[ ],", b"[1,2],", b"[[1,0],[0,1]],"])
def test_ten_megabytes_of_lists_are_refused_before_they_cost_seconds(unit: bytes) -> None:
    """Whatever they are, the event loop of all callers is not held longer than by as many numbers, about."""
    sent = b'{"model":{"kind":"local_level"},"observations":[[' + unit * (10_000_000 // len(unit)) + b"1]]}"
    started = time.process_time()
    with pytest.raises(Problem) as refusal:
        WIRE.parse_series(FilterRequest, sent)
    assert refusal.value.status == 422
    assert time.process_time() - started < 2.0


def test_bodies_of_many_rows_and_matrices_are_no_attack() -> None:
    rows = [[1, 2]] * 200_000
    assert len(job(PAIR, rows, outputs=["loglike"]).values) == 200_000
    moving = {**PAIR, "transition": [[[1, 0], [0, 1]]] * 50_000}
    assert job(moving, rows[:50_000], outputs=["loglike"]).model.build().length == 50_000


def test_a_million_wrong_elements_are_one_error() -> None:
    found = errors({**PAIR, "transition": [[["x", 0], [0, 1]]] * 100_000}, [[1, 2]])
    assert list(found) == ["/model/transition"]


def test_openapi_shows_every_kind_with_its_example() -> None:
    schemas = KalmanRequest.model_json_schema()["$defs"]
    shown = {schema["examples"][0]["kind"] for schema in schemas.values() if "examples" in schema}
    assert shown == set(KINDS)
