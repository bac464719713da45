"""Prices: markets, their versions, instruments and series.

Revision: 0015
Follows: 0014
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KINDS = "kind IN ('file', 'table', 'report', 'findings')"
# A valid set of bars has them also as replicas map them.
KINDS_WITH_BARS = "kind IN ('file', 'table', 'report', 'findings', 'bars')"


def of_version() -> sa.Column:
    reference = sa.ForeignKey("price_versions.id", ondelete="CASCADE")
    return sa.Column("version_id", sa.BigInteger, reference, primary_key=True, autoincrement=False)


def instant(name: str, *, nullable: bool = False, default: bool = False) -> sa.Column:
    now = sa.text("now()") if default else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=now)


def upgrade() -> None:
    op.create_table(
        "price_markets",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("last_version", sa.Integer, nullable=False, server_default="0"),
        sa.UniqueConstraint(
            "account_id", "name", name="uq_price_markets_account_id", postgresql_nulls_not_distinct=True
        ),
    )
    op.create_table(
        "price_versions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("market_id", sa.BigInteger, sa.ForeignKey("price_markets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("dataset_id", sa.Uuid, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=True),
        sa.Column("arrow_key", sa.Text, nullable=False, unique=True),
        sa.Column("parquet_key", sa.Text, nullable=True),
        sa.Column("digest", sa.Text, nullable=True),
        sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("bars", sa.BigInteger, nullable=False, server_default="0"),
        instant("last_at", nullable=True),
        sa.Column("source", sa.Text, nullable=True),
        instant("created_at", default=True),
        instant("published_at", nullable=True),
        sa.CheckConstraint("(version IS NULL) = (published_at IS NULL)", name="published"),
        sa.UniqueConstraint("market_id", "version", name="uq_price_versions_market_id"),
    )
    for column in ("dataset_id", "parquet_key"):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_price_versions_{column}", "price_versions", [column], postgresql_where=there)
    op.create_table(
        "price_instruments",
        of_version(),
        sa.Column("symbol", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=True) for name in ("name", "exchange", "currency", "type")),
        sa.Column("actions", JSONB, nullable=False, server_default="[]"),
    )
    op.create_table(
        "price_series",
        of_version(),
        sa.Column("symbol", sa.Text, primary_key=True),
        sa.Column("interval", sa.Text, primary_key=True),
        sa.Column("first_row", sa.BigInteger, nullable=False),
        sa.Column("bars", sa.BigInteger, nullable=False),
        instant("first_at"),
        instant("last_at"),
        sa.CheckConstraint("first_row >= 0 AND bars > 0 AND first_at <= last_at", name="rows"),
    )
    kinds(KINDS_WITH_BARS)


def downgrade() -> None:
    op.execute("DELETE FROM dataset_objects WHERE kind = 'bars'")
    kinds(KINDS)
    for table in ("price_series", "price_instruments", "price_versions", "price_markets"):
        op.drop_table(table)


def kinds(condition: str) -> None:
    op.drop_constraint("kind", "dataset_objects", type_="check")
    op.create_check_constraint("kind", "dataset_objects", condition)
