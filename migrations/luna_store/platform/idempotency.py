"""Idempotency keys: the answer of a creation, kept so that the same call with the same key is not done twice.

A caller claims the key, does the work, and keeps the answer; of several at once one claims it. A claim whose holder
died is free again after `CLAIM`. Where the work itself is in Postgres, `keep` belongs into its transaction: then the
work is done exactly once whoever dies, for a holder that has lost its claim cannot commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    bindparam,
    delete,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table

# How long an answer is kept.
KEPT: Final = timedelta(hours=24)
# Longer than any request may take: until then its holder may still be at work.
CLAIM: Final = timedelta(minutes=2)
# Rows that one statement of `expire` removes: a bound on how long it holds their locks.
EXPIRED_AT_ONCE: Final = 1000


class IdempotencyKey(Table):
    """A key that an account has sent with a creation."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        CheckConstraint("(status IS NULL) = (headers IS NULL) AND (status IS NULL) = (body IS NULL)", name="answer"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    """Method and path below the account's."""
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[bytes] = mapped_column(LargeBinary)
    claim: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    """Counts its holders: what an earlier one still wants to write changes nothing."""
    status: Mapped[int | None]
    """Of the answer; null while the work is under way."""
    headers: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(frozen=True, slots=True)
class Creation:
    """A call that creates something, with its key."""

    account_id: int
    route: str
    key: str
    digest: bytes
    """Of the request: the key may only come again with the same one."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer of a creation."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do the work."""

    creation: Creation
    number: int


class KeyReused(Exception):
    """The key came with another request before."""


class StillUnderWay(Exception):
    """The first call with this key has no answer yet."""


class ClaimLost(Exception):
    """The work took so long that another call with the key may have begun it: undo it."""


_CLAIM = text("""
INSERT INTO idempotency_keys (account_id, route, key, request_digest)
VALUES (:account_id, :route, :key, :digest)
ON CONFLICT (account_id, route, key) DO UPDATE SET
    request_digest = excluded.request_digest, claim = idempotency_keys.claim + 1,
    status = NULL, headers = NULL, body = NULL, created_at = now()
WHERE idempotency_keys.created_at < now() - :kept
   OR (idempotency_keys.status IS NULL AND idempotency_keys.created_at < now() - :lease
       AND idempotency_keys.request_digest = excluded.request_digest)
RETURNING claim
""")

_KEEP = text("""
UPDATE idempotency_keys SET status = :status, headers = :headers, body = :body
WHERE account_id = :account_id AND route = :route AND key = :key AND claim = :number AND status IS NULL
""").bindparams(bindparam("headers", type_=JSONB), bindparam("body", type_=LargeBinary))


_NAME = tuple_(IdempotencyKey.account_id, IdempotencyKey.route, IdempotencyKey.key)


class IdempotencyKeys:
    """The repository. Does not own the engine."""

    def __init__(self, engine: AsyncEngine, *, kept: timedelta = KEPT, claim: timedelta = CLAIM) -> None:
        self._engine = engine
        self._kept = kept
        self._claim = claim

    async def claim(self, creation: Creation) -> Claim | KeptAnswer:
        """Take the key, or the answer that is kept under it.

        Raises:
            KeyReused: the key belongs to another request.
            StillUnderWay: another call does the work.
            IntegrityError: there is no such account (any more).
        """
        named = {"account_id": creation.account_id, "route": creation.route, "key": creation.key}
        asked = {**named, "digest": creation.digest, "kept": self._kept, "lease": self._claim}
        async with self._engine.begin() as connection:
            number = await connection.scalar(_CLAIM, asked)
            if number is not None:
                return Claim(creation, number)
            row = (await connection.execute(_of(creation, select(IdempotencyKey.__table__)))).one_or_none()
        if row is None or (row.status is None and row.request_digest == creation.digest):
            raise StillUnderWay  # Or given back a moment ago: the next try takes it.
        if row.request_digest != creation.digest:
            raise KeyReused
        return KeptAnswer(row.status, row.headers, row.body)

    async def keep(self, claim: Claim, answer: KeptAnswer, connection: AsyncConnection | None = None) -> None:
        """Keep the answer.

        Args:
            claim: whose work is done.
            answer: to give again.
            connection: of the transaction that does the work; without one, a transaction of its own.

        Raises:
            ClaimLost: somebody else holds the key now.
        """
        if connection is None:
            async with self._engine.begin() as own:
                await self.keep(claim, answer, own)
            return
        of = claim.creation
        values = {"account_id": of.account_id, "route": of.route, "key": of.key, "number": claim.number}
        values |= {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
        if not (await connection.execute(_KEEP, values)).rowcount:
            raise ClaimLost

    async def release(self, claim: Claim) -> None:
        """Give the key back: nothing was created. An answer that was kept meanwhile stays."""
        mine = _of(claim.creation, delete(IdempotencyKey))
        async with self._engine.begin() as connection:
            await connection.execute(mine.where(IdempotencyKey.claim == claim.number, IdempotencyKey.status.is_(None)))

    async def expire(self) -> int:
        """Remove what is older than it is kept; how many. For a periodic loop."""
        old = (
            select(IdempotencyKey.account_id, IdempotencyKey.route, IdempotencyKey.key)
            .where(IdempotencyKey.created_at < func.now() - self._kept)
            .limit(EXPIRED_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        removed = 0
        while True:
            async with self._engine.begin() as connection:
                count = (await connection.execute(delete(IdempotencyKey).where(_NAME.in_(old)))).rowcount
            removed += count
            if count < EXPIRED_AT_ONCE:
                return removed


def _of(creation: Creation, statement: Any) -> Any:  # noqa: ANN401  a statement with a where
    return statement.where(
        IdempotencyKey.account_id == creation.account_id,
        IdempotencyKey.route == creation.route,
        IdempotencyKey.key == creation.key,
    )
