"""Returns of data sets and prices of symbols are filled into bodies that name them."""

from typing import Any

import numpy as np
import orjson
import pytest
from tests.capabilities.markowitz.asking import SETTINGS
from tests.engines.finance.markowitz.examples import random_returns

from luna_serving.capabilities.markowitz.wire.sources import Sources
from luna_serving.capabilities.markowitz.wire.work import MarkowitzWork
from luna_serving.dispatch.series import FoundSeries, Origin, SeriesBounds, SeriesReference, SeriesSources
from luna_serving.dispatch.work import Unresolved
from luna_serving.prices.sources import PriceSources
from luna_serving.settings import PlatformSettings
from luna_serving.wire.problems import Problem
from luna_serving.wire.sent import Sent

RETURNS = random_returns(3, 1, 20)
ORIGIN = Origin("funds", 2, "ab")


class Stored:
    def __init__(self, values: list[np.ndarray]) -> None:
        self.values = values
        self.asked: list[tuple[SeriesReference, str]] = []

    async def find(self, _: int, reference: SeriesReference, __: SeriesBounds, at: str) -> FoundSeries:
        self.asked.append((reference, at))
        return FoundSeries(ORIGIN, [f"s{i}" for i in range(len(self.values))], self.values)


def sources(stored: Stored | None) -> Sources:
    series = SeriesSources()
    if stored is not None:
        series.provide(stored)
    return Sources(series, PriceSources(), None, PlatformSettings(), SETTINGS)


async def parsed(stored: Stored | None, **body: Any) -> MarkowitzWork:
    found = sources(stored).parse(Sent(orjson.dumps({"objective": "min_variance", **body})))
    assert isinstance(found, Unresolved)
    assert found.at_hand(1) is None
    work = await found.look_up(1)
    assert isinstance(work, MarkowitzWork)
    return work


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"dataset": "funds"}, ""), ({"returns": {"dataset": "funds", "columns": "r"}}, "/returns")],
    ids=["by name", "by reference"],
)
async def test_a_data_set_of_returns(body: dict[str, Any], pointer: str) -> None:
    stored = Stored(list(RETURNS.T))
    work = await parsed(stored, **body)
    assert work.job.returns == pytest.approx(RETURNS)
    assert work.job.names == ("s0", "s1", "s2")
    assert stored.asked[0][1] == pointer
    assert orjson.loads(work.finish(b'{"weights":[]}'))["dataset"]["name"] == "funds"
    plan = work.as_job()
    assert plan.manifest == {"dataset": ORIGIN.as_dict()}
    # The parameters are complete: they run again without the data set.
    assert len(orjson.loads(plan.parameters)["returns"]) == 20


async def test_periods_in_which_a_value_is_missing_are_left_out() -> None:
    wide = RETURNS.copy()
    wide[4, 1] = np.nan
    work = await parsed(Stored([wide]), returns={"dataset": "funds"})
    assert work.job.periods == 19
    assert work.job.names == ("s0/0", "s0/1", "s0/2")


async def test_series_of_different_lengths_are_refused() -> None:
    with pytest.raises(Problem) as refused:
        await parsed(Stored([RETURNS[:, 0], RETURNS[:9, 1]]), dataset="funds")
    assert refused.value.extra["errors"][0]["pointer"] == "/dataset"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"symbols": ["AAPL", "MSFT"]}, "/symbols/0"), ({"prices": {"symbols": ["AAPL"]}}, "/prices/symbols/0")],
    ids=["by name", "by reference"],
)
async def test_symbols_without_a_market_are_refused(body: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Problem) as refused:
        await parsed(None, **body)
    assert refused.value.extra["errors"][0]["pointer"] == pointer


async def test_a_wrong_reference_is_refused_at_its_place() -> None:
    with pytest.raises(Problem) as refused:
        sources(None).parse(Sent(orjson.dumps({"objective": "hrp", "prices": {"symbols": ["A"], "interval": "1s"}})))
    assert refused.value.extra["errors"][0]["pointer"] == "/prices/interval"
