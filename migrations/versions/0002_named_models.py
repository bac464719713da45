"""Named models and their versions.

Revision: 0002
Follows: 0001
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ZONED = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "named_models",
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("first_version", sa.Integer, nullable=False),
        sa.Column("last_version", sa.Integer, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_named_models"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_named_models_account_id", ondelete="CASCADE"),
        sa.CheckConstraint("name ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'", name="ck_named_models_name"),
        sa.CheckConstraint("first_version BETWEEN 1 AND last_version + 1", name="ck_named_models_versions"),
    )
    op.create_table(
        "model_versions",
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at", ZONED, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", "version", name="pk_model_versions"),
        sa.ForeignKeyConstraint(
            ["account_id", "name"],
            ["named_models.account_id", "named_models.name"],
            name="fk_model_versions_account_id_name",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("model_versions")
    op.drop_table("named_models")
