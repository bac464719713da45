"""Members that admins of an account keep over HTTP: changes with the source `admin`, and the rules for them."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.accounts import AccountNotFound
from luna_store.accounts.rows import mark_stale
from luna_store.accounts.tables import Account
from luna_store.audit.actors import Actor, acting_as
from luna_store.people.memberships import Member, Source, give, members, take_back
from luna_store.people.roles import Role
from luna_store.people.tables import Membership, User

# Addresses of an account. A team has tens; a list that grows without end is a mistake of a program.
MOST_MEMBERS: Final = 1000


class MemberNotFound(Exception):
    """The address has no role in the account."""

    def __init__(self, email: str) -> None:
        super().__init__(f"{email} is not a member of the account.")


class MemberManaged(Exception):
    """The role was given elsewhere, and is taken back there."""

    def __init__(self, member: Member) -> None:
        super().__init__(f"{member.email} has the role from {', '.join(member.sources)}.")
        self.member = member


class LastAdmin(Exception):
    """Nobody would be left who can keep the account's members; make another user an admin first."""


class TooManyMembers(Exception):
    """The account has as many members as it may have; remove one first."""


class OwnMembers:
    """Changes of an account's members by its admins. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, account_id: int, email: str, role: Role, by: Actor) -> tuple[Member, bool]:
        """Give a normalised address a role, for the audit log `by` an actor; the account then has to be rebuilt.

        Returns:
            The member with all its sources, and whether the address is new to the account.

        Raises:
            AccountNotFound: there is no such account, or it was ended.
            LastAdmin, TooManyMembers: nothing changed.
        """
        async with self._engine.begin() as connection:
            await _lock(connection, account_id)
            await acting_as(connection, by)
            before = await members(connection, Membership.account_id == account_id, Membership.email == email)
            if not before and await _count(connection, account_id) >= MOST_MEMBERS:
                raise TooManyMembers
            admins = await _admins(connection, account_id)
            await give(connection, account_id, email, role, Source.ADMIN)
            await _require_admin(connection, account_id, admins)
            after = await members(connection, Membership.account_id == account_id, Membership.email == email)
            return after[0], not before

    async def remove(self, account_id: int, email: str, by: Actor) -> None:
        """Take back the role that admins gave a normalised address, `by` an actor; the account has to be rebuilt.

        Raises:
            AccountNotFound: there is no such account, or it was ended.
            MemberNotFound, MemberManaged, LastAdmin: nothing changed.
        """
        async with self._engine.begin() as connection:
            await _lock(connection, account_id)
            await acting_as(connection, by)
            found = await members(connection, Membership.account_id == account_id, Membership.email == email)
            if not found:
                raise MemberNotFound(email)
            if Source.ADMIN not in found[0].sources:
                raise MemberManaged(found[0])
            admins = await _admins(connection, account_id)
            await take_back(connection, account_id, [email], Source.ADMIN)
            await _require_admin(connection, account_id, admins)


async def _lock(connection: AsyncConnection, account_id: int) -> None:
    if not await mark_stale(connection, account_id, Account.state != "revoked"):
        raise AccountNotFound(account_id)


async def _count(connection: AsyncConnection, account_id: int) -> int:
    counted = select(func.count(Membership.email.distinct())).where(Membership.account_id == account_id)
    return await connection.scalar(counted) or 0


async def _admins(connection: AsyncConnection, account_id: int) -> Sequence[str]:
    """The admins who can sign in: an invitation keeps no members."""
    query = (
        select(Membership.email)
        .distinct()
        .join(User, User.email == Membership.email)
        .where(Membership.account_id == account_id, Membership.role == Role.ADMIN.word, User.disabled_at.is_(None))
    )
    return list(await connection.scalars(query))


async def _require_admin(connection: AsyncConnection, account_id: int, before: Sequence[str]) -> None:
    if before and not await _admins(connection, account_id):
        raise LastAdmin
