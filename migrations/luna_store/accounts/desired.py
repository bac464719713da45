"""An account that belongs to a custom resource, as desired and as it is: plain values."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row

from luna_store.accounts.accounts import AccountSpec
from luna_store.grants import MODELS, names_of
from luna_store.quota.windows import QuotaWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredAccount(AccountSpec):
    """An account as its custom resource specifies it. Field names are those of the table."""

    uid: uuid.UUID
    state: str = "active"
    """`active` or `suspended`."""

    def __post_init__(self) -> None:
        """Check what the table's constraints check, with messages for people.

        Raises:
            ValueError: names the field and the cure.
        """
        # super() without arguments refers to the class that `slots` replaced.
        AccountSpec.__post_init__(self)
        if self.state not in {"active", "suspended"}:
            raise ValueError(f"state must be active or suspended, not {self.state!r}.")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A live key."""

    prefix: str
    digest: str = field(repr=False)
    pepper_id: str
    created_at: datetime
    expires_at: datetime | None
    pending: bool
    rotation_requested_at: datetime | None

    @property
    def current(self) -> bool:
        """Whether it is neither pending nor in the overlap of a rotation."""
        return not self.pending and self.expires_at is None


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as Postgres has it."""

    id: int
    uid: uuid.UUID | None
    account_name: str
    display_name: str
    tier: str | None
    state: str
    quota_limit: int
    quota_used: int
    """Settled units of the window that began at `window_started_at`; that window may have ended."""
    quota_window: QuotaWindow
    window_started_at: datetime
    rate_per_second: float
    rate_burst: int
    allowed: dict[str, list[str]]
    expires_at: datetime | None
    limits: dict[str, int]
    cache_stale: bool
    keys: tuple[KeyRow, ...]
    """The live keys, newest first."""

    @property
    def allowed_models(self) -> tuple[str, ...]:
        """The names of the Kalman capability in `allowed`."""
        return tuple(names_of(self.allowed, MODELS))


class UsageRow(NamedTuple):
    """An account's usage, for its status."""

    id: int
    uid: uuid.UUID
    quota_limit: int
    quota_used: int
    quota_window: QuotaWindow
    window_started_at: datetime


def differences(desired: DesiredAccount, row: AccountRow | Row[Any]) -> dict[str, object]:
    """The columns in which a row differs from the desired account, with their desired values."""
    return {k: v for k, v in desired.columns().items() if v != getattr(row, k)}
