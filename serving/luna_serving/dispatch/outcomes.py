"""What a replica answers to a job instead of a result. A compute process imports this without the edge's libraries."""

from dataclasses import dataclass


class ReplicaUnavailable(Exception):
    """No replica could take the batch; nothing was computed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The job is the caller's mistake (its numbers overflow, say); it is not charged."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The job failed on our side, where others of its batch did not."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The job's time was over before it was computed; it is not charged."""
