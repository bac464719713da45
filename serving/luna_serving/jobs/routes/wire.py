"""Renders jobs as JSON: for lists and events, with what one job's page adds, and its entity tag."""

import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from luna_serving.edge.paths import PREFIX
from luna_serving.wire.problems import TYPE_BASE
from luna_store.jobs.reading import Job, JobDetail
from luna_store.jobs.states import JobStatus

# Seconds after which a caller who polls should look again.
LOOK_AGAIN_S: Final = (1, 30)
_INSTANTS: Final = ("started_at", "finished_at")
# Members that change with the clock alone: they are no part of the entity tag.
_OF_THE_CLOCK: Final = frozenset({"eta_seconds"})


def path_of(job: Job) -> str:
    """The path of a job."""
    return f"{PREFIX}/{job.account_id}/jobs/{job.id}"


def item(job: Job) -> dict[str, Any]:
    """A job as lists and events show it: without parameters and result."""
    path = path_of(job)
    return {
        "id": str(job.id),
        "kind": job.kind,
        "status": job.status.value,
        "priority": job.priority,
        "labels": job.labels,
        "progress": progress_of(job.progress),
        "attempt": job.attempt,
        "units_reserved": job.units_reserved,
        "units_used": job.units_used,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "deadline": job.deadline,
        "expires_at": job.expires_at,
        "cancel_requested_at": job.cancel_requested_at,
        "data_deleted_at": job.data_deleted_at,
        "webhook": job.webhook_url,
        "error": error_of(job.error),
        "links": {"self": path, "events": f"{path}/events", "result": f"{path}/result", "manifest": f"{path}/manifest"},
    }


def at_event(job: Job, data: Mapping[str, Any]) -> dict[str, Any]:
    """A job as it was at an event, whose `data` are the members that had changed."""
    then = dict(data)
    for name in _INSTANTS:
        if then.get(name) is not None:
            then[name] = datetime.fromisoformat(then[name])
    then["progress"] = progress_of(then["progress"])
    then["error"] = error_of(then["error"])
    return item(job) | then


def page_of(detail: JobDetail, now: datetime) -> dict[str, Any]:
    """A job with its result, if it is small, its place in the queue, its attempts and its artifacts."""
    job = detail.job
    path = path_of(job)
    return item(job) | {
        "queue_position": detail.queue_position,
        "eta_seconds": eta_s(job, now),
        "result": None if detail.result is None else orjson.Fragment(detail.result),
        "result_bytes": detail.result_bytes,
        "artifacts": [
            {
                "name": each.name,
                "media_type": each.media_type,
                "bytes": each.size,
                "sha256": each.sha256,
                "href": f"{path}/artifacts/{each.name}",
            }
            for each in detail.artifacts
        ],
        "attempts": [
            {
                "attempt": each.attempt,
                "started_at": each.started_at,
                "ended_at": each.ended_at,
                "outcome": each.outcome,
            }
            for each in detail.attempts
        ],
    }


def progress_of(progress: Mapping[str, Any]) -> dict[str, Any]:
    """The progress, with an estimate, null where the kind gives none."""
    return {"estimate": None, **progress}


def error_of(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A job's error as a problem, with the whole URI of its type."""
    if error is None:
        return None
    type_ = str(error.get("type", "internal"))
    return {**error, "type": type_ if "://" in type_ else TYPE_BASE + type_}


def eta_s(job: Job, now: datetime) -> float | None:
    """Seconds that a running job will take yet, at its pace so far; None before its first step."""
    completed, total = job.progress.get("completed", 0), job.progress.get("total", 0)
    if job.status is not JobStatus.RUNNING or job.started_at is None or not completed:
        return None
    seconds = max(0.0, (now - job.started_at).total_seconds())
    return float(f"{seconds / completed * max(0, total - completed):.3g}")


def look_again_s(job: Job, now: datetime) -> int:
    """Seconds after which a caller who polls a live job should look again: soon while it is young."""
    low, high = LOOK_AGAIN_S
    age_s = (now - job.created_at).total_seconds()
    eta = eta_s(job, now)
    return max(low, min(high, math.ceil(age_s / 4 if eta is None else eta)))


def dumped(document: Mapping[str, Any]) -> bytes:
    """JSON, instants in UTC."""
    in_utc = {n: v.astimezone(UTC) if isinstance(v, datetime) else v for n, v in document.items()}
    return orjson.dumps(in_utc, option=orjson.OPT_UTC_Z)


def tag_of(document: Mapping[str, Any]) -> str:
    """A weak entity tag: equal as long as nothing but the clock has changed."""
    lasting = {name: value for name, value in document.items() if name not in _OF_THE_CLOCK}
    return f'W/"{hashlib.sha256(dumped(lasting)).hexdigest()[:32]}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether If-None-Match names a tag, by weak comparison (RFC 9110, section 8.8.3.2)."""
    if if_none_match is None:
        return False
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
