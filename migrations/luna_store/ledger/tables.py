"""The table of the ledger, typed; `migrations/versions` creates it and a test compares."""

import uuid
from datetime import datetime

from sqlalchemy import (
    Index,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table


class UsageEvent(Table):
    """One debit (positive units), refund (negative) or void (zero). Append-only, partitioned by month.

    Postgres wants the partition column in the primary key. `occurred_at` is a function of the stream id, so
    (stream_id, occurred_at) is unique exactly where stream_id is.
    """

    __tablename__ = "usage_events"
    __table_args__ = (
        Index("ix_usage_events_debit_id", "debit_id"),
        Index("ix_usage_events_account_id_occurred_at", "account_id", "occurred_at"),
        Index("ix_usage_events_occurred_at", "occurred_at", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )

    stream_id: Mapped[str] = mapped_column(primary_key=True)
    """`<account>-<epoch>-<Redis stream id>`, or `pg-...` for what was booked without Redis."""
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    debit_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Names the debit whichever store took it, so that a debit taken twice counts once."""
    account_id: Mapped[int]
    """No foreign key: the ledger outlives its account."""
    units: Mapped[int]
    route: Mapped[str]
    origin: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """Of a refund: the debit that it gives back. A void bears its debit's own id instead."""
