"""People: users, identities at providers, memberships, sessions with refresh tokens, links that set a password.

Revision: 0010
Follows: 0009
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ZONED = sa.DateTime(timezone=True)
NEW_ID = sa.text("gen_random_uuid()")
LIVE = sa.text("ended_at IS NULL")

# What may act for an account beside its keys, as `accounts.cache` and the Postgres fallback read it: an entry names the
# session and its role, so a session that ended, a person who was disabled, a member who was removed and a role that
# changed all have no entry.
LIVE_SESSIONS = """
CREATE VIEW live_sessions AS
SELECT s.id, s.user_id, s.account_id, s.expires_at, r.role,
       'session:' || replace(s.id::text, '-', '') || ':' || r.role AS principal
FROM sessions s
JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL
JOIN LATERAL (
    SELECT (ARRAY['viewer', 'member', 'admin'])[max(array_position(ARRAY['viewer', 'member', 'admin'], m.role))] AS role
    FROM memberships m WHERE m.account_id = s.account_id AND m.email = u.email
) r ON r.role IS NOT NULL
WHERE s.ended_at IS NULL
"""


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=True),
        sa.Column("password_changed_at", ZONED, nullable=True),
        sa.Column("disabled_at", ZONED, nullable=True),
        _created_at(),
        sa.CheckConstraint("email = lower(email)", name="ck_users_email"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "identities",
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        _user(),
        _created_at(),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identities"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_identities_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])
    op.create_table(
        "memberships",
        _account(),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        _created_at(),
        sa.CheckConstraint("role IN ('viewer', 'member', 'admin')", name="ck_memberships_role"),
        sa.CheckConstraint("source IN ('resource', 'admin', 'command', 'provider')", name="ck_memberships_source"),
        sa.CheckConstraint("email = lower(email)", name="ck_memberships_email"),
        sa.PrimaryKeyConstraint("account_id", "email", "source", name="pk_memberships"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_memberships_account_id", ondelete="CASCADE"),
    )
    op.create_index("ix_memberships_email", "memberships", ["email"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        _user(),
        _account(),
        _created_at(),
        sa.Column("expires_at", ZONED, nullable=False),
        sa.Column("ended_at", ZONED, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_sessions_account_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"], postgresql_where=LIVE)
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], postgresql_where=LIVE)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        _created_at(),
        sa.Column("expires_at", ZONED, nullable=False),
        sa.Column("used_at", ZONED, nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_refresh_tokens_session_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])
    op.create_table(
        "password_links",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        _created_at(),
        sa.Column("expires_at", ZONED, nullable=False),
        sa.Column("used_at", ZONED, nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_password_links"),
    )
    op.create_index("ix_password_links_email", "password_links", ["email"])
    op.execute(LIVE_SESSIONS)


def downgrade() -> None:
    op.execute("DROP VIEW live_sessions")
    for table in ("password_links", "refresh_tokens", "sessions", "memberships", "identities", "users"):
        op.drop_table(table)


def _created_at() -> sa.Column[sa.DateTime]:
    return sa.Column("created_at", ZONED, server_default=sa.text("now()"), nullable=False)


def _user() -> sa.Column[sa.Uuid]:
    return sa.Column("user_id", sa.Uuid, nullable=False)


def _account() -> sa.Column[sa.Integer]:
    return sa.Column("account_id", sa.Integer, nullable=False)
