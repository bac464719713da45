"""Holds: charges that outlive the request that made them.

Revision: 0006
Follows: 0005
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ZONED = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "holds",
        sa.Column("debit_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("units", sa.Integer, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("reserved_at", ZONED, server_default=sa.text("now()"), nullable=False),
        sa.Column("until", ZONED, nullable=False),
        sa.PrimaryKeyConstraint("debit_id", name="pk_holds"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_holds_account_id", ondelete="CASCADE"),
        sa.CheckConstraint("units > 0", name="ck_holds_units"),
    )
    op.create_index("ix_holds_owner", "holds", ["owner"])


def downgrade() -> None:
    op.drop_table("holds")
