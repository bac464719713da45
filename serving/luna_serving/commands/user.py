"""`luna user`: manages people without Kubernetes, and makes the links with which they set a password."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from luna_serving.access.people.passwords import Passwords, UnfitPassword
from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.stores import Answer, open_stores, take_effect
from luna_serving.settings import Argon2Settings
from luna_store.accounts.accounts import AccountNotFound, Accounts
from luna_store.accounts.api_keys import PepperMissing, Peppers
from luna_store.people.emails import InvalidEmail, normalised
from luna_store.people.links import PasswordLinks
from luna_store.people.memberships import Memberships, Source
from luna_store.people.users import User, UserExists, UserNotFound, Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from luna_serving.commands.servers import Servers
    from luna_store.accounts.cache import AccountCache
    from luna_store.people.roles import Role


class UserCommands:
    """The commands. Each change takes effect at once: it rebuilds the accounts' keys in Redis."""

    def __init__(
        self,
        users: Users,
        memberships: Memberships,
        links: PasswordLinks,
        accounts: Accounts,
        passwords: Passwords,
        cache: AccountCache,
    ) -> None:
        self._users = users
        self._memberships = memberships
        self._links = links
        self._accounts = accounts
        self._passwords = passwords
        self._cache = cache

    async def create(self, email: str, account: int | str | None, role: Role, password: str | None) -> Answer:
        """Make a user, and a member of an account if one is named."""
        # Looked up first: a user without the account that was asked for helps nobody.
        account_id = None if account is None else (await self._accounts.get(account)).id
        hashed = None if password is None else await self._passwords.hash(password, normalised(email))
        user = await self._users.create(email, hashed)
        text = f"User {user.email} was created."
        warning = None
        if account_id is not None:
            await self._memberships.put(account_id, user.email, role, Source.COMMAND)
            warning = await take_effect(self._cache, [account_id])
            text += f" Role in account {account_id}: {role.word}."
        if hashed is None:
            text += f"\nTo let them set a password: luna user link {user.email}"
        return Answer(await self._facts(user), text, warning)

    async def list_all(self) -> Answer:
        """List all users with their accounts."""
        facts = [await self._facts(user) for user in await self._users.list_all()]
        return Answer(facts, "\n".join(_line(each) for each in facts))

    async def set_disabled(self, email: str, *, disabled: bool) -> Answer:
        """Bar a person from signing in, ending all sessions, or admit them again."""
        stale = await self._users.set_disabled(email, disabled=disabled)
        warning = await take_effect(self._cache, stale)
        done = "is disabled: all sessions have ended" if disabled else "may sign in again"
        return Answer(await self._found(email), f"User {normalised(email)} {done}.", warning)

    async def set_password(self, email: str, password: str) -> Answer:
        """Set a password and end all sessions."""
        hashed = await self._passwords.hash(password, normalised(email))
        _, stale = await self._users.set_password(email, hashed)
        warning = await take_effect(self._cache, stale)
        text = f"User {normalised(email)} has a new password: all sessions have ended."
        return Answer(await self._found(email), text, warning)

    async def add_to(self, email: str, account: int | str, role: Role) -> Answer:
        """Give an address a role in an account; an invitation until there is such a user."""
        account_id = (await self._accounts.get(account)).id
        await self._memberships.put(account_id, email, role, Source.COMMAND)
        warning = await take_effect(self._cache, [account_id])
        return await self._member(account_id, normalised(email), warning)

    async def remove_from(self, email: str, account: int | str) -> Answer:
        """Take back the role that the command line gave."""
        account_id, address = (await self._accounts.get(account)).id, normalised(email)
        removed = await self._memberships.remove(account_id, address, Source.COMMAND)
        warning = await take_effect(self._cache, [account_id])
        if not removed:
            raise CommandFailed(await self._not_ours(account_id, address))
        return await self._member(account_id, address, warning)

    async def link(self, email: str, lifetime: timedelta, url: str) -> Answer:
        """Make a link with which the person sets a password, once."""
        token = await self._links.make(email, lifetime)
        link = f"{url.rstrip('/')}/set-password#{token}"
        facts = {"email": normalised(email), "link": link, "token": token}
        text = f"Send this to {normalised(email)}. It works once, for {lifetime}, and is shown only now:\n{link}"
        return Answer(facts, text)

    async def _member(self, account_id: int, email: str, warning: str | None) -> Answer:
        member = await self._memberships.find(account_id, email)
        if member is None:
            facts: dict[str, Any] = {"account_id": account_id, "email": email, "role": None}
            return Answer(facts, f"{email} is no longer a member of account {account_id}.", warning)
        sources = {source.value: role.word for source, role in member.sources.items()}
        facts = {"account_id": account_id, "email": email, "role": member.role.word, "sources": sources}
        invited = " (invited: there is no such user yet)" if member.invited else ""
        return Answer(
            facts | {"invited": member.invited},
            f"{email} has the role {member.role.word} in account {account_id}{invited}.",
            warning,
        )

    async def _not_ours(self, account_id: int, email: str) -> str:
        member = await self._memberships.find(account_id, email)
        if member is None:
            return f"{email} is not a member of account {account_id}."
        cures = {
            Source.RESOURCE: "edit spec.members of the Account",
            Source.ADMIN: "an admin removes them with DELETE /members/{email}",
            Source.PROVIDER: "change their groups at the OpenID provider",
        }
        return f"The command line did not make {email} a member: {'; '.join(cures[s] for s in member.sources)}."

    async def _found(self, email: str) -> dict[str, Any]:
        user = await self._users.find(normalised(email))
        if user is None:
            raise UserNotFound(email)
        return await self._facts(user)

    async def _facts(self, user: User) -> dict[str, Any]:
        accounts = await self._memberships.of_person(user.email)
        return {
            "id": str(user.id),
            "email": user.email,
            "has_password": user.password_hash is not None,
            "disabled_at": user.disabled_at,
            "created_at": user.created_at,
            "accounts": [{"account_id": own.account_id, "role": own.role.word} for own in accounts],
        }


@asynccontextmanager
async def user_commands(servers: Servers, argon2: Argon2Settings) -> AsyncIterator[UserCommands]:
    """Open what the commands need.

    Raises:
        CommandFailed: any error that the caller can correct.
    """
    known = (AccountNotFound, InvalidEmail, UnfitPassword, UserExists, UserNotFound)
    try:
        peppers = Peppers.parse(servers.peppers)
    except PepperMissing as error:
        raise CommandFailed(str(error)) from error
    passwords = Passwords(argon2)
    try:
        async with open_stores(servers, *known) as stores:
            engine = stores.engine
            yield UserCommands(
                Users(engine),
                Memberships(engine),
                PasswordLinks(engine),
                Accounts(engine, peppers),
                passwords,
                stores.cache,
            )
    finally:
        passwords.close()


def _line(facts: dict[str, Any]) -> str:
    roles = ", ".join(f"{own['account_id']} {own['role']}" for own in facts["accounts"]) or "no account"
    return f"{facts['email']:<32} {'disabled' if facts['disabled_at'] else 'active':<9} {roles}"
