"""docs/models.md: its examples are taken, and it leaves out no kind, field, component or start."""

import re
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest

from luna_serving.capabilities.kalman.jobs.output_sizes import FILTERED, SIZES, SMOOTHED
from luna_serving.capabilities.kalman.wire.kind_schemas import MODELS
from luna_serving.capabilities.kalman.wire.outputs import MEANINGS
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import FilterRequest
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.start_schemas import STARTS
from luna_serving.capabilities.kalman.wire.structural_schemas import (
    Autoregression,
    Cycle,
    FreqSeasonal,
    Level,
    Regression,
    Seasonal,
    Trend,
)
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.engines.statespace.results.series import Algorithm

PAGE = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
WIRE = Wire(SeriesLimits(max_series_length=1000, max_series_per_request=10, max_answer_numbers=100_000))


def job(example: str) -> Any:
    work = WIRE.parse_series(FilterRequest, example.encode())
    assert isinstance(work, KalmanWork)
    return work.job


def test_there_is_an_example_of_every_kind() -> None:
    assert {orjson.loads(example)["model"]["kind"] for example in EXAMPLES} == set(MODELS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_body_that_becomes_a_job(example: str) -> None:
    one = job(example)
    model = one.model.build()
    assert one.lengths == (len(one.values),), "one series each"
    assert one.values.shape == ((len(one.values),) if model.observed == 1 else (len(one.values), model.observed))
    assert one.numbers > 0


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_of_a_kind_is_told(kind: str) -> None:
    section = next(part for part in PAGE.split("\n## ") if kind in part.splitlines()[0])
    fields = set(MODELS[kind].model_fields) - {"kind", "initial"}
    assert {field for field in fields if f"`{field}`" not in section} == set()


def test_every_field_of_a_component_is_told_in_its_row() -> None:
    components = {
        "level": Level,
        "trend": Trend,
        "seasonal": Seasonal,
        "freq_seasonal": FreqSeasonal,
        "cycle": Cycle,
        "ar": Autoregression,
        "regression": Regression,
    }
    for name, schema in components.items():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
        assert all(f"`{field}`" in row for field in schema.model_fields), name


def test_every_start_is_told_with_its_fields() -> None:
    for kind, schema in STARTS.items():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f'| `{{"kind": "{kind}"')]
        assert all(f'"{field}"' in row for field in schema.model_fields), kind


def test_every_output_and_every_plan_is_told() -> None:
    section = PAGE.split("\n## Outputs")[1]
    assert {name for name in SIZES if f"`{name}`" not in section} == set()
    assert {name for name in get_args(Algorithm) if f"`{name}`" not in section} == set()


def test_every_output_is_told_in_the_schema() -> None:
    assert set(MEANINGS) == {*FILTERED, *SMOOTHED}


def test_the_states_are_named_as_the_page_says() -> None:
    for example in EXAMPLES:
        for name in job(example).model.build().state_names:
            # "seasonal.L2" is told as "seasonal.L1, ...".
            stem = re.split(r"\.(?:L?|x)\d", name)[0]
            assert f"`{stem}" in PAGE
