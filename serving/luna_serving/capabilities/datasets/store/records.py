"""Sets and their files as values, and what a caller is told of missing ones."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class State(StrEnum):
    """`uploading -> validating -> valid | invalid | failed | expired`; from `failed` back to `validating`."""

    UPLOADING = "uploading"
    VALIDATING = "validating"
    VALID = "valid"
    INVALID = "invalid"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def over(self) -> bool:
        """Whether nothing more is done about it unless a caller asks."""
        return self not in _LIVE

    @property
    def has_report(self) -> bool:
        """Whether it was validated to its end."""
        return self in _JUDGED


_LIVE: Final = frozenset({State.UPLOADING, State.VALIDATING})
_JUDGED: Final = frozenset({State.VALID, State.INVALID})


class Kind(StrEnum):
    """What an object holds."""

    FILE = "file"
    TABLE = "table"
    FINDINGS = "findings"
    BARS = "bars"
    """Of a set of bars: the file that replicas map."""


@dataclass(frozen=True, slots=True)
class SetRecord:
    """A set."""

    id: uuid.UUID
    account_id: int
    name: str
    version: int
    type: str
    state: State
    contract: Mapping[str, Any]
    file_count: int
    bytes: int
    digest: str | None
    job_id: uuid.UUID | None
    error: Mapping[str, Any] | None
    created_at: datetime
    active_at: datetime
    completed_at: datetime | None
    validated_at: datetime | None

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Declared:
    """A file as its owner declares it."""

    path: str
    bytes: int
    sha256: str
    """64 hexadecimal digits, in lower case."""
    media_type: str


@dataclass(frozen=True, slots=True)
class FileRecord(Declared):
    """A file of a set."""

    position: int
    upload_id: str | None
    object_key: str | None
    verified: bool
    """Whether its object was read and has the declared digest."""


class SetNotFound(Exception):
    """The account has no such set."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"There is no data set {reference}. GET /datasets lists yours.")


class NotNow(Exception):
    """The state of the set does not allow it."""

    def __init__(self, record: SetRecord) -> None:
        super().__init__(f"The data set {record.reference} is {record.state}.")
        self.record = record
