"""The queue of jobs.

Revision: 0013
Follows: 0012
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB

from luna_store.audit.triggers import AuditTrigger

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOW = sa.text("now()")
CLOCK = sa.text("clock_timestamp()")
EMPTY = sa.text("'{}'")
ZERO = sa.text("0")
ROTATED = AuditTrigger(
    "webhook_secrets", "webhook.secret-rotated", "UPDATE", subject="account_id", columns=("rotated_at",)
)


def instant(name: str, default: sa.TextClause | None = None, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def on_job(*, primary_key: bool = False) -> sa.Column:
    reference = sa.ForeignKey("jobs.id", ondelete="CASCADE")
    return sa.Column("job_id", sa.Uuid, reference, primary_key=primary_key, nullable=False)


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default="queued"),
        sa.Column("priority", sa.SmallInteger, nullable=False, server_default=ZERO),
        sa.Column("labels", JSONB, nullable=False, server_default=EMPTY),
        sa.Column("progress", JSONB, nullable=False),
        sa.Column("error", JSONB, nullable=True),
        sa.Column("manifest", JSONB, nullable=False, server_default=EMPTY),
        sa.Column("debit_id", sa.Uuid, nullable=False),
        sa.Column("units_reserved", sa.Integer, nullable=False),
        sa.Column("units_used", sa.Integer, nullable=False, server_default=ZERO),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=ZERO),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default=ZERO),
        sa.Column("failures", sa.Integer, nullable=False, server_default=ZERO),
        sa.Column("losses", sa.Integer, nullable=False, server_default=ZERO),
        sa.Column("worker", sa.Text, nullable=True),
        instant("lease_until", nullable=True),
        instant("cancel_requested_at", nullable=True),
        instant("created_at", NOW),
        instant("queued_at", NOW),
        instant("run_after", NOW),
        instant("started_at", nullable=True),
        instant("finished_at", nullable=True),
        instant("deadline"),
        instant("expires_at"),
        instant("data_deleted_at", nullable=True),
        sa.Column("webhook_url", sa.Text, nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired')", name="status"
        ),
        sa.CheckConstraint("units_reserved >= 0 AND units_used BETWEEN 0 AND units_reserved", name="units"),
        sa.CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="lease"),
        sa.CheckConstraint("(status IN ('queued', 'running')) = (finished_at IS NULL)", name="finished"),
    )
    queued, running = sa.text("status = 'queued'"), sa.text("status = 'running'")
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["account_id", sa.text("priority DESC"), "queued_at", "id"],
        postgresql_where=queued,
    )
    op.create_index("ix_jobs_running", "jobs", ["account_id"], postgresql_where=running)
    op.create_index("ix_jobs_lease_until", "jobs", ["lease_until"], postgresql_where=running)
    op.create_index("ix_jobs_deadline", "jobs", ["deadline"], postgresql_where=queued)
    op.create_index("ix_jobs_account_id_created_at_id", "jobs", ["account_id", "created_at", "id"])
    op.create_index("ix_jobs_expires_at", "jobs", ["expires_at"])
    op.create_table(
        "job_data",
        on_job(primary_key=True),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("checkpoint", sa.LargeBinary, nullable=True),
        sa.Column("result", sa.LargeBinary, nullable=True),
    )
    op.create_table(
        "job_lanes",
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("pass", DOUBLE_PRECISION, nullable=False, server_default=ZERO),
    )
    op.create_index("ix_job_lanes_pass", "job_lanes", ["pass"])
    op.create_table(
        "job_attempts",
        on_job(primary_key=True),
        sa.Column("fence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        instant("started_at", CLOCK),
        instant("ended_at", nullable=True),
        sa.Column("outcome", sa.Text, nullable=True),
    )
    op.create_table(
        "job_events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        on_job(),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("data", JSONB, nullable=False),
        instant("at", CLOCK),
    )
    op.create_index("ix_job_events_account_id_id", "job_events", ["account_id", "id"])
    op.create_index("ix_job_events_job_id_id", "job_events", ["job_id", "id"])
    op.create_table(
        "job_artifacts",
        on_job(primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.Column("object_key", sa.Text, nullable=True),
        sa.CheckConstraint("(body IS NULL) <> (object_key IS NULL)", name="place"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()")),
        on_job(),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("data", JSONB, nullable=False),
        instant("created_at", CLOCK),
        sa.Column("tries", sa.Integer, nullable=False, server_default=ZERO),
        instant("next_at", CLOCK, nullable=True),
        instant("delivered_at", nullable=True),
        sa.Column("last_error", sa.Text, nullable=True),
    )
    op.create_index(
        "ix_webhook_deliveries_next_at",
        "webhook_deliveries",
        ["next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index("ix_webhook_deliveries_job_id", "webhook_deliveries", ["job_id"])
    op.create_table(
        "webhook_secrets",
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=True),
        instant("rotated_at", NOW),
    )
    op.execute(ROTATED.create)


def downgrade() -> None:
    tables = ("job_artifacts", "job_events", "job_attempts", "job_lanes", "job_data", "jobs")
    for table in ("webhook_secrets", "webhook_deliveries", *tables):
        op.drop_table(table)
