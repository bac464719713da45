"""Named leases with fencing tokens: who may do a piece of background work, decided by Postgres' clock.

A lease has one holder at a time and ends unless it is renewed. Each acquisition counts its token up, and so does each
release, so a lease is held under a token only while the row still shows that token. A transaction that calls
`check_fence` keeps the row locked until it ends, and an acquisition waits for that lock: what a holder has fenced can
commit only before the next holder begins. Wall clocks of clients decide nothing.

Row locks: `check_fence` takes FOR KEY SHARE, which a renewal (an UPDATE of other columns than the key) does not
conflict with, and an acquisition or release takes FOR UPDATE, which it does.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, func, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table

# How long Postgres lets a fenced transaction be idle between two statements. A process that is stopped in one keeps
# the lease's row locked until then. A holder must not wait for anything else inside a transaction.
FENCED_IDLE_S = 5.0


class LeaseRow(Table):
    """One lease. The row outlives the lease, so that tokens never restart."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger)
    """Counts acquisitions and releases."""
    holder: Mapped[str | None]
    """For people who read the table; null after a release."""
    acquired_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime]
    """The lease is free from this instant on."""


class LeaseLost(Exception):
    """The lease has ended or another holder has it: stop the work; uncommitted changes are lost."""

    def __init__(self, name: str, token: int) -> None:
        super().__init__(f"The lease {name!r} is no longer held under token {token}.")
        self.name = name
        self.token = token


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it was acquired."""

    name: str
    token: int
    """Larger than that of every earlier holder."""
    lasts_s: float
    """Seconds from an acquisition or renewal to its end."""
    asked_at: float
    """Monotonic clock of this process just before the acquisition was sent: no later than the lease's begin."""


_ACQUIRE = text("""
WITH free AS (
    SELECT name FROM leases WHERE name = :name AND expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE leases l
    SET token = l.token + 1, holder = :holder, acquired_at = clock_timestamp(),
        expires_at = clock_timestamp() + make_interval(secs => :lasts_s)
    FROM free WHERE l.name = free.name
    RETURNING l.token
)
SELECT (SELECT token FROM taken) AS token, EXISTS (SELECT FROM leases WHERE name = :name) AS known
""")

_CREATE = text("""
INSERT INTO leases (name, token, holder, expires_at)
VALUES (:name, 1, :holder, clock_timestamp() + make_interval(secs => :lasts_s))
ON CONFLICT DO NOTHING
RETURNING token
""")

_RENEW = text("""
UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => :lasts_s)
WHERE name = :name AND token = :token AND expires_at > clock_timestamp()
""")

_RELEASE = text("""
WITH held AS (SELECT name FROM leases WHERE name = :name AND token = :token FOR UPDATE)
UPDATE leases l SET token = l.token + 1, holder = NULL, expires_at = clock_timestamp()
FROM held WHERE l.name = held.name
""")

_FENCE = text("""
SELECT set_config('idle_in_transaction_session_timeout', :idle_ms, true) FROM leases
WHERE name = :name AND token = :token AND expires_at > clock_timestamp()
FOR KEY SHARE
""")


async def acquire(engine: AsyncEngine, name: str, holder: str, *, lasts_s: float) -> Lease | None:
    """Take a free lease; None if it is held, or if a fenced transaction of an earlier holder is open.

    Args:
        engine: where the leases are.
        name: what is leased.
        holder: shown in the table; need not be unique.
        lasts_s: seconds until the lease ends unless it is renewed.

    Raises:
        SQLAlchemyError: Postgres did not answer. The lease may have been taken, and then expires.
    """
    values: dict[str, Any] = {"name": name, "holder": holder, "lasts_s": lasts_s}
    asked_at = time.monotonic()
    async with engine.begin() as connection:
        token, known = (await connection.execute(_ACQUIRE, values)).one()
        if token is None and not known:
            token = await connection.scalar(_CREATE, values)
    return None if token is None else Lease(name, int(token), lasts_s, asked_at)


async def renew(engine: AsyncEngine, lease: Lease) -> None:
    """Let a held lease last `lasts_s` seconds from now.

    Raises:
        LeaseLost: it has ended, even if nobody has taken it since.
        SQLAlchemyError: Postgres did not answer.
    """
    values = {"name": lease.name, "token": lease.token, "lasts_s": lease.lasts_s}
    async with engine.begin() as connection:
        if not (await connection.execute(_RENEW, values)).rowcount:
            raise LeaseLost(lease.name, lease.token)


async def release(engine: AsyncEngine, lease: Lease) -> None:
    """End a lease at once; no effect if it was lost. Waits for open transactions that are fenced by it.

    Raises:
        SQLAlchemyError: Postgres did not answer; the lease expires.
    """
    async with engine.begin() as connection:
        await connection.execute(_RELEASE, {"name": lease.name, "token": lease.token})


async def check_fence(connection: AsyncConnection, name: str, token: int) -> None:
    """Check that the lease is held under `token`, and let nobody else acquire it before this transaction ends.

    Call it first in each transaction that writes under the lease. The transaction may last longer than the lease, but
    must not be idle for more than `FENCED_IDLE_S` between two statements.

    Raises:
        LeaseLost: the lease has ended or has another holder; roll back.
        SQLAlchemyError: Postgres did not answer.
    """
    values = {"name": name, "token": token, "idle_ms": str(int(FENCED_IDLE_S * 1000))}
    if (await connection.execute(_FENCE, values)).one_or_none() is None:
        raise LeaseLost(name, token)


@asynccontextmanager
async def fenced(engine: AsyncEngine, lease: Lease) -> AsyncIterator[AsyncConnection]:
    """A transaction that commits only while the lease is held.

    Raises:
        LeaseLost: the lease has ended or has another holder; nothing was written.
        SQLAlchemyError: Postgres did not answer.
    """
    async with engine.begin() as connection:
        await check_fence(connection, lease.name, lease.token)
        yield connection
