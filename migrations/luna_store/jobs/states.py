"""The states of a job."""

from enum import StrEnum
from typing import Final


class JobStatus(StrEnum):
    """`queued -> running -> succeeded | failed | cancelled | expired`; a retry leads back to `queued`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def live(self) -> bool:
        """Whether work on it may still begin or go on."""
        return self in LIVE


LIVE: Final = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
# From these a caller may have it done again.
RETRIABLE: Final = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})
