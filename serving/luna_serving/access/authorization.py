"""Authenticates callers and reads the standing of their accounts."""

from luna_serving.access.charges import Charges
from luna_serving.access.credentials import BEARER, Authenticator, Credential
from luna_serving.access.denials import Charge, Denials
from luna_serving.wire import problems
from luna_store.people.roles import Role
from luna_store.quota.debits import Grant, Standing


class Authorization:
    """Finds the credential of a request, its account, and the account's standing."""

    def __init__(self, authenticator: Authenticator, charges: Charges, denials: Denials) -> None:
        self._authenticator = authenticator
        self._charges = charges
        self._denials = denials

    def read(self, headers: dict[bytes, bytes], schemes: frozenset[str] = BEARER) -> Credential:
        """The credential in a request's headers.

        Args:
            headers: by name, in lower case.
            schemes: of Authorization that the route takes.

        Raises:
            Problem: 401, it is missing or malformed.
        """
        return self._authenticator.read(headers.get(b"x-api-key"), headers.get(b"authorization"), schemes)

    def owner_of(self, credential: Credential) -> int | None:
        """The account of a credential that was recognised before; asks no store."""
        return self._denials.owners.of(credential)

    async def identify(self, credential: Credential) -> int:
        """The account that a credential belongs to.

        Raises:
            Problem: 401 if it is unknown, 503 while no store answers.
        """
        return await self._denials.identify(credential)

    async def standing(
        self, credential: Credential, account_id: int, route: str, grant: Grant | None = None
    ) -> Standing:
        """The standing of an account, for a caller who may see it; takes nothing.

        Args:
            credential: the caller's.
            account_id: the account.
            route: as debits name it.
            grant: what the account must have been granted; None for nothing.

        Raises:
            Denied: 403 or 404, as for a call before its rate and quota are checked.
            Problem: 401 or 503.
        """
        return await self._charges.take(Charge.nothing(credential, account_id, route, grant))

    @staticmethod
    def require(credential: Credential, least: Role) -> None:
        """Check the caller's role against the least that a route needs.

        Raises:
            Problem: 403.
        """
        if credential.role < least:
            raise problems.role_needed(least.word, credential.role.word, person=credential.user_id is not None)

    async def own_standing(self, headers: dict[bytes, bytes]) -> Standing | None:
        """The standing of the account whose credential is in these headers, whatever the path.

        None while no store can tell.

        Raises:
            Problem: 401 or 503.
        """
        credential = self.read(headers)
        return await self._denials.own_standing(credential, await self.identify(credential))

    async def may_know(self, credential: Credential) -> bool:
        """Whether Redis knows a credential, or cannot tell; does not ask Postgres."""
        return await self._denials.may_know(credential)
