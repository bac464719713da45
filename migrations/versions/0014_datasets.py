"""Data sets: sets, files, objects, reports.

Revision: 0014
Follows: 0013
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from luna_store.audit.triggers import AuditTrigger, created

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOW = sa.text("now()")
SHOWN = ("name", "version", "type")
TRIGGERS = (
    AuditTrigger("datasets", "dataset.created", "INSERT", "name", SHOWN),
    AuditTrigger("datasets", "dataset.deleted", "DELETE", "name", SHOWN),
)


def instant(name: str, *, default: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not default, server_default=NOW if default else None)


def of_account(*, primary_key: bool = False) -> sa.Column:
    reference = sa.ForeignKey("accounts.id", ondelete="CASCADE")
    return sa.Column("account_id", sa.Integer, reference, primary_key=primary_key, nullable=False)


def of_dataset() -> sa.Column:
    return sa.Column(
        "dataset_id", sa.Uuid, sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True, nullable=False
    )


def upgrade() -> None:
    op.create_table(
        "dataset_names",
        of_account(primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_version", sa.Integer, nullable=False),
        sa.CheckConstraint("name ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="name"),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.Uuid, primary_key=True),
        of_account(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="uploading"),
        sa.Column("contract", JSONB, nullable=False),
        sa.Column("file_count", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=True),
        sa.Column("job_id", sa.Uuid, nullable=True),
        sa.Column("error", JSONB, nullable=True),
        instant("created_at", default=True),
        instant("active_at", default=True),
        instant("completed_at"),
        instant("validated_at"),
        sa.CheckConstraint(
            "state IN ('uploading', 'validating', 'valid', 'invalid', 'failed', 'expired')", name="state"
        ),
        sa.CheckConstraint("type IN ('series', 'ohlcv', 'xray')", name="type"),
        sa.CheckConstraint("(state = 'valid') <= (digest IS NOT NULL)", name="digest"),
        sa.CheckConstraint("(state = 'validating') <= (job_id IS NOT NULL)", name="job"),
        sa.CheckConstraint("reserved_bytes >= 0", name="reserved"),
        sa.UniqueConstraint("account_id", "name", "version", name="uq_datasets_account_id"),
    )
    op.create_index("ix_datasets_account_id_created_at_id", "datasets", ["account_id", "created_at", "id"])
    op.create_index(
        "ix_datasets_unfinished",
        "datasets",
        ["state", "active_at"],
        postgresql_where=sa.text("state IN ('uploading', 'validating', 'failed')"),
    )
    op.create_table(
        "dataset_objects",
        sa.Column("key", sa.Text, primary_key=True),
        of_account(),
        sa.Column("dataset_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("verified", sa.Boolean, nullable=False, server_default=sa.text("false")),
        instant("created_at", default=True),
        sa.CheckConstraint("kind IN ('file', 'table', 'report', 'findings')", name="kind"),
        sa.CheckConstraint("bytes >= 0", name="bytes"),
    )
    op.create_index(
        "ix_dataset_objects_account_id_sha256",
        "dataset_objects",
        ["account_id", "sha256"],
        postgresql_where=sa.text("kind = 'file'"),
    )
    op.create_index("ix_dataset_objects_dataset_id", "dataset_objects", ["dataset_id"])
    op.create_table(
        "dataset_files",
        of_dataset(),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("upload_id", sa.Text, nullable=True),
        sa.Column("object_key", sa.Text, sa.ForeignKey("dataset_objects.key"), nullable=True),
        sa.UniqueConstraint("dataset_id", "path", name="uq_dataset_files_dataset_id"),
    )
    op.create_index(
        "ix_dataset_files_object_key",
        "dataset_files",
        ["object_key"],
        postgresql_where=sa.text("object_key IS NOT NULL"),
    )
    op.create_table("dataset_reports", of_dataset(), sa.Column("report", sa.LargeBinary, nullable=False))
    for statement in created(TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    for table in ("dataset_reports", "dataset_files", "dataset_objects", "datasets", "dataset_names"):
        op.drop_table(table)
