"""The tables of the ledger, typed; `migrations/versions` creates them and a test compares."""

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Uuid,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table


class UsageEvent(Table):
    """One debit (positive units), refund (negative) or void (zero). Append-only, partitioned by month.

    Postgres requires the partition column in the primary key. `occurred_at` is a function of the stream id, so
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
    """`<account>-<epoch>-<Redis stream id>`, or `pg-{debit,void,settle}-<debit id>` for events of Postgres itself."""
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    debit_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    """The debit's id, the same in both stores, so that a debit that both took counts once."""
    account_id: Mapped[int]
    """No foreign key: the ledger outlives its account."""
    units: Mapped[int]
    route: Mapped[str]
    origin: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """The debit that a refund gives back. A void has the id of its debit in `debit_id` instead."""


class HoldRow(Table):
    """An open charge that outlives its request; see `luna_store.ledger.holds`.

    No index on `until`: a stream changes it with each message, and the table has open holds only.
    """

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("units > 0", name="units"),
        Index("ix_holds_owner", "owner"),
    )

    debit_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    owner: Mapped[str]
    fence: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int]
    route: Mapped[str]
    reserved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    until: Mapped[datetime]
