"""Custom indicators: expressions of an account, by name.

Revision: 0016
Follows: 0015
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from luna_store.audit.triggers import created, rows_of

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOW = sa.text("now()")
TRIGGERS = rows_of("custom_indicators", "indicator", subject="name", columns=("name", "expression"))


def upgrade() -> None:
    op.create_table(
        "custom_indicators",
        sa.Column(
            "account_id", sa.Integer, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, nullable=False
        ),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("expression", sa.Text, nullable=False),
        sa.Column("revision", sa.Uuid, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.CheckConstraint("name ~ '^[a-z0-9]([-_a-z0-9]{0,61}[a-z0-9])?$'", name="name"),
    )
    for statement in created(TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("custom_indicators")
