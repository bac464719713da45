"""The port by which prices are found: a capability that stores prices provides the source, others ask it.

Neither imports the other. A source tells where bars are; `luna_serving.prices.mapped` reads them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Located
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError


class Locating(Protocol):
    """Tells where the bars of symbols are."""

    async def locate(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None = None
    ) -> Mapping[str, Located]:
        """As `PriceSource.locate`."""


async def near(
    source: Locating, account_id: int, missing: Sequence[str], interval: Interval, as_of: datetime | None
) -> Mapping[str, str]:
    """For symbols that the account does not see, those in upper case that it sees: symbols are case-sensitive.

    Raises:
        Problem: 503.
    """
    upper = {symbol: symbol.upper() for symbol in missing if symbol.upper() != symbol}
    if not upper:
        return {}
    found = await source.locate(account_id, sorted(set(upper.values())), interval, as_of)
    return {symbol: other for symbol, other in upper.items() if other in found}


@dataclass(frozen=True, slots=True)
class BarsReference:
    """Which bars of which data set."""

    dataset: str
    """An id, `name@version`, or a name."""
    symbols: tuple[str, ...] | None = None
    """None: all."""
    interval: Interval | None = None
    """None: that of the set."""


class PriceSource(Protocol):
    """Tells where bars are."""

    async def locate(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None = None
    ) -> Mapping[str, Located]:
        """Where the bars of some symbols are, by symbol; a symbol that the account does not see is absent.

        An account's own markets come before the server's, and of its own the newest. No grant is checked.

        Args:
            account_id: whose markets are asked, beside the server's own.
            symbols: as they are written in the market.
            interval: of the bars.
            as_of: use the versions that were current then; None: now.

        Raises:
            Problem: 503, no store answers.
        """

    async def locate_dataset(self, account_id: int, reference: BarsReference, at: str) -> Sequence[Located]:
        """Where the bars of a data set of type `ohlcv` are, in the order of the reference, or by symbol.

        Args:
            account_id: whose set.
            reference: which.
            at: JSON pointer of the reference in the body.

        Raises:
            Problem: 422, the account has no such set, or the set no such bars; 503.
        """


class PriceSources:
    """The source of an ingress replica, once a capability has provided it."""

    def __init__(self) -> None:
        self._source: PriceSource | None = None

    def provide(self, source: PriceSource) -> None:
        """Ask this source from now on."""
        self._source = source

    async def locate(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None = None
    ) -> Mapping[str, Located]:
        """As `PriceSource.locate`; nothing is found where no capability keeps prices."""
        if self._source is None:
            return {}
        return await self._source.locate(account_id, symbols, interval, as_of)

    async def locate_dataset(self, account_id: int, reference: BarsReference, at: str) -> Sequence[Located]:
        """As `PriceSource.locate_dataset`; 422 where no capability keeps prices."""
        if self._source is None:
            raise problems.invalid(FieldError(f"{at}/dataset", "No prices are kept here: send the bars."))
        return await self._source.locate_dataset(account_id, reference, at)
