"""People of OpenID providers: who they are here, and the roles that their claims give them.

Issuer and subject identify a person (OpenID Connect Core 1.0, section 5.7). The verified address only links them to a
user at the first sign-in; a later change of the address at the provider changes nothing here.
"""

import uuid
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.rows import mark_stale
from luna_store.accounts.tables import Account
from luna_store.audit.actors import Actor, acting_as
from luna_store.people import users
from luna_store.people.memberships import Source, give, take_back
from luna_store.people.roles import Role
from luna_store.people.tables import Identity, Membership
from luna_store.people.tables import User as UserTable
from luna_store.people.users import User


class EmailUnverified(Exception):
    """The person is new here, and the provider vouches for no address; verify one there."""


class NotLinked(Exception):
    """The address is a user's who signs in another way; sign in that way, or allow the link."""

    def __init__(self, email: str) -> None:
        super().__init__(f"{email} signs in another way.")
        self.email = email


class NoMembership(Exception):
    """The person is new here and a member of no account; an admin of one invites them."""


class UserDisabled(Exception):
    """The person may not sign in."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A person as a provider presents them."""

    issuer: str
    subject: str
    email: str | None
    """Normalised; None unless the provider vouches for it."""
    roles: Mapping[str, Role]
    """By the account's name: what the claims give."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a provider may do."""

    link_existing: bool
    """Link a user who has a password or another identity."""
    sign_up: bool
    """Make a user of a person without any membership."""
    elsewhere: AbstractSet[str]
    """Names of accounts in which only other providers give roles: these are left as they are."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A user, and the accounts to rebuild."""

    user: User
    stale: Sequence[int]


class Identities:
    """The repository of identities. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def recognise(self, presented: Presented, terms: Terms, by: Actor) -> Recognised:
        """The user of a person, who is linked or made at the first sign-in; gives and takes back roles of the claims.

        Raises:
            EmailUnverified, NotLinked, NoMembership, UserDisabled: they may not sign in; nothing has changed.
        """
        async with self._engine.begin() as connection:
            await acting_as(connection, by)
            user = await _of_identity(connection, presented)
            known = user is not None
            if user is None:
                user = await _of_email(connection, presented, terms)
            email = user.email if user is not None else presented.email
            if user is not None and user.disabled_at is not None:
                raise UserDisabled
            if email is None:
                raise EmailUnverified
            stale = await _reconcile(connection, email, presented.roles, terms.elsewhere)
            if user is None:
                user = await _made(connection, email, sign_up=terms.sign_up)
            if not known:
                await _link(connection, presented, user.id)
            return Recognised(user, stale)


async def _of_identity(connection: AsyncConnection, presented: Presented) -> User | None:
    same = (Identity.issuer == presented.issuer) & (Identity.subject == presented.subject)
    of_identity = select(Identity.user_id).where(same).scalar_subquery()
    return await users.find(connection, UserTable.id == of_identity)


async def _of_email(connection: AsyncConnection, presented: Presented, terms: Terms) -> User | None:
    """The user of the verified address, who may be linked; None if there is none.

    Raises:
        EmailUnverified: there is no verified address.
        NotLinked: the user may not be linked.
    """
    if presented.email is None:
        raise EmailUnverified
    user = await users.find(connection, UserTable.email == presented.email)
    if user is None:
        return None
    issuers = set(await connection.scalars(select(Identity.issuer).where(Identity.user_id == user.id)))
    # Another subject of the same issuer is another person, to whom the address was given later.
    reassigned = presented.issuer in issuers
    settled = bool(issuers) or user.password_hash is not None
    if reassigned or (settled and not terms.link_existing):
        raise NotLinked(user.email)
    return user


async def _made(connection: AsyncConnection, email: str, *, sign_up: bool) -> User:
    invited = await connection.scalar(select(exists().where(Membership.email == email)))
    if not invited and not sign_up:
        raise NoMembership
    # None: made by another sign-in a moment ago, under rules of its own.
    user = await users.created(connection, email, None)
    if user is None:
        raise NotLinked(email)
    return user


async def _link(connection: AsyncConnection, presented: Presented, user_id: uuid.UUID) -> None:
    values = {"issuer": presented.issuer, "subject": presented.subject, "user_id": user_id}
    linked = await connection.execute(insert(Identity).values(**values).on_conflict_do_nothing())
    if not linked.rowcount:
        raise NotLinked("The person")


async def _reconcile(
    connection: AsyncConnection, email: str, roles: Mapping[str, Role], elsewhere: AbstractSet[str]
) -> list[int]:
    """Make the memberships of the source `provider` what the claims give, except in accounts of other providers.

    Returns:
        The accounts that changed, locked and marked stale.
    """
    of_provider = (Membership.email == email) & (Membership.source == Source.PROVIDER.value)
    held = {
        row.account_name: (row.id, row.role)
        for row in await connection.execute(
            select(Account.account_name, Account.id, Membership.role)
            .join(Membership, Membership.account_id == Account.id)
            .where(of_provider)
        )
        if row.account_name not in elsewhere
    }
    named = await connection.execute(
        select(Account.account_name, Account.id).where(Account.account_name.in_(roles), Account.state != "revoked")
    )
    wanted = {row.account_name: (row.id, roles[row.account_name].word) for row in named}
    changed = sorted({**held, **wanted}[name][0] for name in {**held, **wanted} if held.get(name) != wanted.get(name))
    by_id = {account_id: roles[name] for name, (account_id, _) in wanted.items()}
    for account_id in changed:
        await mark_stale(connection, account_id)
        if account_id in by_id:
            await give(connection, account_id, email, by_id[account_id], Source.PROVIDER)
        else:
            await take_back(connection, account_id, [email], Source.PROVIDER)
    return changed
