"""Accounts, their keys and the usage ledger.

Revision: 0001
Follows: nothing
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ZONED = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("uid", sa.Uuid, nullable=True),
        sa.Column("account_name", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, server_default="", nullable=False),
        sa.Column("tier", sa.Text, nullable=True),
        sa.Column("state", sa.Text, server_default="active", nullable=False),
        sa.Column("quota_limit", sa.Integer, server_default=sa.text("500"), nullable=False),
        sa.Column("quota_used", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("quota_window", sa.Text, server_default="Lifetime", nullable=False),
        sa.Column("window_started_at", ZONED, server_default=NOW, nullable=False),
        sa.Column("rate_per_second", sa.Float, server_default=sa.text("50"), nullable=False),
        sa.Column("rate_burst", sa.Integer, server_default=sa.text("100"), nullable=False),
        sa.Column("allowed_models", sa.ARRAY(sa.Text), server_default=sa.text("'{*}'"), nullable=False),
        sa.Column("expires_at", ZONED, nullable=True),
        sa.Column("cache_epoch", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("cache_stale", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", ZONED, server_default=NOW, nullable=False),
        sa.Column("updated_at", ZONED, server_default=NOW, nullable=False),
        sa.UniqueConstraint("uid", name="uq_accounts_uid"),
        sa.UniqueConstraint("account_name", name="uq_accounts_account_name"),
        sa.CheckConstraint("state IN ('active', 'suspended', 'revoked')", name="ck_accounts_state"),
        sa.CheckConstraint("quota_window IN ('Lifetime', 'Day', 'Month')", name="ck_accounts_quota_window"),
        sa.CheckConstraint("quota_limit >= 0", name="ck_accounts_quota_limit"),
        sa.CheckConstraint(
            "rate_per_second BETWEEN 0.001 AND 1000000 AND rate_burst BETWEEN 1 AND 1000000", name="ck_accounts_rate"
        ),
    )
    op.create_index("ix_accounts_cache_stale", "accounts", ["id"], postgresql_where=sa.text("cache_stale"))
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("pepper_id", sa.Text, nullable=False),
        sa.Column("created_at", ZONED, server_default=NOW, nullable=False),
        sa.Column("expires_at", ZONED, nullable=True),
        sa.Column("revoked_at", ZONED, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_api_keys_account_id", ondelete="CASCADE"),
        sa.UniqueConstraint("prefix", name="uq_api_keys_prefix"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])
    op.create_table(
        "usage_events",
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("occurred_at", ZONED, nullable=False),
        sa.Column("debit_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("units", sa.Integer, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "occurred_at", name="pk_usage_events"),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index("ix_usage_events_debit_id", "usage_events", ["debit_id"])
    op.create_index("ix_usage_events_account_id_occurred_at", "usage_events", ["account_id", "occurred_at"])
    op.create_index("ix_usage_events_occurred_at", "usage_events", ["occurred_at"], postgresql_using="brin")
    op.execute("CREATE TABLE usage_events_default PARTITION OF usage_events DEFAULT")


def downgrade() -> None:
    op.drop_table("usage_events")
    op.drop_table("api_keys")
    op.drop_table("accounts")
