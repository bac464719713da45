"""The tables of accounts and their keys, typed; `migrations/versions` creates them and a test compares.

The functions of this package read and write the rows, and keep the locking rules.
"""

import uuid
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.limits import LIMITS
from luna_store.platform.table import Table

DEFAULT_QUOTA_LIMIT = 500
DEFAULT_RATE_PER_SECOND = 50.0
DEFAULT_RATE_BURST = 100
# Within these bounds GCRA's microseconds are exact: burst / rate stays below 2^53.
RATE_LOWEST = 0.001
RATE_HIGHEST = 1e6

# Of Postgres' `integer`.
MAX_ACCOUNT_ID = 2**31 - 1

EARLIER = [limit for limit in LIMITS if limit.earlier_column]


class Account(Table):
    """A team that may call: its state, quota, rate, limits and grants."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'suspended', 'revoked')", name="state"),
        CheckConstraint("quota_window IN ('Lifetime', 'Day', 'Month')", name="quota_window"),
        CheckConstraint("quota_limit >= 0", name="quota_limit"),
        CheckConstraint("rate_per_second BETWEEN 0.001 AND 1000000 AND rate_burst BETWEEN 1 AND 1000000", name="rate"),
        CheckConstraint(" AND ".join(f"{limit.name} > 0" for limit in EARLIER), name="limits"),
        CheckConstraint("jsonb_typeof(limits) = 'object' AND jsonb_typeof(allowed) = 'object'", name="objects"),
        Index("ix_accounts_cache_stale", "id", postgresql_where=text("cache_stale")),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uid: Mapped[uuid.UUID | None] = mapped_column(Uuid, unique=True)
    """The custom resource's metadata.uid; null for an account made from the command line."""
    account_name: Mapped[str] = mapped_column(unique=True)
    """`<namespace>/<name>` of the custom resource."""
    display_name: Mapped[str] = mapped_column(server_default="")
    tier: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="active")
    quota_limit: Mapped[int] = mapped_column(server_default=text(str(DEFAULT_QUOTA_LIMIT)))
    """Units (series) that may be used in one window."""
    quota_used: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Units of this window that have been settled."""
    quota_window: Mapped[str] = mapped_column(server_default="Lifetime")
    window_started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """Events before this instant no longer count against the quota."""
    rate_per_second: Mapped[float] = mapped_column(server_default=text(str(int(DEFAULT_RATE_PER_SECOND))))
    rate_burst: Mapped[int] = mapped_column(server_default=text(str(DEFAULT_RATE_BURST)))
    # For releases before revision 0005; a trigger of 0005 keeps it in step with `allowed`.
    allowed_models: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{*}'"))
    expires_at: Mapped[datetime | None]
    allowed: Mapped[dict[str, list[str]]] = mapped_column(JSONB, server_default=text("""'{"*": ["*"]}'"""))
    """The names of each capability that the account may use, see `luna_store.grants`."""
    limits: Mapped[dict[str, int]] = mapped_column(JSONB, server_default=text("'{}'"))
    """The limits that were set, by name; see `luna_store.limits`."""
    cache_epoch: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """How often this account's Redis keys were rebuilt; part of the id of every event."""
    cache_stale: Mapped[bool] = mapped_column(server_default=text("true"))
    """True while Redis may differ from this row; settlement rebuilds and clears it."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


for _limit in EARLIER:
    # Kept in step with `limits` by the same trigger.
    setattr(Account, _limit.name, mapped_column(Integer))


class ApiKey(Table):
    """One key of an account. The key itself is never stored, see `luna_store.accounts.api_keys`."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_account_id", "account_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    prefix: Mapped[str] = mapped_column(unique=True)
    """`luna_` and the key's public id, which logs and status may show."""
    digest: Mapped[str] = mapped_column(unique=True)
    """HMAC-SHA256(pepper, key), lower-case hexadecimal."""
    pepper_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    """The end of a rotation's overlap, or of the wait of a pending key; null while the key is the current one."""
    revoked_at: Mapped[datetime | None]
    pending: Mapped[bool] = mapped_column(server_default=text("false"))
    """Valid, but not yet confirmed to be in its Secret; see `luna_store.accounts.provisioning`."""
    rotation_requested_at: Mapped[datetime | None]
    """The instant of the request to rotate that this key answers; null for none."""


class DeletedAccount(Table):
    """An account that was deleted with its data, until its capabilities have removed what they keep elsewhere."""

    __tablename__ = "deleted_accounts"

    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """No foreign key: the account is gone. Ids are never given again."""
    deleted_at: Mapped[datetime] = mapped_column(server_default=func.now())
