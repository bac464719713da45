"""Signs people in and out: from a password or an identity to a session and its tokens."""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from luna_serving.access.credentials import Credential
from luna_serving.access.people.metrics import PeopleMetrics
from luna_serving.access.people.passwords import Passwords, UnfitPassword
from luna_serving.access.rebuilding import rebuild_at_once
from luna_serving.access.tokens import Token, Tokens
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem, SecretRefused
from luna_store.accounts.cache import AccountCache
from luna_store.audit.actors import Actor
from luna_store.people.links import LinkInvalid, PasswordLinks
from luna_store.people.memberships import Memberships, OwnAccount
from luna_store.people.roles import Role
from luna_store.people.sessions import Session, Sessions, TokenReused, UnknownToken
from luna_store.people.users import User, Users

log = logging.getLogger("luna.people")

WRONG = "The email address or the password is wrong."
LINK_INVALID = "The link is not valid, has expired, or was used. Ask for another one."
SIGN_IN_AGAIN = "The refresh token is not valid, has expired, or was used before. Sign in again."


@dataclass(frozen=True, slots=True, repr=False)
class SignedIn:
    """A session of a person with an account, with its tokens."""

    access_token: str
    expires_in: int
    """Seconds."""
    refresh_token: str
    token: Token
    """What the access token says."""

    @property
    def credential(self) -> Credential:
        """What a call with the access token presents."""
        return Credential.of_token(self.token)


