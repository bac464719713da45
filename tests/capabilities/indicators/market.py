"""A market in files, as replicas map them, and an edge with the capability on it: real stores, no Ray."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from prometheus_client import CollectorRegistry
from tests.edge.running import access_of, edge_of, nobody, running
from tests.store.stores import Caller, Store

from luna_serving.capabilities.contract import Platform
from luna_serving.capabilities.indicators.capability import INDICATORS
from luna_serving.capabilities.indicators.replica import IndicatorReplica
from luna_serving.capabilities.indicators.settings import IndicatorSettings
from luna_serving.dispatch.gate import GateLimits
from luna_serving.dispatch.outcomes import ReplicaUnavailable
from luna_serving.edge.fastapi_app import build_api
from luna_serving.engines.indicators.bars import Bars
from luna_serving.prices.files import BarsWriter
from luna_serving.prices.intervals import Interval
from luna_serving.prices.local_files import LocalFiles
from luna_serving.prices.located import SERVER, ActionKind, CorporateAction, Located, MarketFile
from luna_serving.prices.mapped import MappedMarkets
from luna_serving.prices.metrics import MappedMetrics
from luna_serving.prices.sources import BarsReference, PriceSources
from luna_serving.settings import PlatformSettings
from luna_serving.telemetry.metrics import DispatchMetrics
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

FIRST = datetime(2012, 1, 2, tzinfo=UTC)
SPLIT = CorporateAction(datetime(2012, 6, 1, tzinfo=UTC).date(), ActionKind.SPLIT, 2.0)


def walk(seed: int, bars: int = 400) -> Bars:
    """Bars of consecutive days."""
    drawn = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(drawn.normal(0, 0.01, bars)))
    opened = close * np.exp(drawn.normal(0, 0.003, bars))
    high = np.maximum(opened, close) * 1.004
    low = np.minimum(opened, close) * 0.996
    days = np.datetime64("2012-01-02", "us") + np.arange(bars) * np.timedelta64(1, "D")
    return Bars(days, opened, high, low, close, np.round(drawn.uniform(1e5, 1e6, bars)))


@dataclass
class Market:
    """Versions of a market in a folder. Implements `PriceSource`."""

    folder: Path
    versions: list[dict[str, Located]] = field(default_factory=list)
    bars: dict[tuple[int, str], Bars] = field(default_factory=dict)
    last_bar_closed: bool = True

    def put(self, symbols: Mapping[str, Bars], actions: Sequence[CorporateAction] = ()) -> int:
        """Import a version, which is current from now on; its number."""
        version = len(self.versions) + 1
        path = self.folder / "writing"
        with BarsWriter(path) as writer:
            for bars in symbols.values():
                columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
                writer.write(bars.timestamps.astype(np.int64), np.array(columns))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.rename(self.folder / f"{digest}.arrow")
        file = MarketFile(f"markets/server/{digest}", digest, (self.folder / f"{digest}.arrow").stat().st_size)
        start, located = 0, {}
        last = max(bars.timestamps[-1] for bars in symbols.values()).item().replace(tzinfo=UTC)
        for symbol, bars in symbols.items():
            of = [bars.timestamps[i].item().replace(tzinfo=UTC) for i in (0, -1)]
            located[symbol] = Located(
                SERVER,
                version,
                symbol,
                Interval.DAY,
                file,
                start,
                len(bars),
                *of,
                last,
                self.last_bar_closed,
                FIRST,
                tuple(actions),
            )
            start += len(bars)
            self.bars[version, symbol] = bars
        self.versions.append(located)
        return version

    async def locate(
        self, account_id: int, symbols: Sequence[str], interval: Interval, as_of: datetime | None = None
    ) -> Mapping[str, Located]:
        del account_id, as_of
        current = self.versions[-1] if interval is Interval.DAY else {}
        return {symbol: current[symbol] for symbol in symbols if symbol in current}

    async def locate_dataset(self, account_id: int, reference: BarsReference, at: str) -> Sequence[Located]:
        del account_id, reference
        raise problems.invalid(FieldError(f"{at}/dataset", "There is none."))

    def mapped(self) -> MappedMarkets:
        return MappedMarkets(None, LocalFiles(self.folder, 10**9), MappedMetrics(CollectorRegistry()))  # type: ignore[arg-type]


@dataclass
class Replicas:
    """Stands for the handle of a deployment: one real replica, calls of which are counted, and may be held up."""

    replica: IndicatorReplica
    computed: int = 0
    gone: bool = False
    held: asyncio.Event | None = None

    async def __call__(self, jobs: Sequence[Any]) -> Sequence[Any]:
        if self.gone:
            raise ReplicaUnavailable("killed")
        self.computed += len(jobs)
        if self.held is not None:
            await self.held.wait()
        return await self.replica.compute(jobs)


@dataclass
class Served:
    """A running ingress replica."""

    url: str
    replicas: Replicas
    registry: CollectorRegistry

    def client(self, caller: Caller, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1/{caller.account_id}",
            headers={"X-API-Key": caller.key.secret} | headers,
            timeout=30,
        )

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("luna_indicators_cache_requests_total", {"outcome": outcome}) or 0.0


@asynccontextmanager
async def served(store: Store, market: Market, **settings: Any) -> AsyncIterator[Served]:
    """An ingress replica with the capability, and a replica that computes."""
    wired, registry = access_of(store), CollectorRegistry()
    prices = PriceSources()
    prices.provide(market)
    read = IndicatorSettings(**{"located_s": 0.0} | settings)
    replicas = Replicas(IndicatorReplica(read, CollectorRegistry(), market.mapped()))
    given = {
        "settings": PlatformSettings(),
        "engine": store.engine,
        "redis": store.redis,
        "charges": wired.charges,
        "authorization": wired.authorization,
        "registry": registry,
        "compute": {"indicators": replicas},
        "prices": prices,
        "gate_limits": GateLimits(100, 10**6, 1000, 4, 20.0),
        "dispatch_metrics": DispatchMetrics(registry),
    }
    platform = Platform(**{each.name: None for each in fields(Platform)} | given)
    routes = INDICATORS.serve(platform, read)

    async def as_it_is(_scope: Any, _headers: Any, problem: Any) -> Any:
        return problem

    api = build_api(routes.operations, routes.routers, nobody, as_it_is)
    async with edge_of(wired, routes.operations, api) as edge, running(edge) as url:
        yield Served(url, replicas, registry)
