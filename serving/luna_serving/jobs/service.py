"""Creates and retries jobs in an ingress replica: reserves their units, queues them, wakes the workers."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.access.credentials import Credential
from luna_serving.access.denials import Charge
from luna_serving.access.holds import Holds
from luna_serving.jobs.kinds import Extension, JobPlan
from luna_serving.jobs.routes.manifests import stamped
from luna_serving.jobs.wake import Waker
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store import limits
from luna_store.jobs import creating, extending
from luna_store.jobs.creating import JobDataGone, JobHasSucceeded, JobIsLive, JobMissing, NewJob, QueueFull, owner_of
from luna_store.jobs.ending import HOLD_FENCE
from luna_store.jobs.extending import Extended, JobNotExtendable
from luna_store.ledger.holds import LONGEST, Hold
from luna_store.ledger.transactions import transaction_within
from luna_store.platform.uuid7 import uuid7
from luna_store.quota.debits import Debit, StoreUnavailable

log = logging.getLogger("luna.jobs")

QUEUED: Final = "jobs.queued"
RESULT_DAYS: Final = "jobs.result_days"
# Seconds after which a caller whose queue is full may try again: a short job's time.
RETRY_AFTER_S: Final = 5

Within = Callable[[AsyncConnection, uuid.UUID], Awaitable[None]]
"""More to do in the transaction that queues a job, which has the id."""


async def _nothing(connection: AsyncConnection, job_id: uuid.UUID) -> None:
    del connection, job_id


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose job it is, and who asks for it."""

    account_id: int
    credential: Credential
    limits: Mapping[str, int]
    """The account's limits in force (`Standing.limits`)."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a job is to be queued."""

    priority: int = 0
    deadline: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    webhook_url: str | None = None


class JobService:
    """Creates jobs. Nothing is charged for one that is refused."""

    def __init__(self, engine: AsyncEngine, holds: Holds, waker: Waker, *, timeout_s: float) -> None:
        """Wire the service; Postgres has `timeout_s` seconds to answer."""
        self._engine = engine
        self._holds = holds
        self._waker = waker
        self._timeout_s = timeout_s

    async def create(
        self,
        caller: Caller,
        kind: str,
        plan: JobPlan,
        options: Options = Options(),
        within: Within = _nothing,
        *,
        pointer: str = "/parameters",
    ) -> uuid.UUID:
        """Charge the plan's units and queue a job; returns its id.

        Args:
            caller: whose job it is.
            kind: its kind's name.
            plan: from the kind's `Prepare`.
            options: how it is queued.
            within: more to do in the same transaction.
            pointer: where the body has the parameters, for errors.

        Raises:
            Denied: the account lacks the units, the rate or the grant.
            Problem: 429, as many jobs wait as may; 401, 403, 404, 422, 503.
        """
        job_id = uuid7()
        charge = _charge(caller, kind, plan.units, plan, pointer)
        new = NewJob(
            id=job_id,
            kind=kind,
            parameters=plan.parameters,
            debit=charge.debit,
            principal=caller.credential.principal,
            progress={"completed": 0, "total": plan.total, "unit": plan.unit},
            priority=options.priority,
            deadline=options.deadline,
            labels=options.labels,
            webhook_url=options.webhook_url,
            manifest=plan.manifest,
        )

        async def queue(connection: AsyncConnection) -> None:
            await creating.create(connection, new, most_queued=_most(caller, QUEUED), kept=_kept(caller))
            await within(connection, job_id)

        await self._queued(charge, job_id, queue)
        return job_id

    async def check(self, caller: Caller, kind: str, plan: JobPlan, *, pointer: str = "/parameters") -> None:
        """Check the account's grants and limits as `create` does; charges nothing.

        Raises:
            Denied, Problem: as of `create`, but not for the rate, the quota and the queue.
        """
        charge = _charge(caller, kind, 0, plan, pointer)
        await self._holds.check(charge)
        # A debit of nothing is compared with no limits.
        for limit, amount in plan.amounts.items():
            most = caller.limits.get(limit)
            if most is not None and amount > most:
                raise problems.invalid(charge.limit_error(limit, most))

    async def retry(self, caller: Caller, job_id: uuid.UUID) -> None:
        """Queue a failed or cancelled job again under the same id, charged anew.

        Raises:
            Denied: as of `create`.
            Problem: 404, there is no such job; 409, it is live or has succeeded; 410, its data is deleted; as `create`.
        """
        try:
            async with transaction_within(self._engine, self._timeout_s) as connection:
                kind, units, _ = await creating.check_retriable(connection, caller.account_id, job_id)
        except StoreUnavailable as e:
            raise problems.dependencies_gone("The job store") from e
        except (JobMissing, JobIsLive, JobHasSucceeded, JobDataGone) as e:
            raise _not_retriable(e, job_id) from e
        charge = _charge(caller, kind, units, None, "")

        async def queue(connection: AsyncConnection) -> None:
            await creating.retry(
                connection, job_id, charge.debit, most_queued=_most(caller, QUEUED), kept=_kept(caller)
            )

        await self._queued(charge, job_id, queue)

    async def extend(
        self, caller: Caller, job_id: uuid.UUID, extensions: Mapping[str, Extension], addition: int
    ) -> None:
        """Queue a job that succeeded for more of the same work, from where it ended; the addition is charged.

        Raises:
            Denied: as of `create`.
            Problem: 404, there is no such job; 409, it is live, did not succeed, or is of a kind that cannot go on;
                410, its data is deleted; 422, the addition is too large; as `create`.
        """
        try:
            async with transaction_within(self._engine, self._timeout_s) as connection:
                found = await extending.find_extendable(connection, caller.account_id, job_id)
        except StoreUnavailable as e:
            raise problems.dependencies_gone("The job store") from e
        except JobNotExtendable as e:
            raise _not_extendable("Only a job that has succeeded goes on. Retry it.") from e
        except (JobMissing, JobIsLive, JobDataGone) as e:
            raise _not_retriable(e, job_id) from e
        extension = extensions.get(found.kind)
        if extension is None:
            known = ", ".join(extensions) or "none"
            raise _not_extendable(f"Jobs of the kind {found.kind} cannot be extended. Kinds that can: {known}.")
        plan = stamped(await asyncio.to_thread(extension.plan, found.parameters, found.result, addition))
        charge = _charge(caller, found.kind, plan.units, plan, "")
        extended = Extended(plan.parameters, plan.total, plan.manifest, extension.state)

        async def queue(connection: AsyncConnection) -> None:
            await extending.extend(
                connection,
                job_id,
                found,
                extended,
                charge.debit,
                most_queued=_most(caller, QUEUED),
                kept=_kept(caller),
            )

        await self._queued(charge, job_id, queue)

    async def _queued(
        self, charge: Charge, job_id: uuid.UUID, queue: Callable[[AsyncConnection], Awaitable[None]]
    ) -> None:
        hold = await self._reserved(charge, job_id)
        try:
            async with transaction_within(self._engine, self._timeout_s) as connection:
                await queue(connection)
        except QueueFull as e:
            await self._give_back(hold)
            raise queue_full(e.most) from e
        except JobIsLive as e:
            await self._give_back(hold)
            raise _not_retriable(e, job_id) from e
        except IntegrityError as e:
            await self._give_back(hold)
            raise problems.not_found(f"There is no account {charge.debit.account_id}.") from e
        except StoreUnavailable as e:
            if not e.uncertain:
                await self._give_back(hold)
            # Otherwise the job may be there; if it is not, `luna_store.jobs.orphans` gives the units back.
            raise problems.dependencies_gone("The job store") from e
        except BaseException:
            # `within` refused, or the caller hung up before the commit.
            await self._give_back(hold)
            raise
        await self._waker.wake()
        await self._waker.event(charge.debit.account_id, job_id)

    async def _reserved(self, charge: Charge, job_id: uuid.UUID) -> Hold | None:
        if charge.debit.units:
            return await self._holds.reserve(charge, owner_of(job_id), LONGEST, fence=HOLD_FENCE)
        await self._holds.check(charge)
        return None

    async def _give_back(self, hold: Hold | None) -> None:
        if hold is not None:
            try:
                await self._holds.void(hold)
            except StoreUnavailable as e:
                log.warning("the hold %s of %s is given back later: %s", hold.debit_id, hold.owner, e)


