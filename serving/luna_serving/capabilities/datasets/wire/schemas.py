"""The bodies and answers of the routes, for the documentation. `reading` and `answers` read and write them."""

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.capabilities.datasets.store.records import State
from luna_serving.capabilities.datasets.validation.contract import SetType

SHA256 = "a" * 64
EXAMPLE_FILE = {"path": "a.csv", "bytes": 1234, "sha256": SHA256, "media_type": "text/csv"}
EXAMPLE_START: dict[str, Any] = {
    "name": "sales",
    "type": "series",
    "contract": {"time_column": "ts", "series_column": "shop", "value_columns": ["y"]},
    "files": [EXAMPLE_FILE],
}


class FileToSend(BaseModel):
    """A file as its owner declares it."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(max_length=255, description="Relative, in Unicode normal form C, unique without regard to case.")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    media_type: str = Field(examples=["text/csv"])


class StartRequest(BaseModel):
    """A set to upload."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_START]})

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$")
    type: SetType
    files: list[FileToSend] = Field(min_length=1)
    contract: dict[str, Any] = Field(
        default_factory=dict,
        description="What the files hold, by type: columns, frequency, ranges, or the labels' file.",
    )


class CompleteRequest(BaseModel):
    """A set whose files are all sent."""

    model_config = ConfigDict(extra="forbid")

    dataset_id: uuid.UUID


class UploadPart(BaseModel):
    """The request that sends one part."""

    number: int
    bytes: int
    url: str
    headers: dict[str, str]


class UploadOffer(BaseModel):
    """The request that sends a file, or those that send its parts."""

    method: Literal["PUT"]
    url: str | None = None
    headers: dict[str, str] | None = Field(None, description="Send exactly these: they are signed.")
    parts: list[UploadPart] | None = Field(None, description="Of a large file; those that have not arrived.")
    expires_at: datetime | None


class UploadFile(FileToSend):
    """A file and its state."""

    state: Literal["missing", "stored", "present"] = Field(
        description="`present`: known by its digest, nothing is to be sent."
    )
    upload: UploadOffer | None = None


class UploadAnswer(BaseModel):
    """A set that is being uploaded."""

    dataset_id: uuid.UUID
    name: str
    version: int
    state: State
    files: list[UploadFile]


class CompleteAnswer(BaseModel):
    """A set whose validation was started."""

    dataset_id: uuid.UUID
    name: str
    version: int
    state: State
    job_id: uuid.UUID | None


class Progress(BaseModel):
    """Files that are done."""

    completed: int
    total: int


class FindingAnswer(BaseModel):
    """One finding."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(examples=["TS003"])
    severity: Literal["error", "warning", "info"]
    message: str
    remedy: str
    path: str | None = None
    row: int | None = Field(None, description="0-based, without the header.")
    count: int = 1


class StatusAnswer(BaseModel):
    """How far the validation is, and what it has found."""

    dataset_id: uuid.UUID
    name: str
    version: int
    type: SetType
    state: State
    progress: Progress
    counts: dict[str, int] = Field(description="Findings by severity, those that are not listed among them.")
    findings: list[FindingAnswer] = Field(description="The first 20 of each rule and file.")
    coverage: list[dict[str, Any]] = Field(description="What was checked, and what was not.")
    logs: list[dict[str, Any]]
    digest: str | None
    report_url: str | None
    findings_url: str | None
    job_id: uuid.UUID | None
    error: dict[str, Any] | None = Field(description="Why it failed; nothing of that is the caller's fault.")
    created_at: datetime
    validated_at: datetime | None


class SetAnswer(BaseModel):
    """A set in a list."""

    dataset_id: uuid.UUID
    name: str
    version: int
    reference: str = Field(examples=["sales@1"])
    type: SetType
    state: State
    file_count: int
    bytes: int
    digest: str | None = Field(description="Of the manifest; null unless it is valid.")
    created_at: datetime
    validated_at: datetime | None
    links: dict[str, str]


class SetFile(FileToSend):
    """A file of a set."""

    url: str | None = Field(description="Redirects to the file; null unless the set is valid.")


class SetDetail(SetAnswer):
    """A set with its contract and its files."""

    contract: dict[str, Any]
    files: list[SetFile]


class SetPage(BaseModel):
    """A page of sets, the newest first."""

    items: list[SetAnswer]
    next_cursor: str | None
