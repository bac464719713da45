"""The tables of markets, typed; `migrations/versions` creates them and a test compares."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table

ON_VERSION = "price_versions.id"


class PriceMarket(Table):
    """A market: the server's own, or one that an account keeps as a data set.

    The row outlives the versions, so that a number is never used again.
    """

    __tablename__ = "price_markets"
    __table_args__ = (
        UniqueConstraint("account_id", "name", name="uq_price_markets_account_id", postgresql_nulls_not_distinct=True),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    """Whose it is; None for the server's own."""
    name: Mapped[str]
    """That of the data sets; of the server's own `server`."""
    last_version: Mapped[int] = mapped_column(server_default="0")
    """The highest number ever used."""


class PriceVersion(Table):
    """All bars of a market at a time. Its objects belong to the row: whatever object no row names is garbage."""

    __tablename__ = "price_versions"
    __table_args__ = (
        CheckConstraint("(version IS NULL) = (published_at IS NULL)", name="published"),
        UniqueConstraint("market_id", "version", name="uq_price_versions_market_id"),
        Index("ix_price_versions_dataset_id", "dataset_id", postgresql_where=text("dataset_id IS NOT NULL")),
        Index("ix_price_versions_parquet_key", "parquet_key", postgresql_where=text("parquet_key IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    market_id: Mapped[int] = mapped_column(ForeignKey("price_markets.id", ondelete="CASCADE"))
    version: Mapped[int | None]
    """None while it is imported."""
    dataset_id: Mapped[uuid.UUID | None] = mapped_column(Uuid, ForeignKey("datasets.id", ondelete="CASCADE"))
    """The data set that it is made of."""
    arrow_key: Mapped[str] = mapped_column(unique=True)
    """The object that replicas map."""
    parquet_key: Mapped[str | None]
    """The same bars as Parquet; of a data set its canonical copy is that, and belongs to it."""
    digest: Mapped[str | None]
    """SHA-256 of the Arrow file, hexadecimal."""
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Of the Arrow file."""
    bars: Mapped[int] = mapped_column(BigInteger, server_default="0")
    last_at: Mapped[datetime | None]
    """Start of the last bar."""
    source: Mapped[str | None]
    """A digest of what the import was given, for imports that must not happen twice."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    published_at: Mapped[datetime | None]


class PriceInstrument(Table):
    """An instrument in a version."""

    __tablename__ = "price_instruments"

    version_id: Mapped[int] = mapped_column(ForeignKey(ON_VERSION, ondelete="CASCADE"), primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    exchange: Mapped[str | None]
    currency: Mapped[str | None]
    type: Mapped[str | None]
    actions: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    """Corporate actions by date: `[["2000-06-21", "split", 2.0], ...]`."""


class PriceSeries(Table):
    """The bars of an instrument in an interval: consecutive rows of the version's file."""

    __tablename__ = "price_series"
    __table_args__ = (CheckConstraint("first_row >= 0 AND bars > 0 AND first_at <= last_at", name="rows"),)

    version_id: Mapped[int] = mapped_column(ForeignKey(ON_VERSION, ondelete="CASCADE"), primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    interval: Mapped[str] = mapped_column(primary_key=True)
    first_row: Mapped[int] = mapped_column(BigInteger)
    bars: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
