"""The steps that a plan is made of, in the order in which they are taken."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from luna_store.accounts.desired import DesiredAccount


class Why(StrEnum):
    """What a key is issued for."""

    FIRST = "first"
    INTERVAL = "interval"
    REQUESTED = "requested"
    REPAIR = "repair"
    """The Secret was deleted or edited, or a key was issued that never reached it."""


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Before anything is made outside Kubernetes: afterwards, the account cannot vanish without us."""


@dataclass(frozen=True, slots=True)
class ApplyRow:
    """Insert or update the account's row."""

    desired: DesiredAccount


@dataclass(frozen=True, slots=True)
class IssueKey:
    """Insert a pending key, write it into the Secret, confirm it; older keys end after the overlap."""

    why: Why
    overlap: timedelta
    requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConfirmKey:
    """A run that was killed had written this key into the Secret: finish what it began."""

    prefix: str
    overlap: timedelta


@dataclass(frozen=True, slots=True)
class WriteSecret:
    """The key in the Secret is right, something else is not: write it anew with the same key."""


@dataclass(frozen=True, slots=True)
class RebuildCache:
    """Bring Redis in step with Postgres."""


@dataclass(frozen=True, slots=True)
class EndAccount:
    """Revoke the account; unless it is to be retained, remove its row, its ledger and its keys in Redis."""

    retain: bool


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """All is undone: let the resource go. Its Secret follows through its owner reference."""


Step = AddFinalizer | ApplyRow | IssueKey | ConfirmKey | WriteSecret | RebuildCache | EndAccount | RemoveFinalizer
