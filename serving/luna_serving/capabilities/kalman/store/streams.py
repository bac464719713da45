"""Streams of online filtering in Postgres: each point taken once, whichever process dies meanwhile.

One connection holds a stream at a time. Claiming it counts its epoch up, and every write names the epoch that it
belongs to: what an earlier holder still wants to write changes nothing. New state, sequence and answers are one
statement, so that a stream is never between two points.

A stream that is held has one hold (`luna_store.ledger.holds`), whose fence is the epoch: the charge for its next
message, written before that is made. The statement that takes the points settles it, and reserves for the message
after.

(Not to be confused with `luna_store.ledger.event_streams`, the Redis streams of usage events.)
"""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.kalman.store.stream_records import (
    Claim,
    KeptAnswers,
    StreamInfo,
    StreamLimits,
    StreamNotFound,
    StreamSuperseded,
    TooManyStreams,
    debit_id,
    debit_of,
    owner_of,
)
from luna_serving.capabilities.kalman.store.stream_retention import EXPIRED_AT_ONCE
from luna_serving.capabilities.kalman.store.tables import KalmanStream, KalmanStreamAnswer
from luna_store.accounts.accounts import AccountNotFound
from luna_store.ledger import holds
from luna_store.ledger.booking import lock_accounts, void
from luna_store.ledger.transactions import transaction_within

# Any fixed number: "kstr" in ASCII. The other half of the lock's key is the account.
OPENERS_LOCK = 0x6B737472

# The stream's lock before the hold's, as in a claim. Rolled back unless it answers 1.
_APPEND = text("""
WITH moved AS (
    UPDATE kalman_streams SET sequence = :last, state = :state, updated_at = now()
    WHERE id = :id AND epoch = :epoch AND sequence = :first - 1
    RETURNING id
), charged AS (
    UPDATE holds SET debit_id = :next_debit, reserved_at = now(), until = now() + CAST(:hold AS interval)
    WHERE debit_id = :debit AND fence = :epoch AND EXISTS (SELECT FROM moved)
    RETURNING debit_id
), kept AS (
    INSERT INTO kalman_stream_answers (stream_id, last_sequence, first_sequence, points)
    SELECT id, :last, :first, :points FROM moved
), dropped AS (
    DELETE FROM kalman_stream_answers a USING moved WHERE a.stream_id = moved.id AND a.last_sequence <= :last - :keep
)
SELECT count(*) FROM charged
""")

_RELEASE = text("DELETE FROM holds WHERE owner = :owner AND fence = :epoch")

_CLAIM = text("""
WITH before AS (
    SELECT id, held FROM kalman_streams
    WHERE id = :id AND account_id = :account_id AND (CAST(:epoch AS bigint) IS NULL OR epoch = :epoch)
    FOR UPDATE
)
UPDATE kalman_streams s SET epoch = s.epoch + 1, held = true, updated_at = now()
FROM before WHERE s.id = before.id
RETURNING s.id, s.account_id, s.epoch, s.sequence, s.document, s.state, before.held AS was_held
""")


