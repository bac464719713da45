"""The body of a message: the event's type and time, and the job as it was then, without its result."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from luna_store.jobs.reading import Job
from luna_store.jobs.states import JobStatus
from luna_store.jobs.webhooks import Delivery

Describe = Callable[[Job], Mapping[str, Any]]
"""A job as `GET /jobs/{id}` shows it, without its result; times may be datetimes."""


def body_of(delivery: Delivery, job: Job, describe: Describe) -> bytes:
    """The body, the same at each try; JSON.

    Args:
        delivery: the message.
        job: as it is now: it may have been retried since.
        describe: writes the job.
    """
    message = {"type": delivery.event, "timestamp": delivery.created_at, "data": describe(as_ended(job, delivery.data))}
    return orjson.dumps(message, option=orjson.OPT_UTC_Z)


def as_ended(job: Job, data: Mapping[str, Any]) -> Job:
    """The job as it was when it ended."""
    return replace(
        job,
        status=JobStatus(data["status"]),
        progress=data["progress"],
        attempt=data["attempt"],
        started_at=_instant(data["started_at"]),
        finished_at=_instant(data["finished_at"]),
        units_used=data["units_used"],
        error=data["error"],
    )


def _instant(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)


def described(job: Job) -> dict[str, Any]:
    """A job with the members that its page has, apart from the result."""
    path = f"/api/v1/{job.account_id}/jobs/{job.id}"
    return {
        "id": str(job.id),
        "kind": job.kind,
        "status": job.status.value,
        "priority": job.priority,
        "progress": job.progress,
        "attempt": job.attempt,
        "units_reserved": job.units_reserved,
        "units_used": job.units_used,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "deadline": job.deadline,
        "expires_at": job.expires_at,
        "error": job.error,
        "labels": job.labels,
        "links": {"self": path, "events": f"{path}/events", "result": f"{path}/result"},
    }
