"""What is said of a stream: its limits, a claim on it, its answers, its charge, and why it cannot be had."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from luna_store.quota.debits import Debit

ROUTE: Final = "kalman/stream"
# A message of points is one series.
UNITS: Final = 1
DEBITS: Final = uuid.UUID("0d0b2a58-2f2e-4f0a-9a55-6d6f3b1c7e11")
# How long a charge without its points is left to a holder that may be alive.
HOLD: Final = timedelta(minutes=15)


class StreamNotFound(Exception):
    """The account has no such stream; it may have been deleted, or have expired unused."""

    def __init__(self, stream_id: uuid.UUID) -> None:
        super().__init__(f"There is no stream {stream_id}.")


class StreamSuperseded(Exception):
    """Another connection has claimed the stream since; this one must let it go."""


class TooManyStreams(Exception):
    """The account keeps as many streams as it may; delete one."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The account has {most} streams, as many as it may.")
        self.most = most


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one account may keep."""

    streams: int
    unused: timedelta
    """A stream that was not used for this long is deleted: by a loop, or when its account opens another."""
    hold: timedelta = HOLD
    """How long after the last message its next charge may be made under the same claim; see `Claim`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A stream in the hands of one connection, as it was then.

    It is good for charges until `StreamLimits.hold` after it was made, or after its last `append`.
    """

    id: uuid.UUID
    account_id: int
    epoch: int
    sequence: int
    document: str
    state: str | None
    was_held: bool
    """Its last holder has not let it go: it may be alive, or have died with a charge whose points were not taken."""


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """The answer to one message."""

    first: int
    last: int
    points: str


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a list shows of a stream."""

    id: uuid.UUID
    model: str
    sequence: int
    created_at: datetime
    updated_at: datetime


def owner_of(stream_id: uuid.UUID) -> str:
    """The owner of a stream's hold."""
    return f"{ROUTE}/{stream_id}"


def debit_id(stream: uuid.UUID, epoch: int, first: int) -> uuid.UUID:
    """The id of the one debit that the holder of an epoch can have open for the points from `first` on."""
    return uuid.uuid5(DEBITS, f"{stream}/{epoch}/{first}")


def debit_of(claim: Claim, epoch: int) -> Debit:
    """The charge of a message that follows the points taken, by the holder of an epoch."""
    return Debit(claim.account_id, "", (), UNITS, debit_id(claim.id, epoch, claim.sequence + 1), ROUTE)
