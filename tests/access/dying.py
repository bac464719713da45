"""Processes that kill themselves at the n-th step towards a store, in the middle of work with holds.

A step is what a store can notice: before and after each statement, before and after each commit, before and after each
command to Redis. What the processes run is the product's own code on real stores.
"""

import asyncio
import multiprocessing
import os
import signal
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import event
from tests.store.stores import PEPPERS, Caller

from luna_serving.access.credentials import Authenticator, Credential
from luna_serving.access.denials import Charge
from luna_serving.access.holds import Holds
from luna_serving.access.tokens import Tokens
from luna_serving.access.wiring import Access, access
from luna_serving.capabilities.kalman.store.stream_records import StreamLimits, debit_id
from luna_serving.capabilities.kalman.store.streams import KalmanStreams
from luna_serving.telemetry.metrics import AccessMetrics
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import RedisQuota, redis_client

MINUTE = timedelta(minutes=1)
RESERVED, SPENT = 5, 2


@dataclass
class Ends:
    """Both stores, as a serving process reaches them; it dies at step `die_at`."""

    database_url: str
    redis_url: str
    die_at: int = 0
    steps: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.engine = async_engine(self.database_url)
        self.redis = redis_client(self.redis_url)
        accounts = Accounts(self.engine, PEPPERS)
        self.access: Access = access(
            self.redis,
            RedisQuota(self.redis),
            PostgresQuota(self.engine),
            AccountCache(self.engine, self.redis),
            accounts,
            Authenticator(PEPPERS, Tokens(PEPPERS, 900)),
            AccessMetrics(CollectorRegistry()),
            timeout_s=4.0,
        )
        self.holds = Holds(self.engine, self.access.charges, timeout_s=4.0)
        self.streams = KalmanStreams(self.engine, StreamLimits(10, timedelta(days=1)), timeout_s=4.0)

    def arm(self) -> None:
        """Count steps from now on."""
        for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(self.engine.sync_engine, name, self._step)
        event.listen(self.engine.sync_engine.pool, "checkin", self._step)
        pool = self.redis.connection_pool
        get, release = pool.get_connection, pool.release

        async def counted_get(*args: Any, **options: Any) -> Any:
            connection = await get(*args, **options)
            self._step()
            return connection

        async def counted_release(connection: Any) -> None:
            self._step()
            await release(connection)

        pool.get_connection, pool.release = counted_get, counted_release

    def _step(self, *_: object) -> None:
        self.steps += 1
        if self.steps == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def close(self) -> None:
        await self.redis.aclose()
        await self.engine.dispose()


def charge_of(caller: Caller, units: int = RESERVED, **changes: object) -> Charge:
    credential = Credential(caller.key.prefix, (PEPPERS.digest(caller.key),), key=caller.key)
    return Charge(credential, caller.debit(units, **changes))


async def work(ends: Ends, caller: Caller, owner: str) -> None:
    """Reserve 5 units, need longer than expected, and settle to 2."""
    hold = await ends.holds.reserve(charge_of(caller), owner, MINUTE)
    hold = await ends.holds.extend(hold, 2 * MINUTE)
    await ends.holds.settle(hold, SPENT)


async def give_up(ends: Ends, caller: Caller, owner: str) -> None:
    """Reserve 5 units and give them back."""
    hold = await ends.holds.reserve(charge_of(caller), owner, MINUTE)
    await ends.holds.void(hold)


async def recover(ends: Ends, caller: Caller, owner: str) -> None:
    """Take over what an earlier process left, and give it back."""
    del caller
    for hold in await ends.holds.take_over(owner, 2):
        await ends.holds.void(hold)


async def stream(ends: Ends, caller: Caller, owner: str) -> None:
    """Open a stream, send three messages, let it go."""
    claim = await ends.streams.open(caller.account_id, owner, "{}")
    for first in (1, 2, 3):
        charged = debit_id(claim.id, claim.epoch, first)
        await ends.access.charges.take(charge_of(caller, 1, debit_id=charged, route="kalman/stream"))
        await ends.streams.append(claim, first, first, state="0", points="[0]", keep=10)
    await ends.streams.release(claim)


SCENARIOS: dict[str, Callable[[Ends, Caller, str], Awaitable[None]]] = {
    "work": work,
    "give_up": give_up,
    "recover": recover,
    "stream": stream,
}


async def dying(ends: Ends, scenario: str, caller: Caller, owner: str, die_at: int) -> bool:
    """Run a scenario in a process that dies at a step; whether it got there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.access.dying"])
    arguments = (ends.database_url, ends.redis_url, scenario, caller, owner, die_at)
    process = context.Process(target=_run, args=arguments, daemon=True)
    process.start()
    await asyncio.to_thread(process.join, 30)
    assert process.exitcode in {0, -signal.SIGKILL}, process.exitcode
    return process.exitcode != 0


def _run(database_url: str, redis_url: str, scenario: str, caller: Caller, owner: str, die_at: int) -> None:
    async def run() -> None:
        ends = Ends(database_url, redis_url, die_at)
        ends.arm()
        await SCENARIOS[scenario](ends, caller, owner)
        await ends.close()

    asyncio.run(run())


def an_owner() -> str:
    return f"job/{uuid.uuid4()}"
