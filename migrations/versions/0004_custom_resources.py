"""Columns for custom resources: limits of an account, and keys that are pending until their Secret is written.

Revision: 0004
Follows: 0003
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LIMITS = ("max_series_length", "max_series_per_request", "history_days")


def upgrade() -> None:
    for name in LIMITS:
        op.add_column("accounts", sa.Column(name, sa.Integer, nullable=True))
    op.create_check_constraint(
        op.f("ck_accounts_limits"),
        "accounts",
        "max_series_length > 0 AND max_series_per_request > 0 AND history_days > 0",
    )
    op.add_column("api_keys", sa.Column("pending", sa.Boolean, server_default=sa.text("false"), nullable=False))
    op.add_column("api_keys", sa.Column("rotation_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("usage_events", sa.Column("origin", sa.Uuid, nullable=True))


def downgrade() -> None:
    op.drop_column("usage_events", "origin")
    op.drop_column("api_keys", "rotation_requested_at")
    op.drop_column("api_keys", "pending")
    op.drop_constraint(op.f("ck_accounts_limits"), "accounts")
    for name in reversed(LIMITS):
        op.drop_column("accounts", name)
