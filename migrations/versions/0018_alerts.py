"""Alerts: rules, their schedule, alerts, events, notifications, silences, models.

Revision: 0018
Follows: 0017
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB

from luna_store.audit.triggers import created, rows_of

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOW = sa.text("now()")
CLOCK = sa.text("clock_timestamp()")
ZERO = sa.text("0")
ACTIVE = sa.text("state IN ('pending', 'firing')")
FULL = {"fillfactor": "70"}
TRIGGERS = (
    *rows_of("alert_rules", "rule", subject="name", columns=("name", "document"), watched=("webhook_secret",)),
    *rows_of("alert_silences", "silence", subject="comment", columns=("matchers", "starts_at", "ends_at")),
)


def of_account(*, primary_key: bool = False) -> sa.Column:
    reference = sa.ForeignKey("accounts.id", ondelete="CASCADE")
    return sa.Column("account_id", sa.Integer, reference, primary_key=primary_key, nullable=False)


def of_rule() -> sa.Column:
    reference = sa.ForeignKey("alert_rules.id", ondelete="CASCADE")
    return sa.Column("rule_id", sa.Uuid, reference, primary_key=True, nullable=False)


def instant(name: str, default: sa.TextClause | None = None, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.Uuid, primary_key=True),
        of_account(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("webhook_secret", sa.Text, nullable=True),
        sa.Column("revision", sa.Uuid, nullable=False),
        instant("created_at", NOW),
        instant("changed_at", NOW),
    )
    op.create_index("ix_alert_rules_account_id_id", "alert_rules", ["account_id", "id"])
    op.create_table(
        "alert_schedule",
        of_rule(),
        of_account(),
        sa.Column("generation", sa.BigInteger, nullable=False, server_default=ZERO),
        instant("next_at"),
        instant("last_at", nullable=True),
        sa.Column("seconds", DOUBLE_PRECISION, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("warnings", JSONB, nullable=True),
        instant("data_at", nullable=True),
        sa.Column("missed", sa.BigInteger, nullable=False, server_default=ZERO),
        postgresql_with=FULL,
    )
    op.create_index("ix_alert_schedule_next_at", "alert_schedule", ["next_at"])
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid, primary_key=True),
        of_account(),
        sa.Column("rule_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("labels", JSONB, nullable=False),
        sa.Column("annotations", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("value", DOUBLE_PRECISION, nullable=False),
        instant("active_at"),
        instant("fired_at", nullable=True),
        instant("keep_firing_since", nullable=True),
        instant("resolved_at", nullable=True),
        sa.Column("resolved_by", sa.Text, nullable=True),
        instant("notified_at", nullable=True),
        sa.Column("valid_ms", sa.BigInteger, nullable=False),
        instant("announce_at", nullable=True),
        sa.CheckConstraint("state IN ('pending', 'firing', 'resolved')", name="state"),
        sa.CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="resolved"),
        sa.CheckConstraint("(state = 'pending') = (fired_at IS NULL)", name="fired"),
        postgresql_with=FULL,
    )
    op.create_index("ix_alerts_active", "alerts", ["rule_id", "fingerprint"], unique=True, postgresql_where=ACTIVE)
    op.create_index("ix_alerts_account_id_active", "alerts", ["account_id", "active_at", "id"], postgresql_where=ACTIVE)
    op.create_index(
        "ix_alerts_account_id_fired_at",
        "alerts",
        ["account_id", "fired_at", "id"],
        postgresql_where=sa.text("fired_at IS NOT NULL"),
    )
    op.create_index("ix_alerts_rule_id", "alerts", ["rule_id"])
    op.create_index(
        "ix_alerts_announced", "alerts", ["announce_at"], postgresql_where=sa.text("announce_at IS NOT NULL")
    )
    op.create_table(
        "alert_sequences",
        of_account(primary_key=True),
        sa.Column("epoch", sa.Uuid, nullable=False, server_default=sa.text("gen_random_uuid()")),
        sa.Column("seq", sa.BigInteger, nullable=False, server_default=ZERO),
    )
    op.create_table(
        "alert_events",
        of_account(primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        instant("at", CLOCK),
        sa.Column("alert", JSONB, nullable=False),
    )
    op.create_index("ix_alert_events_at", "alert_events", ["at"])
    op.create_table(
        "alert_notifications",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("place", sa.BigInteger, sa.Identity(always=True), nullable=False),
        of_account(),
        sa.Column("rule_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        instant("created_at", CLOCK),
        sa.Column("tries", sa.Integer, nullable=False, server_default=ZERO),
        instant("next_at", CLOCK, nullable=True),
        instant("delivered_at", nullable=True),
        sa.Column("last_error", sa.Text, nullable=True),
    )
    open_ = sa.text("next_at IS NOT NULL")
    op.create_index("ix_alert_notifications_next_at", "alert_notifications", ["next_at"], postgresql_where=open_)
    op.create_index(
        "ix_alert_notifications_rule_id", "alert_notifications", ["rule_id", "place"], postgresql_where=open_
    )
    op.create_index("ix_alert_notifications_created_at", "alert_notifications", ["created_at"])
    op.create_table(
        "alert_silences",
        sa.Column("id", sa.Uuid, primary_key=True),
        of_account(),
        sa.Column("matchers", JSONB, nullable=False),
        instant("starts_at"),
        instant("ends_at"),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        instant("updated_at", NOW),
        sa.CheckConstraint("starts_at < ends_at", name="order"),
    )
    op.create_index("ix_alert_silences_account_id_ends_at", "alert_silences", ["account_id", "ends_at", "id"])
    op.create_table(
        "alert_models",
        of_rule(),
        sa.Column("series", sa.LargeBinary, primary_key=True),
        of_account(),
        sa.Column("model", sa.LargeBinary, nullable=False),
        instant("learnt_at"),
        sa.Column("state", sa.LargeBinary, nullable=False),
        instant("state_at"),
    )
    for statement in created(TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "alert_models",
        "alert_silences",
        "alert_notifications",
        "alert_events",
        "alert_sequences",
        "alerts",
        "alert_schedule",
        "alert_rules",
    ):
        op.drop_table(table)
