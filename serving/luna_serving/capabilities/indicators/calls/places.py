"""Where the prices of instruments are, remembered for a moment: a call of the hot route then asks no store for them."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Located
from luna_serving.prices.sources import PriceSources, near
from luna_serving.wire.problems import Problem

log = logging.getLogger("luna.indicators")

# Entries in memory, about 1 kB each.
MOST: Final = 4096
AHEAD: Final = 0.5
"""Share of the time that an entry is kept after which a call has it looked up again. An instrument that is asked for
all the time never expires: each time, every call under way would wait for Postgres."""
Key = tuple[int, str, Interval]


class Places:
    """For one event loop."""

    def __init__(self, prices: PriceSources, *, keep_s: float, clock: Callable[[], float]) -> None:
        """Wire it.

        Args:
            prices: tells where they are.
            keep_s: seconds for which an answer is remembered.
            clock: monotonic seconds.
        """
        self._prices = prices
        self._keep_s = keep_s
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[Located, float]] = OrderedDict()
        self._again: dict[Key, asyncio.Task[None]] = {}

    def at_hand(self, account_id: int, symbol: str, interval: Interval) -> Located | None:
        """Where an instrument's current prices are, if it was asked a moment ago."""
        key = (account_id, symbol, interval)
        kept = self._kept.get(key)
        if kept is None:
            return None
        left = kept[1] - self._clock()
        if left <= 0:
            return None
        if left < AHEAD * self._keep_s and key not in self._again:
            task = self._again[key] = asyncio.create_task(self._look_again(*key), name="indicators: look up again")
            task.add_done_callback(lambda _: self._again.pop(key, None))
        return kept[0]

    async def find(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None
    ) -> Mapping[str, Located]:
        """Where the prices of some symbols are, all of one moment; a symbol that the account does not see is absent.

        Raises:
            Problem: 503.
        """
        until = self._clock() + self._keep_s
        found = await self._prices.locate(account_id, symbols, interval, as_of)
        if mixed(found.values()):
            # A version became current while some were remembered: ask for all of one moment.
            found = await self._prices.locate(account_id, symbols, interval, as_of or datetime.now(UTC))
        if as_of is None:
            for symbol, located in found.items():
                key = (account_id, symbol, interval)
                self._kept[key] = located, until
                self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return found

    async def near(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None
    ) -> Mapping[str, str]:
        """For symbols that were not found, those in upper case that the account sees.

        Raises:
            Problem: 503.
        """
        return await near(self._prices, account_id, symbols, interval, as_of)

    async def _look_again(self, account_id: int, symbol: str, interval: Interval) -> None:
        try:
            await self.find(account_id, [symbol], interval, None)
        except Problem as problem:
            # The call that finds it expired answers this.
            log.debug("not looked up again: %s", problem.detail)


def mixed(located: Iterable[Located]) -> bool:
    """Whether instruments of one market are of several of its versions."""
    versions: dict[str, int] = {}
    return any(versions.setdefault(each.market, each.data_version) != each.data_version for each in located)
