"""What the routes of jobs share: the stores, how long a call may take, and the problems of jobs."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.jobs.kinds import Extension, Prepare
from luna_serving.jobs.routes.watching import Watching
from luna_serving.jobs.service import JobService
from luna_serving.jobs.wake import Waker
from luna_serving.objects.client import ObjectStore
from luna_serving.webhooks.addresses import Allowed
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.jobs.creating import JobIsLive, JobMissing
from luna_store.jobs.objects import INLINE_BYTES
from luna_store.jobs.reading import JobDetail, find
from luna_store.platform.idempotency import IdempotencyKeys

STORE: Final = "The job store"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class JobParts:
    """What the routes are made of."""

    authorization: Authorization
    service: JobService
    engine: AsyncEngine
    waker: Waker
    watching: Watching
    keys: IdempotencyKeys
    kinds: Mapping[str, Prepare]
    """What checks the parameters, by the kind's name."""
    webhooks: Allowed
    """Where webhooks may go."""
    max_body_bytes: int
    timeout_s: float
    """Seconds that a call may take, streams of events excepted."""
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    """How jobs of a kind go on, by its name."""
    objects: ObjectStore | None = None
    """Holds large results and artifacts."""

    async def job(self, account_id: int, job_id: uuid.UUID, *, inline_bytes: int = INLINE_BYTES) -> JobDetail:
        """A job of the account.

        Raises:
            Problem: 404, 503.
        """
        return await job_of(self.engine, account_id, job_id, inline_bytes=inline_bytes)


async def job_of(
    engine: AsyncEngine, account_id: int, job_id: uuid.UUID, *, inline_bytes: int = INLINE_BYTES
) -> JobDetail:
    """A job of an account.

    Raises:
        Problem: 404, 503.
    """
    found = await store_answer(find(engine, account_id, job_id, inline_bytes=inline_bytes), STORE)
    if found is None:
        raise missing(job_id)
    return found


def missing(job_id: uuid.UUID) -> Problem:
    """404: the account has no such job."""
    return problems.not_found(f"There is no job {job_id}. Jobs are deleted when they expire.")


def meanings(job_id: uuid.UUID) -> Meanings:
    """The problems of a job that is missing or live."""
    return {JobMissing: lambda _: missing(job_id), JobIsLive: lambda _: is_live()}


def is_live() -> Problem:
    """409: the job has not ended."""
    return Problem(
        "job-is-live",
        409,
        "The job has not ended.",
        "It is queued or running. Wait until it has ended (`Prefer: wait=10`, or its events), or cancel it.",
        {"Retry-After": "1"},
    )


def data_deleted() -> Problem:
    """410: the result was deleted."""
    return Problem(
        "job-data-deleted", 410, "The job's data is deleted.", "Its result is gone for good. Create the job again."
    )


def answered(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON."""
    return Response(body, status, dict(headers or {}), JSON)
