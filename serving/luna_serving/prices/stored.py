"""The markets in Postgres: implements `luna_serving.prices.sources.PriceSource`."""

import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.prices.intervals import Interval, closed
from luna_serving.prices.located import (
    SERVER,
    ActionKind,
    CorporateAction,
    DatasetOrigin,
    Instrument,
    Located,
    MarketFile,
)
from luna_serving.prices.sources import BarsReference
from luna_serving.wire import problems
from luna_serving.wire.pointers import cut
from luna_serving.wire.problems import FieldError
from luna_store.prices import reading
from luna_store.prices.reading import Seen

# Series that a reference to a whole data set may mean.
MOST_SERIES: Final = 100_000
_SHOWN: Final = 64
# What fits into the column.
_VERSION: Final = re.compile("[0-9]{1,9}")


class StoredPrices:
    """Locates bars by the rows of markets.

    What was located is kept for a moment: a call that repeats asks no database, and a new version is seen by every
    process within this time.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        fresh_s: float = 1.0,
        most: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read rows when they are needed.

        Args:
            engine: where they are.
            fresh_s: how long something located is used again.
            most: located series that are kept.
            clock: seconds.
        """
        self._engine = engine
        self._fresh_s = fresh_s
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[tuple[int, str, Interval], tuple[float, Located]] = OrderedDict()

    async def locate(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None = None
    ) -> Mapping[str, Located]:
        """As `PriceSource.locate`."""
        wanted = dict.fromkeys(symbols)
        if as_of is not None:
            return await self._asked(account_id, list(wanted), interval, as_of)
        until = self._clock() - self._fresh_s
        found: dict[str, Located] = {}
        for symbol in wanted:
            kept = self._kept.get((account_id, symbol, interval))
            if kept is not None and kept[0] > until:
                found[symbol] = kept[1]
        if missing := [symbol for symbol in wanted if symbol not in found]:
            began = self._clock()
            for symbol, located in (await self._asked(account_id, missing, interval, None)).items():
                found[symbol] = located
                self._kept[account_id, symbol, interval] = (began, located)
                self._kept.move_to_end((account_id, symbol, interval))
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

    async def locate_dataset(self, account_id: int, reference: BarsReference, at: str) -> Sequence[Located]:
        """As `PriceSource.locate_dataset`."""
        found = await answered(self._dataset(account_id, reference.dataset))
        if found is None:
            wrong = f"{cut(reference.dataset, _SHOWN)!r} is no valid data set of type ohlcv: GET /datasets lists them."
            raise problems.invalid(FieldError(f"{at}/dataset", wrong))
        called = f"{found.name}@{found.version}"
        rows = await answered(
            reading.locate_in(self._engine, found.id, reference.symbols, reference.interval, MOST_SERIES)
        )
        located = [located_of(row) for row in rows]
        if reference.symbols is None:
            if not located:
                kind = "bars" if reference.interval is None else f"{reference.interval} bars"
                raise problems.invalid(FieldError(f"{at}/dataset", f"{called} has no {kind}."))
            return located
        by_symbol = {each.symbol: each for each in reversed(located)}
        for i, symbol in enumerate(reference.symbols):
            if symbol not in by_symbol:
                wrong = f"{called} has no bars of {cut(symbol, _SHOWN)!r}."
                raise problems.invalid(FieldError(f"{at}/symbols/{i}", wrong))
        return [by_symbol[symbol] for symbol in reference.symbols]

    def forget(self) -> None:
        """Ask again for everything: what was located may be of versions that are gone."""
        self._kept.clear()

    async def _dataset(self, account_id: int, reference: str) -> Any | None:  # noqa: ANN401  a Row
        name, _, version = reference.partition("@")
        number = int(version) if _VERSION.fullmatch(version) else None
        if version and number is None:
            return None
        try:
            dataset_id = uuid.UUID(reference)
        except ValueError:
            dataset_id = None
        return await reading.find_dataset(
            self._engine, account_id, dataset_id=dataset_id, name=name.replace("\0", ""), version=number
        )

    async def _asked(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None
    ) -> dict[str, Located]:
        rows = await answered(reading.locate(self._engine, Seen(account_id, as_of), symbols, interval.value))
        return {row.symbol: located_of(row) for row in rows}


async def answered(question: Awaitable[Any]) -> Any:  # noqa: ANN401  of any type
    """The answer of the database.

    Raises:
        Problem: 503.
    """
    try:
        return await question
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise problems.dependencies_gone("The store of markets") from error


def located_of(row: Any, now: datetime | None = None) -> Located:  # noqa: ANN401  a Row
    """A row of `luna_store.prices.reading.locate` as a value."""
    interval = Interval(row.interval)
    own = row.account_id is not None
    return Located(
        market=market_name(row),
        data_version=row.version,
        symbol=row.symbol,
        interval=interval,
        file=MarketFile(row.arrow_key, row.file_digest, row.file_bytes),
        start=row.first_row,
        bars=row.bars,
        first=row.first_at,
        last=row.last_at,
        market_last=row.market_last,
        last_bar_closed=closed(interval, row.last_at, now),
        published=row.published_at,
        actions=actions_of(row.actions),
        dataset=DatasetOrigin(row.market, row.version, row.dataset_digest) if own else None,
    )


def instrument_of(row: Any) -> Instrument:  # noqa: ANN401
    """A row of `luna_store.prices.reading.page` or `one` as a value."""
    order = list(Interval)
    return Instrument(
        market=market_name(row),
        data_version=row.version,
        symbol=row.symbol,
        name=row.name,
        exchange=row.exchange,
        currency=row.currency,
        type=row.type,
        intervals=tuple(sorted(map(Interval, row.intervals), key=order.index)),
        first=row.first_at,
        last=row.last_at,
        bars=row.bars,
        actions=actions_of(row.actions),
    )


def actions_of(stored: Sequence[Sequence[Any]]) -> tuple[CorporateAction, ...]:
    """Corporate actions, as the rows have them."""
    return tuple(CorporateAction(date.fromisoformat(day), ActionKind(kind), value) for day, kind, value in stored)


def market_name(row: Any) -> str:  # noqa: ANN401
    """The name of a market for the keys of caches."""
    return SERVER if row.account_id is None else f"{row.account_id}.{row.market}"
