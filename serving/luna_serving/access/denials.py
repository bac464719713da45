"""What a denial of the stores means for the caller: a repair and another try, or a problem with its cure."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from luna_serving.access.admission import Admission
from luna_serving.access.credentials import Credential
from luna_serving.access.denied import Denied
from luna_serving.access.directory import AccountDirectory
from luna_serving.access.owners import Owners
from luna_serving.access.ratelimit_headers import seconds_left
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.quota.debits import Debit, Decision, Grant, Outcome, Standing, StoreUnavailable

LIMIT_EXCEEDED = "Is larger than the account's own limits: GET /api/v1/{account_id} shows them."

T = TypeVar("T")


def _of_the_body(limit: str, most: int) -> FieldError:
    del limit, most
    return FieldError("", LIMIT_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Charge:
    """What is charged to an account, and who asked for it."""

    credential: Credential
    debit: Debit
    limit_error: Callable[[str, int], FieldError] = _of_the_body
    """Where the call exceeds a limit of its account, by the limit's name and value."""

    @classmethod
    def nothing(cls, credential: Credential, account_id: int, route: str, grant: Grant | None = None) -> "Charge":
        """A question about the account's standing, and whether it has a grant, which costs nothing."""
        debit = Debit(account_id, credential.key_prefix, credential.key_digests, 0, uuid.uuid4(), route, grant)
        return cls(credential, debit)


class Denials:
    """Explains denials, and repairs what Redis did not know."""

    def __init__(self, directory: AccountDirectory, admission: Admission) -> None:
        self._directory = directory
        self._admission = admission
        self.owners = Owners()

    async def identify(self, credential: Credential) -> int:
        """The account that a credential belongs to.

        Raises:
            Problem: 401 if it is nobody's, 503 while no store can tell.
        """
        owner = await _answered(self._directory.owner(credential))
        if owner is None:
            raise problems.unauthenticated("The API key is not known. It may have been revoked or rotated.")
        self.owners.recognised(credential, owner)
        return owner

    async def may_know(self, credential: Credential) -> bool:
        """Whether Redis knows a credential, or cannot tell; does not ask Postgres."""
        return await self._directory.may_know(credential)

    async def explain(self, charge: Charge, decision: Decision) -> Denied | None:
        """Why a charge was denied; None if the reason has just been repaired and the charge may be tried again.

        Raises:
            Problem: 401 or 503.
        """
        debit, standing = charge.debit, decision.standing
        if standing is not None:
            self.owners.recognised(charge.credential, debit.account_id)
            return Denied(refusal(decision, charge, standing), standing)
        if decision.outcome is Outcome.UNKNOWN:
            if await _answered(self._directory.repaired(debit.account_id)):
                return None
            owner = await self.identify(charge.credential)
            return await self._with_own_standing(
                charge, problems.not_found(f"There is no account {debit.account_id}."), owner
            )
        owner = await self.identify(charge.credential)
        if owner != debit.account_id:
            return await self._with_own_standing(charge, problems.other_account(), owner)
        if charge.credential.user_id is not None:
            if await _answered(self._directory.session_found(debit.account_id, debit.key_prefix)):
                return None
            ended = "The session has ended, or your role has changed. Call /api/v1/auth/refresh, or sign in again."
            return Denied(problems.unauthenticated(ended), standing)
        if charge.credential.key is None:
            return Denied(
                problems.unauthenticated("The key that this token was issued for has been revoked."), standing
            )
        # Postgres knows the key and Redis did not: it was issued a moment ago.
        await _answered(self._directory.repaired(debit.account_id))
        return None

    async def own_standing(self, credential: Credential, owner: int) -> Standing | None:
        """The standing of the account that the credential belongs to; None while no store can tell."""
        own = await self._admission.peek(Charge.nothing(credential, owner, "account").debit)
        return own.standing if isinstance(own, Decision) else None

    async def _with_own_standing(self, charge: Charge, problem: Problem, owner: int) -> Denied:
        return Denied(problem, await self.own_standing(charge.credential, owner))


def refusal(decision: Decision, charge: Charge, standing: Standing) -> Problem:
    """The problem of a denial to a caller who was recognised."""
    debit = charge.debit
    match decision.outcome:
        case Outcome.SUSPENDED:
            return problems.suspended()
        case Outcome.EXPIRED:
            return problems.expired()
        case Outcome.GRANT:
            assert debit.grant is not None  # noqa: S101  only a debit with a grant is denied for it
            return problems.not_allowed(debit.grant.capability, debit.grant.name)
        case Outcome.LIMIT:
            assert decision.exceeded is not None  # noqa: S101  the outcome says that one is
            return problems.invalid(charge.limit_error(decision.exceeded, standing.limits[decision.exceeded]))
        case Outcome.RATE:
            return problems.rate_limited(standing.retry_after_s)
        case Outcome.QUOTA:
            renewal_s = seconds_left(standing.window_ends_at_ms) if standing.window_ends_at_ms else None
            return problems.quota_exhausted(debit.units, standing.remaining, standing.quota_limit, renewal_s)
        case Outcome.OK | Outcome.UNKNOWN | Outcome.KEY:
            raise ValueError(decision.outcome)


async def _answered(question: Awaitable[T]) -> T:
    try:
        return await question
    except StoreUnavailable as e:
        raise problems.dependencies_gone("The account store") from e
