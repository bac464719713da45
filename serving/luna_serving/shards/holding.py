"""Holds the lease of a shard, and opens and closes the shard with it."""

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psutil
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.shards.shard import NotOpen, Place, Shard
from luna_store.platform.leases import Lease, LeaseLost, acquire, release, renew
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.shards")

# Seconds of a lease. Accounts of a killed shard on another machine wait for its end.
LEASE_S: Final = 6.0
# Seconds between attempts to acquire it.
ASK_EVERY_S: Final = 0.5
# Seconds for closing a shard, and for the release. Without a release, the lease expires.
CLOSE_S: Final = 5.0
RELEASE_S: Final = 2.0

_OTHER_LAYOUT = text("""
SELECT name FROM leases
WHERE starts_with(name, :layout) AND split_part(name, '/', 2) <> :count AND expires_at > clock_timestamp() LIMIT 1
""")

_HOLDER = text("SELECT holder FROM leases WHERE name = :name AND expires_at > clock_timestamp()")

_EXPIRE = text("UPDATE leases SET expires_at = clock_timestamp() WHERE name = :name AND holder = :holder")


class Holding:
    """Keeps a shard open while the lease is held. A lost lease drops the shard; the next one reads the state again."""

    def __init__(self, engine: AsyncEngine, place: Place, make: Callable[[Lease], Shard]) -> None:
        """Wire it.

        Args:
            engine: for the lease only, so that no renewal waits for a connection that the shard holds.
            place: which shard.
            make: constructs the shard under a lease.
        """
        self._engine = engine
        self._place = place
        self._make = make
        self.shard: Shard | None = None
        """None while the lease is not held or the shard is not open."""
        self._ends_at = 0.0
        self._given_up = asyncio.Event()
        """Set when the shard says that its lease is lost, while it may still be held."""

    async def run(self) -> None:
        """Run until cancelled; then close the shard and release the lease."""
        while True:
            try:
                lease = await self._acquired()
            except POSTGRES_GONE as e:
                log.warning("%s cannot ask for its lease: %s", self._place.deployment, e)
                lease = None
            if lease is not None:
                await self._hold(lease)
            await asyncio.sleep(ASK_EVERY_S * random.uniform(0.5, 1.0))  # noqa: S311  jitter

    async def ask(self, account_id: int, request: Any) -> Any:  # noqa: ANN401  of the capability's own types
        """The answer of the shard, or `NotOpen`.

        An answer that is ready only after the lease has ended, as in a process that was stopped, is not given: another
        process may have acknowledged writes by then that it does not show.
        """
        shard = self.shard
        if shard is None:
            return NotOpen()
        try:
            answer = await shard.ask(account_id, request)
        except LeaseLost:
            if self.shard is shard:
                self._given_up.set()
            return NotOpen()
        return answer if self.shard is shard and time.monotonic() < self._ends_at else NotOpen()

    async def _acquired(self) -> Lease | None:
        """The lease, if it is free and no shard of another layout is open."""
        name = self._place.lease
        async with asyncio.timeout(LEASE_S):
            lease = await acquire(self._engine, name, holder(), lasts_s=LEASE_S)
            if lease is None:
                await self._end_of_the_dead(name)
                return None
            values = {"layout": self._place.layout, "count": str(self._place.count)}
            async with self._engine.connect() as connection:
                other = await connection.scalar(_OTHER_LAYOUT, values)
            if other is not None:
                log.info("%s waits: %s is still held", self._place.deployment, other)
                await release(self._engine, lease)
                return None
        return lease

    async def _end_of_the_dead(self, name: str) -> None:
        """End the lease of a process of this machine that is dead, instead of waiting until it expires."""
        async with self._engine.begin() as connection:
            of = await connection.scalar(_HOLDER, {"name": name})
            if of is not None and is_dead(of):
                await connection.execute(_EXPIRE, {"name": name, "holder": of})

    async def _hold(self, lease: Lease) -> None:
        shard = self._make(lease)
        self._ends_at = lease.asked_at + lease.lasts_s
        kept = asyncio.create_task(self._keep(lease), name=f"lease {lease.name}")
        opened = asyncio.create_task(self._open(shard), name=f"open {lease.name}")
        self._given_up.clear()
        given_up = asyncio.create_task(self._given_up.wait(), name=f"end of {lease.name}")
        try:
            # A shard whose task has failed takes no writes: another one is opened, which reads the state again.
            await asyncio.wait({kept, given_up}, return_when=asyncio.FIRST_COMPLETED)
            log.warning("%s has lost its lease, token %d, or has failed", self._place.deployment, lease.token)
        finally:
            self.shard = None
            tasks = {opened, kept, given_up}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            with suppress(LeaseLost, *POSTGRES_GONE):
                async with asyncio.timeout(CLOSE_S):
                    await shard.close()
            with suppress(*POSTGRES_GONE):
                async with asyncio.timeout(RELEASE_S):
                    await release(self._engine, lease)

    async def _open(self, shard: Shard) -> None:
        pause_s = ASK_EVERY_S
        while True:
            try:
                await shard.open()
            except LeaseLost:
                return
            except Exception:
                # Whatever is wrong with the stores: it is tried again.
                log.exception("%s cannot be opened", self._place.deployment)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LEASE_S)
            else:
                self.shard = shard
                log.info("%s is open", self._place.deployment)
                return

    async def _keep(self, lease: Lease) -> None:
        """Renew the lease in time; returns when it is lost, or when Postgres did not confirm it in time."""
        while True:
            await asyncio.sleep(lease.lasts_s / 4 * random.uniform(0.8, 1.0))  # noqa: S311  jitter
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(self._ends_at - asked_at):
                    await renew(self._engine, lease)
            except LeaseLost:
                return
            except POSTGRES_GONE as e:
                log.warning("the lease %s is not renewed: %s", lease.name, e)
                if time.monotonic() >= self._ends_at:
                    return
            else:
                self._ends_at = asked_at + lease.lasts_s


def holder() -> str:
    """The name of this process in the table of leases: host (in Kubernetes the pod), process id, and when it began."""
    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def is_dead(of: str) -> bool:
    """Whether a holder was a process of this host that does not exist any more."""
    parts = of.split("/")
    if len(parts) != 3 or parts[0] != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(parts[1]))
        return f"{process.create_time():.2f}" != parts[2] or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, ValueError):
        return False