def _charge(caller: Caller, kind: str, units: int, plan: JobPlan | None, pointer: str) -> Charge:
    credential = caller.credential
    debit = Debit(
        caller.account_id,
        credential.key_prefix,
        credential.key_digests,
        units,
        uuid.uuid4(),
        f"jobs {kind}",
        plan.grant if plan else None,
        plan.amounts if plan else {},
    )
    if plan is None:
        return Charge(credential, debit)

    def limit_error(limit: str, most: int) -> FieldError:
        error = plan.limit_error(limit, most)
        return FieldError(pointer + error.pointer, error.detail)

    return Charge(credential, debit, limit_error)


def _most(caller: Caller, limit: str) -> int:
    return caller.limits.get(limit) or limits.in_force({})[limit]


def _kept(caller: Caller) -> timedelta:
    return timedelta(days=_most(caller, RESULT_DAYS))


def queue_full(most: int) -> Problem:
    """429: as many of the account's jobs wait as may."""
    return Problem(
        "job-queue-full",
        429,
        "The account's queue of jobs is full.",
        f"{most} jobs wait, the account's limit {QUEUED}. Wait until some have run, or cancel some.",
        {"Retry-After": str(RETRY_AFTER_S)},
    )


def _not_extendable(detail: str) -> Problem:
    return Problem("job-not-extendable", 409, "The job cannot be extended.", detail)


def _not_retriable(error: Exception, job_id: uuid.UUID) -> Problem:
    match error:
        case JobMissing():
            return problems.not_found(f"There is no job {job_id}.")
        case JobIsLive():
            detail = "It is queued or running. Wait until it has ended, or cancel it first."
            return Problem("job-is-live", 409, "The job has not ended.", detail)
        case JobHasSucceeded():
            detail = "Only a failed or cancelled job is done again. Create a new job to compute it once more."
            return Problem("job-not-retriable", 409, "The job cannot be retried.", detail)
        case _:
            detail = "Its parameters were deleted. Create a new job."
            return Problem("job-data-deleted", 410, "The job's data is deleted.", detail)
