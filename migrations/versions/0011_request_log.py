"""The request log, partitioned by day.

Revision: 0011
Follows: 0010
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INET

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "request_log",
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.Integer, nullable=True),
        sa.Column("principal", sa.Text, nullable=True),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("milliseconds", sa.REAL, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("address", INET, nullable=True),
        sa.UniqueConstraint(
            "account_id", "at", "id", name="uq_request_log_account_id_at_id", postgresql_nulls_not_distinct=True
        ),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("ix_request_log_at", "request_log", ["at"], postgresql_using="brin")
    op.execute("CREATE TABLE request_log_default PARTITION OF request_log DEFAULT")


def downgrade() -> None:
    op.drop_table("request_log")
