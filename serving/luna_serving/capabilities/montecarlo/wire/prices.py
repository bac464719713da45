"""Daily closes of symbols, adjusted for splits and dividends, on the days that all of them have."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.edge.store_answers import store_answer
from luna_serving.objects.errors import StoreGone, StoreRefused
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import SERVER, Adjust, Located
from luna_serving.prices.mapped import BarsUnavailable, MappedMarkets, VersionGone
from luna_serving.prices.sources import PriceSources
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_store.accounts.accounts import AccountInfo, Accounts
from luna_store.grants import is_granted

MARKET: Final = "market"
SYMBOLS: Final = "/model/symbols"
HISTORY: Final = "history_days"


class Closes:
    """Reads closes of an account's symbols."""

    def __init__(self, sources: PriceSources, markets: MappedMarkets | None, accounts: Accounts) -> None:
        """Wire it; without `markets`, which need an object store, there are no prices."""
        self._sources = sources
        self._markets = markets
        self._accounts = accounts

    async def of(self, account_id: int, symbols: Sequence[str]) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Closes, a row a day, and where they are from.

        Raises:
            Problem: 403, the account may not read the server's market; 422, a symbol is unknown; 503.
        """
        located = await self._sources.locate(account_id, symbols, Interval.DAY)
        for i, symbol in enumerate(symbols):
            if symbol not in located:
                detail = f"Has no daily prices here: {symbol}. GET /symbols lists what there is; or send returns."
                raise problems.invalid(FieldError(f"{SYMBOLS}/{i}", detail))
        account = await store_answer(self._accounts.get(account_id), "The account store")
        if not all(each.own for each in located.values()) and not is_granted(account.allowed, MARKET, SERVER):
            raise problems.not_allowed(MARKET, SERVER)
        try:
            return await self._closes(symbols, located, account)
        except (BarsUnavailable, VersionGone, StoreGone, StoreRefused) as e:
            raise problems.dependencies_gone("The object store") from e

    async def _closes(
        self, symbols: Sequence[str], located: Mapping[str, Located], account: AccountInfo
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        if self._markets is None:
            raise problems.dependencies_gone("The object store")
        times, closes = [], []
        for symbol in symbols:
            bars = await self._markets.bars(located[symbol], Adjust.ALL)
            since = located[symbol].hidden_until(account.limits.get(HISTORY))
            shown = np.ones(len(bars.timestamps), dtype=bool)
            if since is not None:
                # Parameters of a job are shown: they hold no more than GET /prices would.
                shown = bars.timestamps > np.datetime64(since.replace(tzinfo=None), "us")
            if bars.close is None:
                raise problems.invalid(FieldError(SYMBOLS, f"{symbol} has no closes."))
            times.append(bars.timestamps[shown])
            closes.append(np.asarray(bars.close, dtype=np.float64)[shown])
        common = reduce(np.intersect1d, times)
        values = np.stack([close[np.isin(t, common)] for t, close in zip(times, closes, strict=True)], axis=1)
        versions = {symbol: f"{located[symbol].market}@{located[symbol].data_version}" for symbol in symbols}
        return values, {"symbols": versions, "periods": len(common)}
