"""Checks of bars."""

import numpy as np
import pytest
from tests.engines.indicators.histories import days, random_bars

from luna_serving.engines.indicators.bars import Bars, BarsInvalid


def test_bars_are_cut_as_views() -> None:
    bars = random_bars(10, 23)
    part = bars[2:5]
    assert len(part) == 3
    assert np.shares_memory(part.close, bars.close)
    assert Bars(days(3), close=np.ones(3))[1:].open is None


@pytest.mark.parametrize(
    ("times", "close", "column", "row"),
    [
        ([0, 2, 2], [1, 1, 1], "timestamps", 2),
        ([0, 2, 1], [1, 1, 1], "timestamps", 2),
        ([0, "NaT", 2], [1, 1, 1], "timestamps", 1),
        (["NaT"], [1], "timestamps", 0),
        ([0, 1, 2], [1, np.inf, 1], "close", 1),
        ([0, 1, 2], [1, 1], "close", None),
    ],
)
def test_what_is_wrong_is_named(times: list[int], close: list[float], column: str, row: int | None) -> None:
    with pytest.raises(BarsInvalid) as refused:
        Bars(np.array(times, dtype="datetime64[us]"), close=np.array(close, dtype=float))
    assert (refused.value.column, refused.value.row) == (column, row)


def test_columns_are_float64() -> None:
    with pytest.raises(BarsInvalid, match="float64"):
        Bars(days(2), close=np.array([1, 2]))
    with pytest.raises(BarsInvalid, match="datetime64"):
        Bars(np.array([1, 2]), close=np.ones(2))
