"""Idempotency keys: the answer of a creation is kept, so that a call that is sent twice creates once.

The process that serves a call claims the key, does the work and keeps the answer; only one of several concurrent calls
gets the claim. A claim whose holder died is free again after `CLAIM`. If the work is a change in Postgres, call `keep`
in its transaction: the work is then done exactly once, because a holder that lost its claim cannot commit.
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
# Longer than any request may take: until then the holder may still be working.
CLAIM: Final = timedelta(minutes=2)
# Rows per statement of `expire`, which bounds how long it holds their locks.
EXPIRED_AT_ONCE: Final = 1000


class IdempotencyKey(Table):
    """A key that an account sent with a creation."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        CheckConstraint("(status IS NULL) = (headers IS NULL) AND (status IS NULL) = (body IS NULL)", name="answer"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    """Method, and path below the account's."""
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[bytes] = mapped_column(LargeBinary)
    claim: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    """Counts its holders, so that an earlier holder can no longer write."""
    status: Mapped[int | None]
    """The answer's status; null while the work is in progress."""
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
    """Digest of the request: the key may be reused only with the same request."""


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
    """The key was used for another request."""


class StillUnderWay(Exception):
    """The first call with this key has no answer yet."""


class ClaimLost(Exception):
    """The claim ended, and another call with the key may have begun the work: undo it."""


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
    """The repository of idempotency keys. Does not own the engine."""

    def __init__(self, engine: AsyncEngine, *, kept: timedelta = KEPT, claim: timedelta = CLAIM) -> None:
        self._engine = engine
        self._kept = kept
        self._claim = claim

    async def claim(self, creation: Creation) -> Claim | KeptAnswer:
        """Claim the key, or return the answer that is kept under it.

        Raises:
            KeyReused: the key was used for another request.
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
            raise StillUnderWay  # Or it was given back a moment ago: the next attempt claims it.
        if row.request_digest != creation.digest:
            raise KeyReused
        return KeptAnswer(row.status, row.headers, row.body)

    async def keep(self, claim: Claim, answer: KeptAnswer, connection: AsyncConnection | None = None) -> None:
        """Keep the answer.

        Args:
            claim: the right under which the work was done.
            answer: what later calls with the key get.
            connection: the transaction that does the work; by default a separate transaction.

        Raises:
            ClaimLost: another call holds the key now.
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
        """Give the key back, because nothing was created. An answer that was kept meanwhile stays."""
        mine = _of(claim.creation, delete(IdempotencyKey))
        async with self._engine.begin() as connection:
            await connection.execute(mine.where(IdempotencyKey.claim == claim.number, IdempotencyKey.status.is_(None)))

    async def expire(self) -> int:
        """Remove keys older than `KEPT`; returns how many. For a periodic loop."""
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