class KalmanStreams:
    """The repository. Does not own the engine. Every method raises StoreUnavailable when Postgres does not answer."""

    def __init__(self, engine: AsyncEngine, limits: StreamLimits, *, timeout_s: float) -> None:
        self._engine = engine
        self._limits = limits
        self._timeout_s = timeout_s
        self.hold_s = limits.hold.total_seconds()

    async def open(self, account_id: int, model: str, document: str) -> Claim:
        """Make a stream and hold it.

        Raises:
            AccountNotFound: there is no such account (any more).
            TooManyStreams: the account may keep no more.
        """
        stream_id = uuid.uuid4()
        try:
            async with transaction_within(self._engine, self._timeout_s) as connection:
                # One at a time, so that the limit is exact.
                await connection.execute(
                    text("SELECT pg_advisory_xact_lock(:openers, :account)"),
                    {"openers": OPENERS_LOCK, "account": account_id},
                )
                await self._expire(connection, account_id)
                of_account = KalmanStream.account_id == account_id
                count = await connection.scalar(select(func.count()).select_from(KalmanStream).where(of_account))
                if (count or 0) >= self._limits.streams:
                    raise TooManyStreams(self._limits.streams)
                row = insert(KalmanStream).values(id=stream_id, account_id=account_id, model=model, document=document)
                await connection.execute(row)
                claim = Claim(stream_id, account_id, 1, 0, document, None, was_held=False)
                await self._reserve(connection, claim)
        except IntegrityError as e:
            raise AccountNotFound(account_id) from e
        return claim

    async def claim(
        self,
        account_id: int,
        stream_id: uuid.UUID,
        *,
        epoch: int | None = None,
        charged: bool = True,
    ) -> Claim:
        """Take a stream over from its holder, and give back a charge whose points that holder did not commit.

        Args:
            account_id: its owner.
            stream_id: which.
            epoch: of the claim that is renewed; None takes the stream from any holder.
            charged: whether the holder's open charge may have been made.

        Raises:
            StreamNotFound: the account has no such stream.
            StreamSuperseded: it has been claimed since `epoch`.
        """
        async with transaction_within(self._engine, self._timeout_s) as connection:
            values = {"id": stream_id, "account_id": account_id, "epoch": epoch}
            row = (await connection.execute(_CLAIM, values)).one_or_none()
            if row is None:
                raise await _why_lost(connection, stream_id, account_id)
            claim = Claim(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name for it
            if claim.was_held:
                await self._close(connection, claim, charged=charged)
            await self._reserve(connection, claim)
        return claim

    async def append(self, claim: Claim, first: int, last: int, *, state: str, points: str, keep: int) -> None:
        """Move a stream from `first` - 1 to `last`, with the answers to these points.

        Args:
            claim: the holder's.
            first: sequence of the first point.
            last: sequence of the last point.
            state: of the filter after them.
            points: a JSON list of the answers.
            keep: points whose answers stay; those before them are dropped.

        Raises:
            StreamNotFound: the stream was deleted.
            StreamSuperseded: another connection has claimed it, it has not taken exactly `first` - 1 points, or the
                claim is too old (see `Claim`).
            StoreUnavailable: with `uncertain`, the points may have been taken: claim the stream again to know.
        """
        values = {"id": claim.id, "epoch": claim.epoch, "first": first, "last": last, "state": state}
        values |= {"debit": debit_id(claim.id, claim.epoch, first), "hold": self._limits.hold}
        values |= {"next_debit": debit_id(claim.id, claim.epoch, last + 1)}
        async with transaction_within(self._engine, self._timeout_s) as connection:
            if not await connection.scalar(_APPEND, {**values, "points": points, "keep": keep}):
                raise await _why_lost(connection, claim.id)

    async def release(self, claim: Claim) -> None:
        """Let a stream go in good order: this holder has made no charge for points that were not taken."""
        held = (KalmanStream.id == claim.id) & (KalmanStream.epoch == claim.epoch)
        async with transaction_within(self._engine, self._timeout_s) as connection:
            await connection.execute(update(KalmanStream).where(held).values(held=False))
            await connection.execute(_RELEASE, {"owner": owner_of(claim.id), "epoch": claim.epoch})

    async def answers(self, claim: Claim, after: int) -> Sequence[KeptAnswers]:
        """The kept answers that hold a point beyond `after`, oldest first.

        Raises:
            StreamNotFound: the stream was deleted.
            StreamSuperseded: another connection has claimed it.
        """
        kept = KalmanStreamAnswer
        query = (
            select(kept.first_sequence, kept.last_sequence, kept.points)
            .where(kept.stream_id == claim.id, kept.last_sequence > after)
            .order_by(kept.last_sequence)
        )
        async with transaction_within(self._engine, self._timeout_s) as connection:
            held = (KalmanStream.id == claim.id) & (KalmanStream.epoch == claim.epoch)
            if await connection.scalar(select(KalmanStream.id).where(held)) is None:
                raise await _why_lost(connection, claim.id)
            return [KeptAnswers(*row) for row in await connection.execute(query)]

    async def page(
        self, account_id: int, *, limit: int | None = None, after: tuple[datetime, uuid.UUID] | None = None
    ) -> list[StreamInfo]:
        """Streams of an account, the last used first; after the one with this `updated_at` and id."""
        columns = (
            KalmanStream.id,
            KalmanStream.model,
            KalmanStream.sequence,
            KalmanStream.created_at,
            KalmanStream.updated_at,
        )
        query = select(*columns).where(KalmanStream.account_id == account_id)
        if after is not None:
            used, last = after
            query = query.where(
                (KalmanStream.updated_at < used) | ((KalmanStream.updated_at == used) & (KalmanStream.id > last))
            )
        query = query.order_by(KalmanStream.updated_at.desc(), KalmanStream.id).limit(limit)
        async with transaction_within(self._engine, self._timeout_s) as connection:
            rows = await connection.execute(query)
            return [StreamInfo(*row) for row in rows]

    async def delete(self, account_id: int, stream_id: uuid.UUID) -> None:
        """Remove a stream and its answers.

        Raises:
            StreamNotFound: the account has no such stream.
        """
        mine = (KalmanStream.id == stream_id) & (KalmanStream.account_id == account_id)
        async with transaction_within(self._engine, self._timeout_s) as connection:
            epoch = await connection.scalar(delete(KalmanStream).where(mine).returning(KalmanStream.epoch))
            if epoch is None:
                raise StreamNotFound(stream_id)
            await lock_accounts(connection, [account_id])
            for hold in await holds.take_over(connection, owner_of(stream_id), epoch + 1):
                await holds.void(connection, hold)

    async def _reserve(self, connection: AsyncConnection, claim: Claim) -> None:
        """Write the hold of the next message, before it can be charged."""
        debit = debit_of(claim, claim.epoch)
        await holds.write(connection, debit, owner_of(claim.id), claim.epoch, self._limits.hold)

    @staticmethod
    async def _close(connection: AsyncConnection, claim: Claim, *, charged: bool) -> None:
        """Close what the holder before this claim left open."""
        await lock_accounts(connection, [claim.account_id])
        left = await holds.take_over(connection, owner_of(claim.id), claim.epoch)
        for hold in left:
            await (holds.void(connection, hold) if charged else holds.drop(connection, hold))
        if charged and not left:
            # The holder is of a release that wrote no holds, or its hold was overdue and is voided.
            await void(connection, debit_of(claim, claim.epoch - 1))

    async def _expire(self, connection: AsyncConnection, account_id: int) -> None:
        unused = (KalmanStream.account_id == account_id) & (KalmanStream.updated_at < func.now() - self._limits.unused)
        oldest = select(KalmanStream.id).where(unused).order_by(KalmanStream.updated_at).limit(EXPIRED_AT_ONCE)
        await connection.execute(delete(KalmanStream).where(KalmanStream.id.in_(oldest)))


async def _why_lost(
    connection: AsyncConnection, stream_id: uuid.UUID, account_id: int | None = None
) -> StreamNotFound | StreamSuperseded:
    """Why a claim does not hold: the stream is gone, or another's."""
    query = select(KalmanStream.id).where(KalmanStream.id == stream_id)
    if account_id is not None:
        query = query.where(KalmanStream.account_id == account_id)
    return StreamNotFound(stream_id) if await connection.scalar(query) is None else StreamSuperseded()
