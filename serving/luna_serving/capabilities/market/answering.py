"""Answers a checked request for prices: locates, charges, reads, cuts, writes."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.access.charges import Charges
from luna_serving.access.credentials import Credential
from luna_serving.access.denials import Charge
from luna_serving.capabilities.market.etags import etag_of, matches
from luna_serving.capabilities.market.grants import refusal
from luna_serving.capabilities.market.metrics import MarketMetrics
from luna_serving.capabilities.market.settings import MarketSettings
from luna_serving.capabilities.market.wire.prices import Missed, Prices, Shown, written
from luna_serving.capabilities.market.wire.request import PAGES, Direction, PricesRequest
from luna_serving.prices.located import Located
from luna_serving.prices.mapped import BarsUnavailable, MappedMarkets, VersionGone
from luna_serving.prices.sources import near
from luna_serving.prices.stored import StoredPrices
from luna_serving.wire import problems
from luna_store.quota.debits import Debit, Standing

ROUTE: Final = "prices"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    account_id: int
    credential: Credential
    standing: Standing


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer; without a body the caller has it."""

    standing: Standing
    etag: str
    body: bytes | None = None
    missed: Sequence[Missed] = ()
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class PricesService:
    """Answers `GET /prices`."""

    stored: StoredPrices
    markets: MappedMarkets
    charges: Charges
    metrics: MarketMetrics
    settings: MarketSettings

    async def answer(self, caller: Caller, request: PricesRequest, form: str, if_none_match: str | None) -> Answered:
        """Answer a request. Each symbol that is answered costs a unit, also where the caller has the answer.

        Raises:
            Problem: 403, 404 if no symbol can be answered; 503. Nothing is charged.
            Denied: 429 and others, of the charge. Nothing is charged.
        """
        located = await self.stored.locate(caller.account_id, request.symbols, request.interval, request.as_of)
        good, missed = await self._permitted(caller, request, located)
        if not good:
            raise missed[0].problem
        debit = _debit(caller, len(good))
        charge = Charge(caller.credential, debit)
        days = caller.standing.limits.get("history_days")
        etag = etag_of(request, form, days, good, missed)
        try:
            standing = await self.charges.take(charge)
        except asyncio.CancelledError:
            # The call's deadline passed while a store decided: whether it took the units is not known.
            self.charges.void_later(debit)
            raise
        try:
            if if_none_match is not None and matches(if_none_match, etag):
                answered = Answered(standing, etag)
            else:
                prices = await self._read(request, good, missed, days)
                body = await asyncio.to_thread(written, prices, form)
                answered = Answered(standing, etag, body, missed, prices.next_cursor)
        except VersionGone as error:
            # Pruned between the two steps: what was located is of no use any more.
            self.stored.forget()
            self.charges.refund_later(debit)
            raise problems.dependencies_gone("The version of the market") from error
        except BarsUnavailable as error:
            self.charges.refund_later(debit)
            raise problems.dependencies_gone("The object store") from error
        except BaseException:
            self.charges.refund_later(debit)
            raise
        self.charges.served(debit)
        self.metrics.answered(form, len(good))
        return answered

    async def _permitted(
        self, caller: Caller, request: PricesRequest, located: Mapping[str, Located]
    ) -> tuple[list[Located], list[Missed]]:
        """What was located and may be read, in the order of the request, and why the rest is not answered."""
        good: list[Located] = []
        missed: list[Missed] = []
        refused = None
        if any(not each.own for each in located.values()):
            refused = await refusal(self.charges, caller.account_id, caller.credential, ROUTE)
        unknown = [symbol for symbol in request.symbols if symbol not in located]
        meant = await near(self.stored, caller.account_id, unknown, request.interval, request.as_of)
        for symbol in request.symbols:
            each = located.get(symbol)
            if each is None:
                missed.append(Missed(symbol, problems.not_found(_unknown(symbol, request, meant.get(symbol)))))
            elif refused is not None and not each.own:
                missed.append(Missed(symbol, refused))
            else:
                good.append(each)
        return good, missed

    async def _read(
        self, request: PricesRequest, good: Sequence[Located], missed: Sequence[Missed], days: int | None
    ) -> Prices:
        most = max(1, self.settings.max_bars // len(good))
        limit = most if request.limit is None else min(most, request.limit)
        shown: list[Shown] = []
        more = False
        for each in good:
            bars = await self.markets.bars(each, request.adjust)
            page, rest = cut(bars.timestamps, request, each.hidden_until(days), limit)
            shown.append(Shown.of(each, bars[page], newest_first=request.order is Direction.DESC))
            more = more or rest
        cursor = None
        if more:
            pinned = request.as_of or max(each.published for each in good)
            cursor = PAGES.write((pinned, request.offset + limit))
        return Prices(request.interval, request.adjust, shown, missed, cursor)


def cut(
    times: NDArray[np.datetime64], request: PricesRequest, hidden_until: datetime | None, limit: int
) -> tuple[slice, bool]:
    """The bars of a page, oldest first, and whether more follow in the order of the request.

    Args:
        times: of the whole history.
        request: start, end, order, offset.
        hidden_until: bars up to here are not shown.
        limit: bars of a page.
    """
    first = 0 if request.start is None else int(np.searchsorted(times, _time(request.start), "left"))
    if hidden_until is not None:
        first = max(first, int(np.searchsorted(times, _time(hidden_until), "right")))
    last = len(times) if request.end is None else int(np.searchsorted(times, _time(request.end), "right"))
    last = max(first, last)
    if request.order is Direction.ASC:
        begin = min(last, first + request.offset)
        end = min(last, begin + limit)
        return slice(begin, end), end < last
    end = max(first, last - request.offset)
    begin = max(first, end - limit)
    return slice(begin, end), begin > first


def _time(when: datetime) -> np.datetime64:
    return np.datetime64(when.astimezone(UTC).replace(tzinfo=None), "us")


def _debit(caller: Caller, units: int) -> Debit:
    credential = caller.credential
    return Debit(caller.account_id, credential.key_prefix, credential.key_digests, units, uuid.uuid4(), ROUTE)


def _unknown(symbol: str, request: PricesRequest, meant: str | None) -> str:
    hint = "" if meant is None else f" Did you mean {meant!r}?"
    if request.as_of is None:
        return f"There are no {request.interval} bars of {symbol!r}.{hint} GET /symbols lists what there is."
    return (
        f"There were no {request.interval} bars of {symbol!r} yet.{hint} `as_of` counts from imports, not from bars: "
        f"leave it out, or name a later time."
    )
