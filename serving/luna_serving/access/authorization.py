"""Who is calling, and how their account stands."""

from luna_serving.access.charges import Charges
from luna_serving.access.credentials import Authenticator, Credential
from luna_serving.access.denials import Charge, Denials
from luna_serving.wire.problems import Problem
from luna_store.quota.debits import Standing


class Authorization:
    """Authenticates callers, and reads the standing of their accounts."""

    def __init__(self, authenticator: Authenticator, charges: Charges, denials: Denials) -> None:
        self._authenticator = authenticator
        self._charges = charges
        self._denials = denials

    def read(self, headers: dict[bytes, bytes]) -> Credential:
        """The credential in a request's headers.

        Raises:
            Problem: 401, there is none or it cannot be one.
        """
        return self._authenticator.read(headers.get(b"x-api-key"), headers.get(b"authorization"))

    async def identify(self, credential: Credential) -> int:
        """The account that a credential belongs to.

        Raises:
            Problem: 401 if it is nobody's, 503 while no store can tell.
        """
        return await self._denials.identify(credential)

    async def standing(self, credential: Credential, account_id: int, route: str) -> Standing:
        """How the account stands, for a caller who may see it; nothing is consumed.

        Raises:
            Denied: 403 or 404, as a call would be before its rate and quota are looked at.
            Problem: 401 or 503.
        """
        return await self._charges.take(Charge.nothing(credential, account_id, route))

    async def own_standing(self, headers: dict[bytes, bytes]) -> Standing | None:
        """The standing of the account that sent these headers, wherever the call went.

        None where the credential is nobody's, and while no store can tell: the headers are worth no failure.
        """
        try:
            credential = self.read(headers)
            return await self._denials.own_standing(credential, await self.identify(credential))
        except Problem:
            return None