class SignIn:
    """Begins, continues and ends sessions. Does not own its parts."""

    def __init__(
        self,
        users: Users,
        memberships: Memberships,
        sessions: Sessions,
        links: PasswordLinks,
        passwords: Passwords,
        tokens: Tokens,
        cache: AccountCache,
        metrics: PeopleMetrics,
    ) -> None:
        self._users = users
        self._memberships = memberships
        self._sessions = sessions
        self._links = links
        self._passwords = passwords
        self._tokens = tokens
        self._cache = cache
        self._metrics = metrics

    async def identified(self, email: str, password: str) -> User:
        """The person of a normalised address and a password. Takes the same time for unknown people.

        Raises:
            Problem: 401, one of them is wrong, or the person is disabled; 503.
        """
        user = await self._users.find(email)
        right, renewed = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or not right or user.disabled_at is not None:
            self._metrics.sign_ins["password", "refused"].inc()
            raise problems.unauthenticated(WRONG, SecretRefused)
        if renewed is not None and user.password_hash is not None:
            await self._users.rehash(user.id, user.password_hash, renewed)
        return user

    async def begin(self, user: User, account_id: int | None, *, by: str) -> SignedIn:
        """Begin a session of a recognised person.

        Args:
            user: the person.
            account_id: the account; None if the person is a member of one alone.
            by: how the person was recognised, `password` or the name of a provider.

        Raises:
            Problem: 403, the person is no member, or the account may not call; 422, an account must be named.
        """
        own = chosen(await self._memberships.of_person(user.email), account_id)
        session, refresh_token = await self._sessions.begin(user.id, own.account_id)
        await self.take_effect([own.account_id])
        self._metrics.sign_ins[by, "admitted"].inc()
        return self._signed_in(session, refresh_token, own.role)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """Rotate a refresh token and issue an access token with the person's present role.

        Raises:
            Problem: 401, it is not valid; 403, the account may not call.
        """
        session = await self._sessions.of_token(refresh_token)
        if session is None:
            raise problems.unauthenticated(SIGN_IN_AGAIN, SecretRefused)
        # Before the token is used: a suspended account's people keep theirs.
        role = await self._present_role(session)
        try:
            session, following = await self._sessions.rotate(refresh_token)
        except TokenReused as reused:
            await self.take_effect([session.account_id])
            self._metrics.reused.inc()
            log.warning("a refresh token was used twice: session %s has ended", session.id)
            raise problems.unauthenticated(SIGN_IN_AGAIN, SecretRefused) from reused
        except UnknownToken as unknown:
            raise problems.unauthenticated(SIGN_IN_AGAIN, SecretRefused) from unknown
        return self._signed_in(session, following, role)

    async def _present_role(self, session: Session) -> Role:
        user = await self._users.get(session.user_id)
        accounts = await self._memberships.of_person(user.email) if user else []
        if user is None or user.disabled_at is not None or all(o.account_id != session.account_id for o in accounts):
            await self.end(session)
            raise problems.unauthenticated("You are no longer a member of this account. Sign in again.")
        return chosen(accounts, session.account_id).role

    async def sign_out(self, refresh_token: str) -> None:
        """End the session of a refresh token; an unknown token ends nothing (RFC 7009, section 2.2)."""
        session = await self._sessions.of_token(refresh_token)
        if session is not None:
            await self.end(session)

    async def end(self, session: Session) -> None:
        """End a session, and its access tokens with it."""
        if await self._sessions.end(session):
            await self.take_effect([session.account_id])

    async def change_password(self, user_id: uuid.UUID, session: uuid.UUID, current: str, new: str) -> None:
        """Change a person's own password, and end their other sessions.

        Raises:
            Problem: 401, the person is gone; 422, the current password is wrong, or the new one unfit.
        """
        user = await self._users.get(user_id)
        if user is None:
            raise problems.unauthenticated("The user was deleted.")
        right, _ = await self._passwords.verify(current, user.password_hash)
        if not right:
            raise SecretRefused.of(problems.invalid(FieldError("/current_password", "Is not your password.")))
        hashed = await self._hashed(new, user.email)
        _, stale = await self._users.set_password(user.email, hashed, keep=session, by=Actor.user(user_id))
        await self.take_effect(stale)

    async def set_password(self, link: str, new: str) -> None:
        """Set a password with a link that an operator made; makes the user if there is none.

        Raises:
            Problem: 401, the link is not valid; 422, the password is unfit.
        """
        invalid = problems.unauthenticated(LINK_INVALID, SecretRefused)
        email = await self._links.email(link)
        if email is None:
            raise invalid
        hashed = await self._hashed(new, email)
        try:
            stale = await self._links.use(link, hashed)
        except LinkInvalid as e:
            raise invalid from e
        await self.take_effect(stale)

    async def _hashed(self, password: str, email: str) -> str:
        try:
            return await self._passwords.hash(password, email)
        except UnfitPassword as e:
            raise problems.invalid(FieldError("/new_password", str(e))) from e

    def _signed_in(self, session: Session, refresh_token: str, role: Role) -> SignedIn:
        token = Token(session.account_id, session.principal(role), role, session.user_id)
        return SignedIn(self._tokens.issue(token), self._tokens.lifetime_s, refresh_token, token)

    async def take_effect(self, accounts: Sequence[int]) -> None:
        """Rebuild accounts whose people have changed."""
        for account_id in accounts:
            await rebuild_at_once(self._cache, account_id)


def chosen(accounts: Sequence[OwnAccount], account_id: int | None) -> OwnAccount:
    """The account that a person signs in to.

    Raises:
        Problem: 403, the person is no member, or the account may not call; 422, an account must be named.
    """
    if not accounts:
        raise _no_membership("You are a member of no account. Ask an admin of the account, or the team that runs Luna.")
    if account_id is None and len(accounts) > 1:
        which = ", ".join(str(own.account_id) for own in accounts)
        raise problems.invalid(FieldError("/account_id", f"You are a member of several accounts. Name one: {which}."))
    own = accounts[0] if account_id is None else next((o for o in accounts if o.account_id == account_id), None)
    if own is None:
        raise _no_membership(f"You are not a member of account {account_id}. Ask an admin of that account.")
    if own.state != "active":
        raise problems.suspended()
    if own.expires_at is not None and own.expires_at <= datetime.now(UTC):
        raise problems.expired()
    return own


def _no_membership(detail: str) -> Problem:
    return Problem("no-membership", 403, "You are not a member of the account.", detail)
