"""Memberships in Postgres: which email address has which role in which account, and who said so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.accounts import AccountNotFound
from luna_store.accounts.rows import mark_stale
from luna_store.accounts.tables import Account
from luna_store.people.emails import normalised
from luna_store.people.roles import Role
from luna_store.people.sessions import end_of_former_members
from luna_store.people.tables import Membership, User


class Source(StrEnum):
    """Who gave a role, and alone changes it."""

    RESOURCE = "resource"
    """`spec.members` of the Account: the operator."""
    ADMIN = "admin"
    """An admin of the account, over HTTP."""
    COMMAND = "command"
    """`luna user`."""
    PROVIDER = "provider"
    """The claims of an OpenID provider."""


@dataclass(frozen=True, slots=True)
class Member:
    """An email address with a role in an account."""

    email: str
    role: Role
    """The greatest of all sources."""
    sources: Mapping[Source, Role]
    since: datetime
    invited: bool
    """Whether no user has the address yet."""


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """An account that a person is a member of."""

    account_id: int
    account_name: str
    display_name: str
    role: Role
    state: str
    expires_at: datetime | None


RANK = case(*((Membership.role == role.word, int(role)) for role in Role))


class Memberships:
    """The repository of memberships. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_person(self, email: str) -> list[OwnAccount]:
        """The accounts of a normalised address that are not revoked, by id."""
        query = (
            select(
                Account.id,
                Account.account_name,
                Account.display_name,
                func.max(RANK),
                Account.state,
                Account.expires_at,
            )
            .join(Membership, Membership.account_id == Account.id)
            .where(Membership.email == email, Account.state != "revoked")
            .group_by(Account.id)
            .order_by(Account.id)
        )
        async with self._engine.connect() as connection:
            found = await connection.execute(query)
            return [OwnAccount(row[0], row[1], row[2], Role(row[3]), row[4], row[5]) for row in found]

    async def of_account(self, account_id: int, *, after: str = "", limit: int = 1000) -> list[Member]:
        """Members and invitations of an account whose address follows `after`, by address."""
        some = (
            select(Membership.email)
            .where(Membership.account_id == account_id, Membership.email > after)
            .distinct()
            .order_by(Membership.email)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return await members(connection, Membership.account_id == account_id, Membership.email.in_(some))

    async def find(self, account_id: int, email: str) -> Member | None:
        """The member of a normalised address."""
        async with self._engine.connect() as connection:
            found = await members(connection, Membership.account_id == account_id, Membership.email == email)
            return found[0] if found else None

    async def put(self, account_id: int, email: str, role: Role, source: Source) -> bool:
        """Give an address a role; True if that changed something. The account then has to be rebuilt.

        Raises:
            InvalidEmail: it is no address.
            AccountNotFound: there is no such account.
        """
        async with self._engine.begin() as connection:
            if not await mark_stale(connection, account_id):
                raise AccountNotFound(account_id)
            return await give(connection, account_id, normalised(email), role, source)

    async def remove(self, account_id: int, email: str, source: Source) -> bool:
        """Take back the role that a source gave an address; True if it had. The account then has to be rebuilt."""
        async with self._engine.begin() as connection:
            await mark_stale(connection, account_id)
            return await take_back(connection, account_id, [email], source) > 0


async def give(connection: AsyncConnection, account_id: int, email: str, role: Role, source: Source) -> bool:
    """Give a normalised address a role in an account whose row the caller has locked."""
    values = {"account_id": account_id, "email": email, "source": source.value, "role": role.word}
    statement = insert(Membership).values(**values)
    same = statement.on_conflict_do_update(
        index_elements=["account_id", "email", "source"],
        set_={"role": role.word},
        where=Membership.role != role.word,
    )
    return (await connection.execute(same)).rowcount > 0


async def take_back(connection: AsyncConnection, account_id: int, emails: Sequence[str], source: Source) -> int:
    """Take back what a source gave some normalised addresses; the caller has locked the account.

    People who have no role any more are signed out of the account.
    """
    of_source = (Membership.account_id == account_id) & (Membership.source == source.value)
    removed = await connection.execute(delete(Membership).where(of_source, Membership.email.in_(emails)))
    if removed.rowcount:
        await end_of_former_members(connection, account_id)
    return removed.rowcount


async def members(connection: AsyncConnection, *which: ColumnElement[bool]) -> list[Member]:
    """The members of one account that fulfil all conditions, by address."""
    query = (
        select(Membership.email, Membership.source, Membership.role, Membership.created_at, User.id)
        .outerjoin(User, User.email == Membership.email)
        .where(*which)
        .order_by(Membership.email, Membership.source)
    )
    found = []
    for email, rows in groupby(await connection.execute(query), key=lambda row: row.email):
        of_email = list(rows)
        sources = {Source(row.source): Role.of(row.role) for row in of_email}
        since = min(row.created_at for row in of_email)
        found.append(Member(email, max(sources.values()), sources, since, of_email[0].id is None))
    return found
