"""Returns by name: of data sets and of symbols, as simple returns, with their origin; refused where they are none."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from luna_serving.capabilities.montecarlo.wire.prices import Closes
from luna_serving.capabilities.montecarlo.wire.requests import parse
from luna_serving.capabilities.montecarlo.wire.returns import Returns, names_returns
from luna_serving.dispatch.series import FoundSeries, Origin, SeriesSources
from luna_serving.engines.indicators.bars import Bars
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import SERVER, Located, MarketFile
from luna_serving.prices.sources import PriceSources
from luna_serving.wire.problems import Problem

DAYS = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]").astype("datetime64[us]")
CLOSES = {"AAA": np.linspace(100.0, 109.0, 10), "BBB": np.linspace(50.0, 41.0, 10)}
PORTFOLIO = {"kind": "portfolio", "weights": [0.5, 0.5], "horizon": 3}


def located(symbol: str) -> Located:
    first, last = (day.astype(datetime).replace(tzinfo=UTC) for day in (DAYS[0], DAYS[-1]))
    file = MarketFile("key", "0" * 64, 1)
    return Located(SERVER, 3, symbol, Interval.DAY, file, 0, 10, first, last, last, True, last, ())


class Source:
    async def locate(self, account_id: int, symbols: Any, interval: Interval, as_of: Any = None) -> dict[str, Located]:
        assert interval is Interval.DAY
        return {symbol: located(symbol) for symbol in symbols if symbol in CLOSES}


class Markets:
    async def bars(self, where: Located, adjust: Any) -> Bars:
        # BBB has no bar on its third day.
        kept = np.arange(10) != 2 if where.symbol == "BBB" else np.ones(10, dtype=bool)
        return Bars(DAYS[kept], close=CLOSES[where.symbol][kept])


@dataclass
class Account:
    allowed: dict[str, list[str]]
    limits: dict[str, int]


class Series:
    def __init__(self, *values: np.ndarray) -> None:
        self.values = values

    async def find(self, account_id: int, reference: Any, bounds: Any, at: str) -> FoundSeries:
        assert at == "/model", "errors stand at its member `dataset`"
        return FoundSeries(Origin("desk", 2, "d"), [f"s{i}" for i in range(len(self.values))], self.values)


def returns(*values: np.ndarray, market: str = "*", **limits: int) -> Returns:
    sources, series = PriceSources(), SeriesSources()
    sources.provide(Source())  # type: ignore[arg-type]
    series.provide(Series(*values))

    class Accounts:
        async def get(self, account_id: int) -> Account:
            return Account({"*": ["*"], "market": [market]}, limits)

    return Returns(series, Closes(sources, Markets(), Accounts()))  # type: ignore[arg-type]


def body(**model: Any) -> dict[str, Any]:
    return {"model": {"kind": "bootstrap", **model}, "payoff": PORTFOLIO, "paths": 1, "seed": 1}


async def test_symbols_are_returns_on_the_days_that_all_have() -> None:
    document = body(symbols=["AAA", "BBB"])
    assert names_returns(document)
    filled = await returns().filled(1, document)
    found = np.array(filled["model"]["returns"])
    assert found.shape == (8, 2)
    assert found[1] == pytest.approx([103 / 101 - 1, 47 / 49 - 1])
    assert filled["origin"] == {"symbols": {"AAA": "server@3", "BBB": "server@3"}, "periods": 9}
    assert parse(filled).origin == filled["origin"]


async def test_symbols_show_no_more_than_the_account_may_see() -> None:
    filled = await returns(history_days=4).filled(1, body(symbols=["AAA"]))
    assert len(filled["model"]["returns"]) == 3
    with pytest.raises(Problem) as refused:
        await returns(market="none").filled(1, body(symbols=["AAA"]))
    assert refused.value.status == 403


async def test_a_data_set_has_returns_or_prices() -> None:
    prices = np.array([[1.0, 2.0], [1.1, np.nan], [1.21, 2.2], [1.21, 1.1]])
    filled = await returns(prices).filled(1, body(dataset="desk", values="prices"))
    assert np.array(filled["model"]["returns"]) == pytest.approx(np.array([[0.21, 0.1], [0.0, -0.5]]))
    assert set(filled["model"]) == {"kind", "returns"}
    two = await returns(np.array([0.1, 0.2]), np.array([0.0, -0.1])).filled(1, body(dataset="desk"))
    assert two["model"]["returns"] == [[0.1, 0.0], [0.2, -0.1]]
    assert two["origin"]["dataset"]["name"] == "desk"


@pytest.mark.parametrize(
    ("model", "pointer"),
    [
        ({"symbols": ["AAA", "ZZZ"]}, "/model/symbols/1"),
        ({"symbols": ["AAA"], "returns": [0.1, 0.2]}, "/model/symbols"),
        ({"symbols": ["AAA"], "dataset": "desk"}, "/model/symbols"),
        ({"dataset": "desk"}, "/model/dataset"),
        ({"dataset": "desk", "wrong": 1}, "/model/wrong"),
    ],
    ids=["unknown symbol", "symbols and returns", "symbols and a set", "prices as returns", "unknown member"],
)
async def test_what_is_wrong_is_refused(model: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Problem) as refused:
        await returns(np.array([100.0, -101.0, 99.0])).filled(1, body(**model))
    assert refused.value.status == 422
    assert refused.value.extra["errors"][0]["pointer"] == pointer
