"""The table of the audit log, typed; `migrations/versions` creates it and a test compares."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table


class AuditEntry(Table):
    """One change. Append-only, partitioned by month; triggers refuse UPDATE, DELETE and TRUNCATE.

    The keys of `before` and `after` are columns of the changed row; neither holds a secret or a digest of one.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_account_id_at_id", "account_id", "at", "id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    at: Mapped[datetime] = mapped_column(primary_key=True, server_default=func.clock_timestamp())
    """The instant of the change, under the lock of the changed row: changes of one row are in their order."""
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    account_id: Mapped[int | None]
    """No foreign key: entries outlive their account. Null for what belongs to no account."""
    actor: Mapped[str]
    """See `luna_store.audit.actors`."""
    action: Mapped[str]
    """`<noun>.<what>`, such as `account.limits`."""
    subject: Mapped[str]
    """What was changed: an account's name, the prefix of a key, a model's name, an email."""
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """The values before, of columns that changed; null where there was nothing."""
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    request_id: Mapped[str | None]
    """X-Request-ID of the request that made the change."""
