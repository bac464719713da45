"""Links with which a person sets a password once.

Only the administrators of Luna make them (`luna user link`): an admin of an account who could make one for any address
could sign in as that person to other accounts.
"""

import secrets
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.audit.actors import Actor, acting_as
from luna_store.people import users
from luna_store.people.emails import normalised
from luna_store.people.sessions import digest
from luna_store.people.tables import PasswordLink, User

LINK_PREFIX: Final = "luna_link_"


class LinkInvalid(Exception):
    """The link was never made, has expired or was used; ask for another."""


class PasswordLinks:
    """The repository of links. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def make(self, email: str, lifetime: timedelta) -> str:
        """Make a link for an address and end its earlier ones; returns its token, which is not stored.

        Raises:
            InvalidEmail: it is no address.
        """
        token, address = LINK_PREFIX + secrets.token_urlsafe(32), normalised(email)
        open_ones = (PasswordLink.email == address) & PasswordLink.used_at.is_(None)
        values = {"digest": digest(token), "email": address, "expires_at": func.now() + lifetime}
        async with self._engine.begin() as connection:
            await connection.execute(update(PasswordLink).where(open_ones).values(used_at=func.now()))
            await connection.execute(insert(PasswordLink).values(**values))
        return token

    async def email(self, token: str) -> str | None:
        """The address of a link that may be used."""
        async with self._engine.connect() as connection:
            return await connection.scalar(select(PasswordLink.email).where(*_usable(token)))

    async def use(self, token: str, password_hash: str) -> list[int]:
        """Use a link: set the password of its address, ending all sessions; makes the user if there is none.

        Returns:
            The accounts to rebuild.

        Raises:
            LinkInvalid: it may not be used, or was used a moment ago.
        """
        async with self._engine.begin() as connection:
            used = update(PasswordLink).where(*_usable(token)).values(used_at=func.now())
            email = await connection.scalar(used.returning(PasswordLink.email))
            if email is None:
                raise LinkInvalid
            await acting_as(connection, Actor.link(email))
            if await users.created(connection, email, password_hash) is not None:
                return []
            user = await users.find(connection, User.email == email)
            assert user is not None  # noqa: S101  users are never deleted by address
            stale = await users.end_sessions(connection, user.id)
            await users.store_password(connection, user.id, password_hash)
            return stale


def _usable(token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        PasswordLink.digest == digest(token),
        PasswordLink.used_at.is_(None),
        PasswordLink.expires_at > func.now(),
    )
