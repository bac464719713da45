"""Online filtering: streams, and recent answers, which a client can request again after a lost connection.

Revision: 0003
Follows: 0002
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ZONED = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "kalman_streams",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=True),
        sa.Column("sequence", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("epoch", sa.BigInteger, server_default=sa.text("1"), nullable=False),
        sa.Column("held", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", ZONED, server_default=NOW, nullable=False),
        sa.Column("updated_at", ZONED, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kalman_streams"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_kalman_streams_account_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_kalman_streams_account_id_updated_at", "kalman_streams", ["account_id", "updated_at"])
    op.create_table(
        "kalman_stream_answers",
        sa.Column("stream_id", sa.Uuid, nullable=False),
        sa.Column("last_sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("first_sequence", sa.BigInteger, nullable=False),
        sa.Column("points", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "last_sequence", name="pk_kalman_stream_answers"),
        sa.ForeignKeyConstraint(
            ["stream_id"], ["kalman_streams.id"], name="fk_kalman_stream_answers_stream_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("kalman_stream_answers")
    op.drop_table("kalman_streams")
