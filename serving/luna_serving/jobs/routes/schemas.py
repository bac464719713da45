"""The wire schemas of the routes of jobs."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.wire.strict import StrictModel
from luna_store.jobs.states import JobStatus

EXAMPLE_PARAMETERS: dict[str, Any] = {
    "model": {"kind": "local_level", "obs_var": 15099.0, "level_var": 1469.1},
    "observations": [[1120, 1160, 963, 1210, 1160], [456, 294, None, 1140, 799]],
}
EXAMPLE_REQUEST: dict[str, Any] = {
    "kind": "kalman/fit",
    "parameters": EXAMPLE_PARAMETERS,
    "priority": 0,
    "labels": {"desk": "fx"},
}
_ID = "019ac8f3-9a5c-7c1e-8a0c-3f3f5a3c9a11"
_PATH = f"/api/v1/1/jobs/{_ID}"
EXAMPLE_ITEM: dict[str, Any] = {
    "id": _ID,
    "kind": "kalman/fit",
    "status": "queued",
    "priority": 0,
    "labels": {"desk": "fx"},
    "progress": {"completed": 0, "total": 2, "unit": "series", "estimate": None},
    "attempt": 0,
    "units_reserved": 2,
    "units_used": 0,
    "created_at": "2026-11-29T08:00:00Z",
    "started_at": None,
    "finished_at": None,
    "deadline": "2026-12-04T08:00:00Z",
    "expires_at": "2026-12-29T08:00:00Z",
    "cancel_requested_at": None,
    "data_deleted_at": None,
    "webhook": None,
    "error": None,
    "links": {
        "self": _PATH,
        "events": f"{_PATH}/events",
        "result": f"{_PATH}/result",
        "manifest": f"{_PATH}/manifest",
    },
}
EXAMPLE_JOB: dict[str, Any] = EXAMPLE_ITEM | {
    "queue_position": 1,
    "eta_seconds": None,
    "result": None,
    "result_bytes": None,
    "artifacts": [],
    "attempts": [],
}


class Progress(BaseModel):
    """How far a job is."""

    completed: int
    total: int
    unit: str = Field(description="What a step is: series, calls, blocks.")
    estimate: dict[str, Any] | None = Field(description="The result so far, of kinds that have one.")


class Links(BaseModel):
    """Paths below the server's."""

    self_: str = Field(alias="self")
    events: str
    result: str
    manifest: str


class JobError(BaseModel):
    """Why a job failed or expired: a problem of RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    detail: str


class JobItem(BaseModel):
    """A job, without its parameters and its result."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_ITEM]})

    id: str = Field(description="UUIDv7.")
    kind: str
    status: JobStatus
    priority: int
    labels: dict[str, str]
    progress: Progress
    attempt: int = Field(description="Attempts that were begun.")
    units_reserved: int = Field(description="Charged at creation; what was not used is given back at the end.")
    units_used: int = Field(description="What the job has cost; 0 while it is live.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime = Field(description="Queued or running, it ends `expired` then.")
    expires_at: datetime = Field(description="It is deleted then, with its result.")
    cancel_requested_at: datetime | None
    data_deleted_at: datetime | None
    webhook: str | None
    error: JobError | None
    links: Links


class Attempt(BaseModel):
    """One attempt at a job."""

    attempt: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None = Field(
        description="A status; `failed-here`: to be tried again; `worker-lost`; `handed-back` by a stopping worker."
    )


class ArtifactItem(BaseModel):
    """A file that a job made."""

    name: str
    media_type: str
    bytes: int
    sha256: str
    href: str


class JobAnswer(JobItem):
    """A job."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_JOB]})

    queue_position: int | None = Field(description="1 is claimed next among the account's jobs; null unless queued.")
    eta_seconds: float | None = Field(description="At its pace so far; null before its first step.")
    result: Any = Field(description="Of an ended job, up to 256 KiB; a larger one is null, and read by its link.")
    result_bytes: int | None = Field(description="Bytes of the result as JSON; null without one.")
    artifacts: list[ArtifactItem]
    attempts: list[Attempt]


class JobPage(BaseModel):
    """Jobs of the account."""

    items: list[JobItem]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class Cost(BaseModel):
    """The answer of `validate_only`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"units": 2, "plan": {"series": 2}}]})

    units: int = Field(description="What creating the job would reserve.")
    plan: dict[str, Any] = Field(description="How it would run.")


class ExtendRequest(StrictModel):
    """More of the same work."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"paths": 100_000}]})

    paths: int = Field(ge=1, le=10**8, description="Paths to add.")


class JobManifest(BaseModel):
    """What it takes to run a job again: `kind` and `parameters` are the body of a POST that does."""

    model_config = ConfigDict(extra="allow")

    id: str
    kind: str
    status: JobStatus
    parameters: dict[str, Any] | None = Field(
        description="Complete: named models and seeds are filled in. Null after deletion of the data."
    )
    parameters_sha256: str
    versions: dict[str, str] = Field(description="Of Luna and of what it computes with, when the job was created.")
    result_sha256: str | None
    artifacts: list[ArtifactItem]


Order = Literal["created_at", "-created_at"]
