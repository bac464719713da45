"""The sign-in through a provider: begun with a redirect to it, finished by its callback."""

import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from luna_serving.access.people.metrics import PeopleMetrics
from luna_serving.access.people.openid import refusals
from luna_serving.access.people.openid.claims import roles, verified_email
from luna_serving.access.people.openid.id_token import InvalidIdToken
from luna_serving.access.people.openid.metadata import InvalidDocument, Metadata
from luna_serving.access.people.openid.pending import Pending, PendingSignIns, digest
from luna_serving.access.people.openid.provider import CodeRefused, OpenIdProvider
from luna_serving.access.people.openid.requests import ProviderGone
from luna_serving.settings.openid import Provider
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.audit.actors import Actor
from luna_store.people.identities import (
    EmailUnverified,
    Identities,
    NoMembership,
    NotLinked,
    Presented,
    Recognised,
    Terms,
    UserDisabled,
)

log = logging.getLogger("luna.openid")

# RFC 6749, section 4.1.2.1: at most this is repeated of what a callback says.
ERROR: Final = re.compile(r"[a-z_]{1,64}")
# The provider is not able to answer at the moment.
TEMPORARY: Final = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """A sign-in that has begun."""

    location: str
    """Where the provider asks the person."""
    cookie_name: str
    cookie: str
    """Binds the callback to this browser."""


@dataclass(frozen=True, slots=True, repr=False)
class Callback:
    """What a provider sends back through the browser."""

    state: str
    code: str | None
    error: str | None
    issuer: str | None
    cookies: Mapping[str, str]


