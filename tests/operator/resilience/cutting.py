"""The operator's reconciliation in this process, interrupted or delayed at any one of its external calls.

What is cut is the connection: before a request to the API server leaves, before its answer is read, before a statement
or a commit reaches Postgres, before a command reaches Redis. A process that is killed there has done no more.

It is held up only before requests to the API server and after them, where it holds no lock.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from redis.asyncio import Connection
from sqlalchemy import event
from tests.operator.operating import URL

from luna_operator.kube.client import ApiServer
from luna_operator.kube.events import Events
from luna_operator.kube.resources import Resources
from luna_operator.kube.secrets import SecretsClient
from luna_operator.metrics import Metrics
from luna_operator.reconcile.act import Actor
from luna_operator.reconcile.observe import Observer
from luna_operator.reconcile.reconciler import NotYet, Reconciler
from luna_operator.reconcile.repairs import Repairs
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.resources.account import AccountResource
from luna_store.accounts.api_keys import Peppers
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.provisioning import Provisioning
from luna_store.people.reconciled import ResourceMembers
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine
    from tests.operator.operating import Surroundings


class Cut(BaseException):
    """Like SIGKILL, it is not caught."""


class Scissors:
    """Counts the points at which a run touches the world, and cuts it at one of them."""

    def __init__(self) -> None:
        self.points = self.crossings = 0
        self._at: int | None = None
        self._hold_at: int | None = None

        self._meanwhile: Callable[[], Awaitable[object]] | None = None

    def begin(self, at: int | None = None, meanwhile: Callable[[], Awaitable[object]] | None = None) -> None:
        """Cut at this point; or let `meanwhile` happen at this crossing, and go on."""
        self.points, self.crossings = 0, 0
        self._at, self._meanwhile = (None if meanwhile else at), meanwhile
        self._hold_at = at

    async def crossing(self) -> None:
        """A point at which nothing is held."""
        self.point()
        self.crossings += 1
        if self._meanwhile is not None and self.crossings - 1 == self._hold_at:
            await self._meanwhile()

    def point(self, *_: object) -> None:
        if self._at is not None and self.points >= self._at:
            # No request gets through any more.
            raise Cut
        self.points += 1


class Runs:
    """Reconciliations on connections that are made once: making them is no step of any."""

    def __init__(self, around: Surroundings, api: ApiServer, engine: AsyncEngine, redis: Redis) -> None:
        self.scissors = Scissors()
        self._api, self._redis = api, redis
        self._provisioning = Provisioning(engine, Peppers.parse(around.peppers))
        self._members = ResourceMembers(engine)
        self._cache = AccountCache(engine, redis)

    async def reconcile(self, body: dict[str, Any], cut_at: int | None = None) -> int:
        """Reconcile an Account as a new process would, interrupted at a point; returns how many points were passed."""
        self.scissors.begin(cut_at)
        with suppress(Cut, NotYet):
            await self._reconcile(body)
        points = self.scissors.points
        # Tasks of the process end with it.
        for task in asyncio.all_tasks() - {asyncio.current_task()} if cut_at is not None else ():
            task.cancel()
            with suppress(asyncio.CancelledError, Cut):
                await task
        self.scissors.begin()
        return points

    async def held_up(self, body: dict[str, Any], at: int, meanwhile: Callable[[], Awaitable[object]]) -> int:
        """Reconcile an Account, held up at that crossing; returns how many crossings there were."""
        self.scissors.begin(at, meanwhile)
        with suppress(NotYet):
            await self._reconcile(body)
        return self.scissors.crossings

    async def _reconcile(self, body: dict[str, Any]) -> None:
        known, resources, secrets = ResourceCache(), Resources(self._api), SecretsClient(self._api)
        account = AccountResource.parse(body)
        known.keep(account)
        observer = Observer(known, self._provisioning, self._members, self._cache, secrets, url=URL)
        stores = self._provisioning, self._members, self._cache
        actor = Actor(known, observer, resources, secrets, *stores, Metrics(), url=URL)
        events = Events(self._api, "cut")
        reconciler = Reconciler(
            known, observer, actor, resources, events, Repairs(), usage_max_age=timedelta(minutes=5)
        )
        await reconciler.reconcile(account.key)


@asynccontextmanager
async def runs(around: Surroundings) -> AsyncIterator[Runs]:
    """Connect to everything."""
    api = await _Api.connect(lambda *_: None)
    engine = async_engine(around.database_url, pool_size=2)
    redis = redis_client(around.redis_url, timeout_s=5.0)
    made = Runs(around, api, engine, redis)
    api.scissors = made.scissors
    redis.connection_pool.connection_class = _severable(made.scissors)
    try:
        async with engine.connect(), engine.connect():
            await redis.ping()
        for moment in ("before_cursor_execute", "commit"):
            event.listen(engine.sync_engine, moment, made.scissors.point)
        yield made
    finally:
        await redis.aclose()
        await engine.dispose()
        await api.close()


class _Api(ApiServer):
    scissors: Scissors

    async def _request(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        await self.scissors.crossing()
        answer = await super()._request(*args, **kwargs)
        await self.scissors.crossing()
        return answer


def _severable(scissors: Scissors) -> type[Connection]:
    class Severable(Connection):
        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            scissors.point()
            await super().send_packed_command(*args, **kwargs)

    return Severable
