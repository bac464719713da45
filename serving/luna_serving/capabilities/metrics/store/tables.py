"""The tables of samples; the revision 0017 creates them.

`account_id` is first in every key. Only the shard of an account writes its rows, in fenced transactions.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, LargeBinary, UniqueConstraint, false, func
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table

ACCOUNT = "accounts.id"


class MetricAccount(Table):
    """An account that has samples."""

    __tablename__ = "metric_accounts"

    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"), primary_key=True)
    flushed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The sequence number up to which writes are in chunks."""
    latest_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The largest timestamp in chunks."""


class MetricSeries(Table):
    """A series. The shard assigns the ids."""

    __tablename__ = "metric_series"
    __table_args__ = (UniqueConstraint("account_id", "digest", name="uq_metric_series_account_id"),)

    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"), primary_key=True)
    series_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[bytes] = mapped_column(LargeBinary)
    """`samples.identity.series_key`; too long for an index."""
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    """BLAKE2b of the key, 16 bytes."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class MetricLatest(Table):
    """The first and the last sample of many series in one row, as of the last flush."""

    __tablename__ = "metric_latest"

    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"), primary_key=True)
    block: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The ids of the series, divided by the size of a block."""
    data: Mapped[bytes] = mapped_column(LargeBinary)


class MetricMetadata(Table):
    """What senders say about a metric."""

    __tablename__ = "metric_metadata"

    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    help: Mapped[str]
    unit: Mapped[str]


class MetricWrite(Table):
    """The write-ahead table: samples that are acknowledged and not in chunks yet."""

    __tablename__ = "metric_writes"

    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Of an account; a later write has a larger one."""
    payload: Mapped[bytes] = mapped_column(LargeBinary)


class MetricDay(Table):
    """A day of which an account has chunks."""

    __tablename__ = "metric_days"

    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    dirty: Mapped[bool] = mapped_column(Boolean)
    """Whether chunks came since the day was compacted and its roll-ups were computed."""


class MetricRollup(Table):
    """The hourly partials of a series on a day. No foreign key: `forget` removes the rows, a few at a time."""

    __tablename__ = "metric_rollups"

    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    dirty: Mapped[bool] = mapped_column(Boolean, server_default=false())
    """Whether samples of the day were flushed since."""
    data: Mapped[bytes] = mapped_column(LargeBinary)


class MetricChunk(Table):
    """Samples of one series on one day, by time; without duplicates. Partitioned by day. No foreign key, as above."""

    __tablename__ = "metric_chunks"
    __table_args__ = ({"postgresql_partition_by": "RANGE (start_at)"},)

    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    series_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start_at: Mapped[datetime] = mapped_column(primary_key=True)
    """The first timestamp."""
    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The largest sequence number of the writes in it. Where chunks overlap, the one with the larger number counts."""
    span_ms: Mapped[int]
    """The last timestamp, after the first one."""
    samples: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)
