"""Where the prices of instruments are, remembered for a moment: a call of the hot route then asks no store for them."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Located
from luna_serving.prices.sources import PriceSources

# Entries in memory, about 1 kB each.
MOST: Final = 4096


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
        self._kept: OrderedDict[tuple[int, str, Interval], tuple[Located, float]] = OrderedDict()

    def at_hand(self, account_id: int, symbol: str, interval: Interval) -> Located | None:
        """Where an instrument's current prices are, if it was asked a moment ago."""
        kept = self._kept.get((account_id, symbol, interval))
        return kept[0] if kept is not None and self._clock() < kept[1] else None

    async def find(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None
    ) -> Mapping[str, Located]:
        """Where the prices of some symbols are, all of one moment; a symbol that the account does not see is absent.

        Raises:
            Problem: 503.
        """
        found = await self._prices.locate(account_id, symbols, interval, as_of)
        if mixed(found.values()):
            # A version became current while some were remembered: ask for all of one moment.
            found = await self._prices.locate(account_id, symbols, interval, as_of or datetime.now(UTC))
        if as_of is None:
            until = self._clock() + self._keep_s
            for symbol, located in found.items():
                key = (account_id, symbol, interval)
                self._kept[key] = located, until
                self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return found


def mixed(located: Iterable[Located]) -> bool:
    """Whether instruments of one market are of several of its versions."""
    versions: dict[str, int] = {}
    return any(versions.setdefault(each.market, each.data_version) != each.data_version for each in located)
