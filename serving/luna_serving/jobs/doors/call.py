"""One call of a door's route: computed through the gate, or queued as a job and followed."""

import asyncio
import secrets
import time
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.access.charges import Charges
from luna_serving.access.denials import Charge
from luna_serving.dispatch.call import Call
from luna_serving.edge.bodies import hang_up_detector
from luna_serving.edge.idempotency import REPLAYED, kept_answer, still_under_way
from luna_serving.edge.operation import Answer, Asked
from luna_serving.edge.prefer import at_most, prefers_async, wait_of
from luna_serving.edge.store_answers import store_answer
from luna_serving.jobs.doors.calculation import Calculation, Door
from luna_serving.jobs.routes.manifests import stamped
from luna_serving.jobs.routes.parts import STORE, job_of
from luna_serving.jobs.routes.stored import whole
from luna_serving.jobs.routes.waiting import applied, ended_within
from luna_serving.jobs.routes.watching import Watching
from luna_serving.jobs.routes.wire import dumped, look_again_s, page_of, path_of
from luna_serving.jobs.service import Caller, JobService
from luna_serving.objects.client import ObjectStore
from luna_serving.wire.tabular import JSON
from luna_store.jobs.reading import result_of
from luna_store.jobs.states import JobStatus
from luna_store.platform.idempotency import Claim, ClaimLost, IdempotencyKeys
from luna_store.quota.debits import Debit, Decision

QUEUED: Final = 202
_ASYNC: Final = {"Preference-Applied": "respond-async"}


@dataclass(frozen=True, slots=True)
class DoorParts:
    """What doors are made of."""

    service: JobService
    engine: AsyncEngine
    watching: Watching
    charges: Charges
    authorization: Authorization
    keys: IdempotencyKeys
    objects: ObjectStore | None
    """Where large results are."""


@dataclass(slots=True)
class DoorCall:
    """A call of a door's route."""

    parts: DoorParts
    door: Door
    asked: Asked
    until: float
    """Its deadline, by `time.monotonic`."""
    charged: Debit | None = None
    """What it was charged at once."""
    prefers: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.prefers = [self.asked.headers.get(b"prefer", b"").decode("latin-1")]

    @property
    def prefers_async(self) -> bool:
        """Whether the caller prefers a job."""
        return prefers_async(self.prefers)

    async def compute(self, work: Calculation) -> Answer:
        """Charge and compute the calculation through the gate."""
        asked = self.asked
        credential = asked.credential
        debit = Debit(
            account_id=asked.account_id,
            key_prefix=credential.key_prefix,
            key_digests=credential.key_digests,
            units=work.units,
            debit_id=uuid.UUID(bytes=secrets.token_bytes(16), version=4),
            route=self.door.name,
            grant=work.grant,
            amounts=work.amounts,
            traceparent=asked.traceparent,
        )

        def attempt() -> Awaitable[tuple[Any, Decision]]:
            call = Call(debit, work.job, work.points, hang_up_detector(asked.receive))
            return self.door.gate.serve(call, self.until - time.monotonic(), asked.seconds)

        charge = Charge(credential, debit, work.limit_error)
        result, asked.standing = await self.parts.charges.charge(charge, attempt)
        self.charged = debit
        return Answer(work.finish(result), 200, [(b"content-type", work.media_type.encode()), (b"vary", b"accept")])

    async def queue(self, work: Calculation, claim: Claim | None) -> Answer:
        """Charge the calculation and queue it as a job; the answer names it."""
        plan = await asyncio.to_thread(work.as_job)
        parts, asked = self.parts, self.asked

        async def keep(connection: AsyncConnection, job_id: uuid.UUID) -> None:
            if claim is not None:
                # In the transaction that queues the job: a call that is sent twice queues one.
                try:
                    await parts.keys.keep(claim, kept_answer(_named(job_id)), connection)
                except ClaimLost as e:
                    raise still_under_way() from e

        job_id = await parts.service.create(caller_of(asked), self.door.name, stamped(plan), within=keep, pointer="")
        asked.standing = await parts.authorization.standing(asked.credential, asked.account_id, self.door.name)
        return _named(job_id)

    async def followed(self, named: Answer) -> Answer:
        """The job's answer: its result with 200 if it has one by the time that the caller prefers, else the job."""
        assert isinstance(named.body, bytes)  # noqa: S101  `_named` makes it
        job_id = uuid.UUID(orjson.loads(named.body)["id"])
        engine, account_id = self.parts.engine, self.asked.account_id
        headers = dict(_ASYNC) if self.prefers_async else {}
        wanted = wait_of(self.prefers)
        if wanted is not None:
            seconds = at_most(wanted, max(0.0, self.until - time.monotonic()))
            watching = self.parts.watching
            await ended_within(engine, watching, account_id, job_id, seconds, self.asked.receive)
            headers = applied(seconds)
        replayed = [each for each in named.headers if each == REPLAYED]
        detail = await job_of(engine, account_id, job_id)
        headers["Location"] = path_of(detail.job)
        if wanted is not None and detail.job.status is JobStatus.SUCCEEDED:
            result = await store_answer(result_of(engine, job_id), STORE)
            if result is not None:
                return Answer(await whole(self.parts.objects, result), 200, [*_encoded(headers), *replayed])
        now = datetime.now(UTC)
        if detail.job.status.live:
            headers["Retry-After"] = str(look_again_s(detail.job, now))
        return Answer(dumped(page_of(detail, now)), 202, [*_encoded(headers), *replayed])


def caller_of(asked: Asked) -> Caller:
    """The caller, as the job service knows callers."""
    return Caller(asked.account_id, asked.credential, asked.standing.limits)


def _named(job_id: uuid.UUID) -> Answer:
    # What is kept for the key names the job: a replay answers it as it is by then.
    return Answer(orjson.dumps({"id": str(job_id)}), 202)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    named = {"content-type": JSON, **headers}
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
