"""Live metrics: series, the write-ahead table, chunks by day, roll-ups.

Revision: 0017
Follows: 0016
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOW = sa.text("now()")


def _account(*, owned: bool = True) -> sa.Column[int]:
    keys = [sa.ForeignKey("accounts.id", ondelete="CASCADE")] if owned else []
    return sa.Column("account_id", sa.Integer, *keys, primary_key=True, nullable=False, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "metric_accounts",
        _account(),
        sa.Column("flushed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("latest_ms", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_table(
        "metric_series",
        _account(),
        sa.Column("series_id", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.UniqueConstraint("account_id", "digest", name="uq_metric_series_account_id"),
    )
    op.create_table(
        "metric_latest",
        _account(),
        sa.Column("block", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "metric_metadata",
        _account(),
        sa.Column("name", sa.Text, primary_key=True, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("help", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
    )
    op.create_table(
        "metric_writes",
        _account(),
        sa.Column("seq", sa.BigInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "metric_days",
        _account(),
        sa.Column("day", sa.Date, primary_key=True, nullable=False),
        sa.Column("dirty", sa.Boolean, nullable=False),
    )
    op.create_table(
        "metric_rollups",
        _account(owned=False),
        sa.Column("day", sa.Date, primary_key=True, nullable=False),
        sa.Column("series_id", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("dirty", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "metric_chunks",
        _account(owned=False),
        sa.Column("series_id", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("start_at", sa.DateTime(timezone=True), primary_key=True, nullable=False),
        sa.Column("generation", sa.BigInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("span_ms", sa.Integer, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (start_at)",
    )
    op.execute("CREATE TABLE metric_chunks_default PARTITION OF metric_chunks DEFAULT")
    # The data is compressed already; chunks of up to 8 kB are in line.
    op.execute("ALTER TABLE metric_chunks ALTER COLUMN data SET STORAGE EXTERNAL")
    for table, column in (("metric_rollups", "data"), ("metric_writes", "payload"), ("metric_latest", "data")):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE metric_chunks_default SET (toast_tuple_target = 8160)")
    op.execute("ALTER TABLE metric_rollups SET (toast_tuple_target = 8160)")
    # Rows are inserted and deleted all the time: the table stays small only if their space is used again.
    op.execute("ALTER TABLE metric_writes SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")


def downgrade() -> None:
    for table in (
        "metric_chunks",
        "metric_rollups",
        "metric_days",
        "metric_writes",
        "metric_metadata",
        "metric_latest",
        "metric_series",
        "metric_accounts",
    ):
        op.drop_table(table)
