"""Sessions and their rotating refresh tokens (RFC 9700, section 4.14.2: rotation with reuse detection)."""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.rows import mark_stale
from luna_store.audit.log import record
from luna_store.people.roles import Role
from luna_store.people.tables import Membership, PasswordLink, RefreshToken, User
from luna_store.people.tables import Session as SessionTable

# So that scanners for leaked secrets recognise one.
REFRESH_PREFIX: Final = "luna_refresh_"


class UnknownToken(Exception):
    """The refresh token was never issued, has expired, or its session has ended; sign in again."""


class TokenReused(Exception):
    """A refresh token was presented twice, so somebody else may have it: its session has ended; sign in again."""

    def __init__(self, session: "Session") -> None:
        super().__init__("The refresh token was used before.")
        self.session = session


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of a person to one account."""

    id: uuid.UUID
    user_id: uuid.UUID
    account_id: int
    expires_at: datetime

    def principal(self, role: Role) -> str:
        """The session with its role, as the account's Redis hash and the view `live_sessions` name it."""
        return f"session:{self.id.hex}:{role.word}"


COLUMNS = [getattr(SessionTable, name) for name in Session.__slots__]


class Sessions:
    """The repository of sessions. Does not own the engine."""

    def __init__(
        self, engine: AsyncEngine, *, lifetime: timedelta, refresh_lifetime: timedelta, most_per_person: int
    ) -> None:
        """Wire it.

        Args:
            engine: the database.
            lifetime: of a session, however active.
            refresh_lifetime: of a refresh token that is not used.
            most_per_person: live sessions of a person in an account; the oldest end when more begin.
        """
        self._engine = engine
        self._lifetime = lifetime
        self._refresh_lifetime = refresh_lifetime
        self._most = most_per_person

    async def begin(self, user_id: uuid.UUID, account_id: int) -> tuple[Session, str]:
        """Begin a session; returns it with its first refresh token. The account then has to be rebuilt."""
        async with self._engine.begin() as connection:
            await mark_stale(connection, account_id)
            await self._end_oldest(connection, user_id, account_id)
            made = insert(SessionTable).values(
                user_id=user_id, account_id=account_id, expires_at=func.now() + self._lifetime
            )
            row = (await connection.execute(made.returning(*COLUMNS))).one()
            session = Session(*row)
            return session, await self._new_token(connection, session)

    async def rotate(self, presented: str) -> tuple[Session, str]:
        """Take a refresh token and give the next one of its session.

        Raises:
            UnknownToken: it is not valid.
            TokenReused: it was valid once; its session has ended, and the account has to be rebuilt.
        """
        try:
            async with self._engine.begin() as connection:
                session = await self._used(connection, presented)
                return session, await self._new_token(connection, session)
        except TokenReused as reused:
            await self.end(reused.session, reused=True)
            raise

    async def of_token(self, presented: str) -> Session | None:
        """The session of a refresh token, used or not, live or not."""
        query = select(*COLUMNS).join(RefreshToken).where(RefreshToken.digest == digest(presented))
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return Session(*row) if row else None

    async def end(self, session: Session, *, reused: bool = False) -> bool:
        """End a session; False if it had ended. The account then has to be rebuilt.

        Args:
            session: the session.
            reused: a refresh token of it was used twice, which the audit log shows.
        """
        live = (SessionTable.id == session.id) & SessionTable.ended_at.is_(None)
        async with self._engine.begin() as connection:
            # The account's row first, as everywhere.
            await mark_stale(connection, session.account_id)
            ended = await connection.execute(update(SessionTable).where(live).values(ended_at=func.now()))
            if reused and ended.rowcount:
                email = await connection.scalar(select(User.email).where(User.id == session.user_id))
                after = {"session": str(session.id)}
                await record(
                    connection, "session.reused", account_id=session.account_id, subject=str(email), after=after
                )
            return ended.rowcount > 0

    async def _used(self, connection: AsyncConnection, presented: str) -> Session:
        query = (
            select(*COLUMNS, SessionTable.ended_at, RefreshToken.used_at, RefreshToken.expires_at, func.now())
            .join(RefreshToken, RefreshToken.session_id == SessionTable.id)
            .where(RefreshToken.digest == digest(presented))
            # Two that present one token at once: the second sees that the first used it.
            .with_for_update(of=RefreshToken)
        )
        row: Sequence[Any] | None = (await connection.execute(query)).one_or_none()
        if row is None:
            raise UnknownToken
        *identity, ended_at, used_at, expires_at, now = row
        session = Session(*identity)
        if ended_at is not None or session.expires_at <= now:
            raise UnknownToken
        if used_at is not None:
            raise TokenReused(session)
        if expires_at <= now:
            raise UnknownToken
        used = RefreshToken.digest == digest(presented)
        await connection.execute(update(RefreshToken).where(used).values(used_at=func.now()))
        return session

    async def _new_token(self, connection: AsyncConnection, session: Session) -> str:
        token = REFRESH_PREFIX + secrets.token_urlsafe(32)
        until = func.least(func.now() + self._refresh_lifetime, session.expires_at)
        values = {"digest": digest(token), "session_id": session.id, "expires_at": until}
        await connection.execute(insert(RefreshToken).values(**values))
        return token

    async def _end_oldest(self, connection: AsyncConnection, user_id: uuid.UUID, account_id: int) -> None:
        of_person = (
            (SessionTable.user_id == user_id)
            & (SessionTable.account_id == account_id)
            & SessionTable.ended_at.is_(None)
            & (SessionTable.expires_at > func.now())
        )
        newest = select(SessionTable.id).where(of_person).order_by(SessionTable.created_at.desc())
        kept = newest.limit(self._most - 1).scalar_subquery()
        more = of_person & SessionTable.id.not_in(kept)
        await connection.execute(update(SessionTable).where(more).values(ended_at=func.now()))


def digest(token: str) -> str:
    """The digest under which a random token is stored."""
    return sha256(token.encode()).hexdigest()


async def end_of_former_members(connection: AsyncConnection, account_id: int) -> None:
    """End the live sessions of people who have no role in an account any more; the caller has locked the account.

    They act for nobody either way. Ended, they do not come back if the person becomes a member again.
    """
    live = (SessionTable.account_id == account_id) & SessionTable.ended_at.is_(None)
    role = (
        select(Membership.email)
        .join(User, User.email == Membership.email)
        .where(Membership.account_id == account_id, User.id == SessionTable.user_id)
    )
    await connection.execute(update(SessionTable).where(live, ~role.exists()).values(ended_at=func.now()))


async def remove_old(connection: AsyncConnection, kept: timedelta) -> None:
    """Remove sessions and links that ended before `kept` ago. A session's tokens stay as long: they detect reuse."""
    over = func.least(SessionTable.expires_at, SessionTable.ended_at) < func.now() - kept
    await connection.execute(delete(SessionTable).where(over))
    await connection.execute(delete(PasswordLink).where(PasswordLink.expires_at < func.now() - kept))
