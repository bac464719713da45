"""A market in real stores, and its routes on an edge without Ray."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
from prometheus_client import CollectorRegistry
from tests.edge.running import access_of, as_it_is, edge_of, nobody
from tests.store.stores import Caller, Store, as_data

from luna_serving.capabilities.market.answering import PricesService
from luna_serving.capabilities.market.importing.publishing import Imported, Order, import_files
from luna_serving.capabilities.market.metrics import MarketMetrics
from luna_serving.capabilities.market.routes import prices, symbols
from luna_serving.capabilities.market.settings import MarketSettings
from luna_serving.edge.fastapi_app import build_api
from luna_serving.local.demo_prices import stocks, write
from luna_serving.objects.client import ObjectStore
from luna_serving.prices.local_files import LocalFiles
from luna_serving.prices.mapped import MappedMarkets
from luna_serving.prices.metrics import MappedMetrics
from luna_serving.prices.stored import StoredPrices

HEADER = "symbol,date,open,high,low,close,volume"


def rows(symbol: str, count: int, first: str = "2020-01-01", close: float = 100.0) -> list[str]:
    """Bars of consecutive days."""
    days = np.datetime64(first) + np.arange(count)
    return [
        f"{symbol},{day},{close + i},{close + i + 1},{close + i - 1},{close + i},{i * 10}" for i, day in enumerate(days)
    ]


def csv_file(path: Path, lines: Iterable[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


async def imported(store: Store, objects: ObjectStore, *files: Path, **order: object) -> Imported:
    return await import_files(store.engine, objects, Order(files, **order))  # type: ignore[arg-type]


async def demo(store: Store, objects: ObjectStore, folder: Path) -> Imported:
    """The prices of `luna up`."""
    bars, names, actions = write(folder, stocks())
    return await imported(store, objects, bars, symbols=names, actions=actions)


@asynccontextmanager
async def market_routes(
    store: Store, objects: ObjectStore, folder: Path, settings: MarketSettings | None = None
) -> AsyncIterator[httpx.ASGITransport]:
    """The routes, for clients of any account."""
    wired = access_of(store)
    settings = settings or MarketSettings(fresh_s=0)
    stored = StoredPrices(store.engine, fresh_s=settings.fresh_s)
    mapped = MappedMarkets(objects, LocalFiles(folder / "mapped", 1 << 30), MappedMetrics(CollectorRegistry()))
    service = PricesService(stored, mapped, wired.charges, MarketMetrics(CollectorRegistry()), settings)
    api = build_api([], [symbols.router(wired.authorization, wired.charges, store.engine)], nobody, as_it_is)
    async with edge_of(wired, [prices.operation(service)], rest=api) as edge:
        yield httpx.ASGITransport(edge)
    await mapped.close()


@asynccontextmanager
async def client_of(
    store: Store, transport: httpx.ASGITransport, caller: Caller | None = None, **spec: object
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an account, by default a new one; `spec` sets or changes its fields."""
    if caller is None:
        caller = await store.account(**{"quota_limit": 1_000_000} | spec)
    elif spec:
        await store.accounts.update(caller.account_id, **as_data(spec))
        await store.cache.rebuild(caller.account_id)
    url = f"http://luna/api/v1/{caller.account_id}"
    async with httpx.AsyncClient(transport=transport, base_url=url, headers={"X-API-Key": caller.key.secret}) as client:
        client.account_id = caller.account_id  # type: ignore[attr-defined]
        yield client


def floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array(values, float)
