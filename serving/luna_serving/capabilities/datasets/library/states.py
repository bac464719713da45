"""The state of a set, which follows from its row and from its job.

A job may end without a verdict: it failed too often, was cancelled, or took too long. The set is then `failed` from
that instant on, whether or not a loop has written it into the row yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.datasets.store import validating
from luna_serving.capabilities.datasets.store.reading import Reference, find, report_of
from luna_serving.capabilities.datasets.store.records import SetRecord, State
from luna_store.jobs.reading import Job
from luna_store.jobs.reading import find as find_job
from luna_store.jobs.states import JobStatus

GONE: Final[Mapping[str, Any]] = {
    "type": "internal",
    "title": "The validation has ended without a verdict.",
    "detail": "Nothing was charged. Complete the upload again: POST /upload/complete.",
}


@dataclass(frozen=True, slots=True)
class Status:
    """A set with what is known of its validation."""

    record: SetRecord
    progress: Mapping[str, Any]
    error: Mapping[str, Any] | None
    report: bytes | None
    waits: bool = False
    """Whether its job waits for a worker."""


async def status_of(engine: AsyncEngine, account_id: int, reference: Reference) -> Status:
    """The status of a set.

    Raises:
        SetNotFound: the account has no such set.
    """
    record = await find(engine, account_id, reference)
    if record.state.has_report:
        whole = {"completed": record.file_count, "total": record.file_count}
        return Status(record, whole, None, await report_of(engine, record.id))
    nothing = {"completed": 0, "total": record.file_count}
    if record.job_id is None or record.state is not State.VALIDATING:
        return Status(record, nothing, record.error, None)
    detail = await find_job(engine, account_id, record.job_id, inline_bytes=0)
    if detail is not None and detail.job.status.live:
        return Status(record, detail.job.progress, None, None, waits=detail.job.status is JobStatus.QUEUED)
    # The job may have ended after the set was read.
    record = await find(engine, account_id, reference)
    if record.state is not State.VALIDATING:
        return await status_of(engine, account_id, reference)
    error = error_of(detail.job if detail else None)
    async with engine.begin() as connection:
        await validating.fail(connection, record.id, record.job_id or record.id, error)
    return Status(replace(record, state=State.FAILED, error=error), nothing, error, None)


def error_of(job: Job | None) -> Mapping[str, Any]:
    """Why a job has ended without a verdict."""
    if job is None:
        return GONE
    if job.status is JobStatus.CANCELLED:
        return {**GONE, "type": "cancelled", "title": "The validation was cancelled."}
    return job.error or GONE
