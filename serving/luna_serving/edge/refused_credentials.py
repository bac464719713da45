"""Answers to callers whose API key or token was refused: 401, and 429 after too many from one address.

Only failures are counted. A valid key is served from a blocked address, too: many callers may share one. While an
address is blocked, a key that Redis does not know costs no query to Postgres.
"""

from luna_serving.access.authorization import Authorization
from luna_serving.access.credentials import Credential
from luna_serving.access.throttle.attempts import Attempts
from luna_serving.edge.bodies import Scope, header_map
from luna_serving.edge.client_address import TrustedProxies
from luna_serving.wire.problems import NotPresented, Problem, SecretRefused
from luna_store.quota.debits import Standing


class RefusedCredentials:
    """Counts refusals by address, for all entrances: the lean path, FastAPI's routes and WebSockets."""

    def __init__(self, attempts: Attempts, proxies: TrustedProxies, authorization: Authorization) -> None:
        self._attempts = attempts
        self._proxies = proxies
        self._authorization = authorization

    async def admit(self, scope: Scope, headers: dict[bytes, bytes], credential: Credential) -> None:
        """Refuse an unknown key of a blocked address before Postgres is asked for it.

        Raises:
            Problem: 429.
        """
        if not self._attempts.blocking:
            return
        problem = self._attempts.key_block(self._proxies.address(scope, headers))
        if problem is not None and not await self._authorization.may_know(credential):
            raise problem

    async def blocked(self, scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
        """As `admit`, for the credential in the headers, if there is one: 429 or None."""
        if not self._attempts.blocking:
            return None
        try:
            await self.admit(scope, headers, self._authorization.read(headers))
        except Problem as problem:
            return problem if problem.status == 429 else None
        return None

    async def counted(self, scope: Scope, headers: dict[bytes, bytes], problem: Problem) -> Problem:
        """The answer to a problem: 429 instead of 401 where too many credentials of the address were refused."""
        if problem.status != 401 or isinstance(problem, NotPresented | SecretRefused):
            return problem
        return await self._attempts.key_failed(self._proxies.address(scope, headers)) or problem

    async def own_standing(self, scope: Scope) -> Standing | None:
        """The standing of the account whose credential a request has, whatever its path.

        None if the credential is unknown, and while no store answers: RateLimit headers are optional.
        """
        headers = header_map(scope)
        try:
            return await self._authorization.own_standing(headers)
        except Problem as problem:
            await self.counted(scope, headers, problem)
            return None
