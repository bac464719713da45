"""Where prices are, remembered for a moment: instruments that are asked for all the time are never waited for."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tests.capabilities.indicators.market import Market, walk

from luna_serving.capabilities.indicators.calls.places import Places
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Located
from luna_serving.prices.sources import PriceSources
from luna_serving.wire import problems

KEEP_S = 0.5


class Clocked:
    """A source that counts, and may be down. Implements `PriceSource` over a market."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.asked = 0
        self.now = 0.0
        self.down = False
        self.slow: asyncio.Event | None = None
        prices = PriceSources()
        prices.provide(self)  # type: ignore[arg-type]  # no data sets
        self.places = Places(prices, keep_s=KEEP_S, clock=lambda: self.now)

    async def locate(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None = None
    ) -> Mapping[str, Located]:
        self.asked += 1
        if self.slow is not None:
            await self.slow.wait()
        if self.down:
            raise problems.dependencies_gone("Postgres")
        return await self.market.locate(account_id, symbols, interval, as_of)

    def version(self) -> int | None:
        found = self.places.at_hand(1, "AAPL", Interval.DAY)
        return None if found is None else found.data_version


async def clocked(tmp_path: Path) -> Clocked:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1)})
    source = Clocked(market)
    await source.places.find(1, ["AAPL"], Interval.DAY, None)
    return source


async def test_one_call_of_many_has_it_looked_up_again_and_none_waits(tmp_path: Path) -> None:
    source = await clocked(tmp_path)
    source.market.put({"AAPL": walk(2)})
    for _ in range(40):
        source.now += 0.1
        assert source.version() is not None
        assert source.version() is not None
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert source.version() == 2
    assert source.asked <= 1 + 4.0 / (KEEP_S / 2) + 1, "once per half of the time that it is kept"


async def test_a_version_is_served_no_longer_than_it_is_kept(tmp_path: Path) -> None:
    source = await clocked(tmp_path)
    source.market.put({"AAPL": walk(2)})
    source.slow = asyncio.Event()
    source.now = KEEP_S - 0.01
    assert source.version() == 1
    await asyncio.sleep(0)
    source.now = KEEP_S
    assert source.version() is None, "although it is being looked up"
    source.slow.set()
    await asyncio.sleep(0.01)
    assert source.version() == 2


async def test_an_answer_counts_from_when_it_was_asked_for(tmp_path: Path) -> None:
    source = await clocked(tmp_path)
    source.slow = asyncio.Event()
    looking = asyncio.create_task(source.places.find(1, ["AAPL"], Interval.DAY, None))
    await asyncio.sleep(0)
    source.now = 2 * KEEP_S
    source.slow.set()
    await looking
    assert source.version() is None


async def test_a_store_that_is_down_leaves_what_is_known(tmp_path: Path) -> None:
    source = await clocked(tmp_path)
    source.down = True
    source.now = KEEP_S - 0.01
    assert source.version() == 1
    await asyncio.sleep(0.01)
    assert source.version() == 1
    source.down = False
    assert source.version() == 1
    await asyncio.sleep(0.01)
    source.now = KEEP_S + 0.1
    assert source.version() == 1