class OpenIdFlow:
    """Begins and finishes sign-ins. Owns its providers."""

    def __init__(
        self,
        providers: Mapping[str, OpenIdProvider],
        pending: PendingSignIns,
        identities: Identities,
        metrics: PeopleMetrics,
        cookie_prefix: str,
    ) -> None:
        """Wire it.

        Args:
            providers: by name.
            pending: keeps sign-ins that have begun.
            identities: who people are.
            metrics: what is counted.
            cookie_prefix: of the names of cookies.
        """
        self._providers = providers
        self._pending = pending
        self._identities = identities
        self._metrics = metrics
        self._cookie_prefix = cookie_prefix
        self._terms = {name: _terms(name, providers) for name in providers}

    @property
    def settings(self) -> Mapping[str, Provider]:
        """The settings of each provider."""
        return {name: provider.settings for name, provider in self._providers.items()}

    def cookie_name(self, state: str) -> str:
        """The cookie of a sign-in: each has its own, so that two may be under way in one browser."""
        return f"{self._cookie_prefix}luna-oidc-{digest(state)[:16]}"

    async def reached(self, name: str) -> Metadata:
        """What a provider says of itself. Asked for first: one that is gone costs no memory in Redis.

        Raises:
            Problem: 404, there is no such provider; 503, it does not answer.
        """
        with self._as_problems(name):
            return await self._provider(name).metadata()

    async def begin(self, name: str, metadata: Metadata, account_id: int | None, address: str) -> Begun:
        """Begin a sign-in.

        Args:
            name: of the provider.
            metadata: of the provider.
            account_id: the account to sign in to, if the person names one.
            address: the caller's.

        Raises:
            TooManyStarts: the address began too many.
            RedisError: Redis did not answer.
        """
        cookie = secrets.token_urlsafe(32)
        begun = Pending(name, account_id, secrets.token_urlsafe(32), secrets.token_urlsafe(48), digest(cookie))
        state = await self._pending.keep(begun, address)
        location = self._provider(name).authorization_url(metadata, begun, state)
        return Begun(location, self.cookie_name(state), cookie)

    async def taken(self, name: str, callback: Callback) -> Pending:
        """The sign-in that a callback belongs to, which no later one can take again.

        Raises:
            Problem: 403, this browser has not begun it; 404.
            RedisError: Redis did not answer.
        """
        self._provider(name)
        cookie = callback.cookies.get(self.cookie_name(callback.state))
        # Without the cookie it is left to the browser that began it.
        found = None if cookie is None else await self._pending.take(callback.state)
        if found is None or cookie is None or found.provider != name or not found.of_browser(cookie):
            raise self._refused(name, refusals.unknown_sign_in(name))
        return found

    async def presented(self, name: str, callback: Callback, pending: Pending) -> Presented:
        """The person whom the provider sends back, verified.

        Raises:
            Problem: 403, it let nobody in, or what it sent cannot be verified; 503, it does not answer.
        """
        provider = self._provider(name)
        with self._as_problems(name):
            metadata = await provider.metadata()
            if callback.issuer != metadata.issuer and (callback.issuer is not None or metadata.names_itself):
                # RFC 9207: another provider's answer.
                raise InvalidIdToken("the callback names another issuer")
            if callback.error is not None or not callback.code:
                raise self._error(name, callback.error)
            claims = await provider.claims(callback.code, pending)
        settings = provider.settings
        return Presented(metadata.issuer, claims["sub"], verified_email(claims, settings), roles(claims, settings))

    async def recognised(self, name: str, presented: Presented, request_id: str) -> Recognised:
        """The user of a person. The audit log names the provider, and the request, for what changes.

        Raises:
            Problem: 403, the person may not sign in.
        """
        with self._as_problems(name):
            return await self._identities.recognise(presented, self._terms[name], Actor.provider(name, request_id))

    async def close(self) -> None:
        """Close the connections to providers."""
        for provider in self._providers.values():
            await provider.close()

    def _provider(self, name: str) -> OpenIdProvider:
        try:
            return self._providers[name]
        except KeyError:
            raise problems.not_found("There is no such provider. GET /api/v1/auth/providers lists them.") from None

    def _error(self, name: str, error: str | None) -> Problem:
        if error in TEMPORARY:
            return problems.dependencies_gone(f"The OpenID provider {name}")
        found = error if error is not None and ERROR.fullmatch(error) else "without a code"
        return self._refused(name, refusals.denied(name, found))

    def _refused(self, name: str, problem: Problem) -> Problem:
        self._metrics.sign_ins[name, "refused"].inc()
        return problem

    @contextmanager
    def _as_problems(self, name: str) -> Iterator[None]:
        """Turn what may go wrong into problems."""
        try:
            yield
        except ProviderGone as e:
            log.warning("the OpenID provider %s cannot be reached: %s", name, e)
            raise problems.dependencies_gone(f"The OpenID provider {name}") from e
        except InvalidDocument as e:
            log.error("the OpenID provider %s cannot be used: %s", name, e)  # noqa: TRY400  it says what is wrong
            raise refusals.unusable(name) from e
        except CodeRefused as e:
            log.warning("the OpenID provider %s refused a code: %s", name, e)
            raise self._refused(name, refusals.unverifiable(name, "The provider did not accept its code.")) from e
        except InvalidIdToken as e:
            log.warning("an ID token of the OpenID provider %s was refused: %s", name, e)
            raise self._refused(name, refusals.unverifiable(name, f"Its ID token was refused: {e}.")) from e
        except EmailUnverified as e:
            raise self._refused(name, refusals.email_not_verified()) from e
        except NotLinked as e:
            raise self._refused(name, refusals.not_linked(e.email)) from e
        except NoMembership as e:
            raise self._refused(name, refusals.no_membership()) from e
        except UserDisabled as e:
            raise self._refused(name, refusals.disabled()) from e


def _terms(name: str, providers: Mapping[str, OpenIdProvider]) -> Terms:
    own = {rule.account for rule in providers[name].settings.roles}
    others = {rule.account for each in providers.values() for rule in each.settings.roles}
    settings = providers[name].settings
    return Terms(settings.link_existing, settings.sign_up, others - own)
