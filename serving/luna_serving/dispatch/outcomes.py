"""What a replica answers instead of a result. Compute processes import this without the edge's libraries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class ReplicaUnavailable(Exception):
    """No replica could take the batch; nothing was computed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The job is invalid (its numbers overflow, for example); it is not charged."""

    pointer: str
    detail: str
    others: Sequence[tuple[str, str]] = ()
    """Pointers and details of further members at fault."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Extension members of the problem, for programs: numbers that the cure needs."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The job failed on the server's side, and others of its batch did not."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """What the job needs cannot be read now, and others of its batch are not affected; it is not charged."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The job's deadline passed before it was computed; it is not charged."""
