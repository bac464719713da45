"""Claims about readiness: what a report recommends, the Kalman capability accepts."""

import pytest

from luna_serving.capabilities.datasets.validation.contract import SetType
from luna_serving.capabilities.datasets.validation.readiness import readiness
from luna_serving.capabilities.kalman.wire.kind_schemas import MODELS

SUMMARY = {"shortest": 500, "longest": 500, "frequency": "M", "series": 3}
KINDS = {"local_level", "local_linear_trend", "structural", "arima", "constant_velocity"}


def rows(**changes):
    return {row["use"]: row for row in readiness(SetType.SERIES, {**SUMMARY, **changes})}


def test_the_kinds_are_those_of_the_wire():
    named = {row["parameters"]["kind"] for row in rows().values()}
    assert named == KINDS
    assert named <= set(MODELS)


def test_long_monthly_series_are_ready_for_seasons_of_twelve():
    ready = rows()
    assert all(row["ready"] for row in ready.values())
    assert ready["seasonal"]["parameters"] == {"kind": "structural", "level": {}, "seasonal": {"period": 12}}
    assert ready["arima"]["parameters"]["seasonal_order"] == [0, 1, 1, 12]


@pytest.mark.parametrize(
    ("frequency", "period"), [("h", 24), ("15min", 96), ("D", 7), ("B", 5), ("W", 52), ("Q", 4), ("min", 60)]
)
def test_seasons_follow_the_frequency(frequency, period):
    assert rows(frequency=frequency)["seasonal"]["parameters"]["seasonal"]["period"] == period


def test_short_or_irregular_series_are_not_ready_and_the_row_says_why():
    short = rows(shortest=15)
    assert [use for use, row in short.items() if row["ready"]] == ["local_level", "constant_velocity"]
    assert all("15" in row["why"] for row in short.values() if not row["ready"])
    irregular = rows(frequency=None)
    assert not irregular["seasonal"]["ready"]
    assert not irregular["arima"]["ready"]
    assert irregular["constant_velocity"]["parameters"]["dt"] == "steps"
