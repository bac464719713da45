"""Who is calling and how they stand: a denial of the stores turned into the right problem."""

import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

from luna_serving.access.admission import Admission
from luna_serving.access.credentials import Authenticator, Credential
from luna_serving.access.ratelimit_headers import seconds_left
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.quota.debits import Debit, Decision, Outcome, Standing, StoreUnavailable

BEYOND = "Is larger than the account's own limits: GET /api/v1/{account_id} shows them."

T = TypeVar("T")


class Callers:
    """Authenticates, and explains denials."""

    def __init__(self, authenticator: Authenticator, admission: Admission) -> None:
        self._authenticator = authenticator
        self._admission = admission

    def read(self, headers: dict[bytes, bytes]) -> Credential:
        """The credential in a request's headers.

        Raises:
            Problem: 401, there is none or it cannot be one.
        """
        return self._authenticator.read(headers.get(b"x-api-key"), headers.get(b"authorization"))

    async def identify(self, credential: Credential) -> int:
        """The account that a credential belongs to.

        Raises:
            Problem: 401 for a stranger, 503 while nobody can tell.
        """
        owner = await self._asked(self._admission.owner(credential))
        if owner is None:
            raise problems.unauthenticated("The API key is not known. It may have been revoked or rotated.")
        return owner

    async def standing(self, credential: Credential, account_id: int, route: str) -> Standing:
        """How the account stands, for a caller who may see it; nothing is consumed.

        Raises:
            Problem: 401, 403, 404 or 503, whatever a call would meet before its rate and quota.
        """
        debit = _question(credential, account_id, route)
        decision: Decision | StoreUnavailable = await self._admission.peek(debit)
        for _ in range(2):
            if isinstance(decision, StoreUnavailable):
                raise problems.dependencies_gone("The quota store")
            if decision.admitted and decision.standing is not None:
                return decision.standing
            problem = await self.denial(credential, debit, decision)
            if problem is not None:
                raise problem
            decision = await self._admission.peek(debit)
        raise problems.dependencies_gone("The account")

    async def denial(
        self,
        credential: Credential,
        debit: Debit,
        decision: Decision,
        limit_error: Callable[[str, int], FieldError] = lambda *_: FieldError("", BEYOND),
    ) -> Problem | None:
        """Explain a denial; None if its reason has just been repaired and the call may be tried again.

        Args:
            credential: who asked.
            debit: for what.
            decision: what was answered.
            limit_error: where the call exceeds a limit of its account, by the limit's name and value.

        Raises:
            Problem: 503 while nobody can tell.
        """
        standing = decision.standing
        match decision.outcome:
            case Outcome.UNKNOWN:
                if await self._asked(self._admission.known(debit.account_id)):
                    return None
                return await self._elsewhere(credential, problems.not_found(f"There is no account {debit.account_id}."))
            case Outcome.KEY:
                return await self._stranger(credential, debit.account_id)
            case Outcome.SUSPENDED:
                problem = problems.suspended()
            case Outcome.EXPIRED:
                problem = problems.expired()
            case Outcome.GRANT:
                problem = problems.model_not_allowed(debit.grant.name if debit.grant else "")
            case Outcome.LIMIT:
                assert standing is not None and decision.exceeded is not None  # noqa: S101, PT018  both are given
                problem = problems.invalid(limit_error(decision.exceeded, standing.limits[decision.exceeded]))
            case Outcome.RATE:
                problem = problems.rate_limited(standing.retry_after_s if standing else 1)
            case Outcome.QUOTA:
                assert standing is not None  # noqa: S101  only strangers have none
                ends = standing.window_ends_at_ms
                renewal_s = seconds_left(ends) if ends else None
                problem = problems.quota_exhausted(debit.units, standing.remaining, standing.quota_limit, renewal_s)
            case Outcome.OK:
                return None
        problem.standing = standing
        return problem

    async def _stranger(self, credential: Credential, account_id: int) -> Problem | None:
        owner = await self.identify(credential)
        if owner != account_id:
            return await self._elsewhere(credential, problems.other_account(), owner)
        if credential.key is None:
            return problems.unauthenticated("The key that this token was issued for has been revoked.")
        # Postgres knows the key and Redis did not: it was issued a moment ago.
        await self._asked(self._admission.known(account_id))
        return None

    async def _elsewhere(self, credential: Credential, problem: Problem, owner: int | None = None) -> Problem:
        """A problem with the limits of the account that the caller is, who must be one."""
        owner = await self.identify(credential) if owner is None else owner
        own = await self._admission.peek(_question(credential, owner, "account"))
        problem.standing = own.standing if isinstance(own, Decision) else None
        return problem

    async def own_standing(self, headers: dict[bytes, bytes]) -> Standing | None:
        """The standing of whoever sent these headers, wherever the call went; None for a stranger.

        Nor is there one while nobody can tell: what it adds to an answer is worth no failure.
        """
        try:
            credential = self.read(headers)
            own = await self._admission.peek(_question(credential, await self.identify(credential), "account"))
        except Problem:
            return None
        return own.standing if isinstance(own, Decision) else None

    @staticmethod
    async def _asked(question: Awaitable[T]) -> T:
        try:
            return await question
        except StoreUnavailable as e:
            raise problems.dependencies_gone("The account store") from e


def _question(credential: Credential, account_id: int, route: str) -> Debit:
    return Debit(account_id, credential.key_prefix, credential.key_digests, 0, uuid.uuid4(), route)
