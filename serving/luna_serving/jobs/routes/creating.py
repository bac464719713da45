"""`POST /jobs/`: checks a job, reserves its units, queues it, and answers it."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Final

import orjson
from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_serving.edge.account_scope import Owner, json_body
from luna_serving.edge.bodies import header_map
from luna_serving.edge.idempotency import REPLAYED, kept_answer, once, still_under_way
from luna_serving.edge.operation import Answer
from luna_serving.jobs.kinds import JobPlan
from luna_serving.jobs.routes.answers import shown
from luna_serving.jobs.routes.creation import Wanted, prepared, read_request
from luna_serving.jobs.routes.manifests import stamped
from luna_serving.jobs.routes.parts import JobParts, answered
from luna_serving.jobs.routes.waiting import waited
from luna_serving.jobs.routes.wire import dumped
from luna_serving.jobs.service import Caller
from luna_store.platform.idempotency import Claim, ClaimLost

ROUTE: Final = "POST jobs"
# Larger bodies are parsed in a thread.
ASIDE_BYTES: Final = 64 * 1024


def caller_of(own: Owner) -> Caller:
    """The caller, as the job service knows callers."""
    return Caller(own.account_id, own.credential, own.standing.limits)


async def checked(parts: JobParts, request: Request, own: Owner) -> Response:
    """Answer what a job would cost and how it would run; charge nothing."""
    wanted, plan = await _planned(parts, own.account_id, await _body(parts, request))
    await parts.service.check(caller_of(own), wanted.kind, plan)
    return answered(dumped({"units": plan.units, "plan": dict(plan.plan)}))


async def created(parts: JobParts, request: Request, own: Owner) -> Response:
    """Create a job, or find the one that an earlier call with the same Idempotency-Key created."""
    body = await _body(parts, request)

    async def create(claim: Claim | None) -> Answer:
        wanted, plan = await _planned(parts, own.account_id, body)

        async def keep(connection: AsyncConnection, job_id: uuid.UUID) -> None:
            if claim is not None:
                # In the transaction that queues the job: a call that is sent twice queues one.
                try:
                    await parts.keys.keep(claim, kept_answer(_kept(job_id)), connection)
                except ClaimLost as e:
                    raise still_under_way() from e

        job_id = await parts.service.create(caller_of(own), wanted.kind, stamped(plan), wanted.options, keep)
        return _kept(job_id)

    answer = await once(parts.keys, own.account_id, ROUTE, header_map(request.scope), body, create)
    assert isinstance(answer.body, bytes)  # noqa: S101  `_kept` makes it
    job_id, replayed = uuid.UUID(orjson.loads(answer.body)["id"]), REPLAYED in answer.headers
    headers = await waited(parts, request, own.account_id, job_id)
    detail = await parts.job(own.account_id, job_id)
    if replayed:
        name, value = REPLAYED
        return shown(detail, 200, {**headers, name.decode(): value.decode()}, location=True)
    await show_standing(parts, request, own)
    return shown(detail, 201, headers, location=True)


async def show_standing(parts: JobParts, request: Request, own: Owner) -> None:
    """Have the RateLimit headers show the standing after the charge."""
    request.state.standing = await parts.authorization.standing(own.credential, own.account_id, "jobs")


def _kept(job_id: uuid.UUID) -> Answer:
    # What is kept for the key names the job: a replay answers it as it is by then.
    return Answer(orjson.dumps({"id": str(job_id)}), 201)


async def _body(parts: JobParts, request: Request) -> bytes:
    return await json_body(request, limit=parts.max_body_bytes, seconds=parts.timeout_s)


async def _planned(parts: JobParts, account_id: int, body: bytes) -> tuple[Wanted, JobPlan]:
    now = datetime.now(UTC)
    if len(body) > ASIDE_BYTES:
        wanted = await asyncio.to_thread(read_request, body, parts.kinds, parts.webhooks, now)
    else:
        wanted = read_request(body, parts.kinds, parts.webhooks, now)
    return wanted, await prepared(parts.kinds[wanted.kind], account_id, wanted.parameters)
