"""The steps of a plan, in the order in which they are taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from luna_store.accounts.desired import DesiredAccount
from luna_store.people.roles import Role


class Why(StrEnum):
    """Why a key is issued."""

    FIRST = "first"
    INTERVAL = "interval"
    REQUESTED = "requested"
    REPAIR = "repair"
    """The Secret was deleted or edited, or a key was issued that never reached it."""


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Add the finalizer, before anything is made outside Kubernetes: the Account then waits for the operator."""


@dataclass(frozen=True, slots=True)
class ApplyRow:
    """Insert or update the account's row."""

    desired: DesiredAccount


@dataclass(frozen=True, slots=True)
class ApplyMembers:
    """Make the memberships that the resource gives exactly these; those of other sources stay."""

    roles: Mapping[str, Role]
    """By normalised address."""


@dataclass(frozen=True, slots=True)
class IssueKey:
    """Insert a pending key, write it into the Secret, confirm it; older keys end after the overlap."""

    why: Why
    overlap: timedelta
    requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConfirmKey:
    """Confirm the key that an interrupted run wrote into the Secret."""

    prefix: str
    overlap: timedelta


@dataclass(frozen=True, slots=True)
class WriteSecret:
    """Rewrite the Secret with the same key: something else in it is wrong."""


@dataclass(frozen=True, slots=True)
class RebuildCache:
    """Rebuild the account's Redis keys from Postgres."""


@dataclass(frozen=True, slots=True)
class EndAccount:
    """Revoke the account; unless it is to be retained, remove its row, its ledger and its keys in Redis."""

    retain: bool


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Remove the finalizer; Kubernetes then removes the resource and, by its owner reference, the Secret."""


Step = (
    AddFinalizer
    | ApplyRow
    | ApplyMembers
    | IssueKey
    | ConfirmKey
    | WriteSecret
    | RebuildCache
    | EndAccount
    | RemoveFinalizer
)
