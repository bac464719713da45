"""The audit log: who changed accounts, keys, members, users and models, written by triggers.

Revision: 0012
Follows: 0011
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from luna_store.audit.triggers import NO_ACCOUNT, AuditTrigger, created, dropped

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The functions find their tables whatever the caller's search_path, and instants are in UTC whatever its time zone.
CONFIGURED = "SET search_path FROM CURRENT SET timezone = 'UTC'"

# Who makes the change: the request that named itself in this transaction, or else the process, by its application_name
# (`luna_store.audit.actors`), or else the role of the database. A setting of an earlier transaction has become ''.
ACTOR = """
CREATE FUNCTION audit_actor() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        nullif(current_setting('luna.actor', true), ''),
        substring(current_setting('application_name') FROM '^luna/(.+)$'),
        'postgres:' || session_user
    )
$$
"""

# The only writer of the log, for triggers and for what is no change of a row (`luna_store.audit.log.record`).
RECORD = f"""
CREATE FUNCTION audit_record(account_id integer, action text, subject text, before jsonb, after jsonb)
RETURNS void LANGUAGE plpgsql {CONFIGURED} AS $$
BEGIN
    INSERT INTO audit_log (account_id, actor, action, subject, before, after, request_id)
    VALUES (
        account_id, audit_actor(), action, subject, before, after,
        nullif(current_setting('luna.request_id', true), '')
    );
END $$
"""  # noqa: S608  constants

# One trigger function for all tables. Its arguments: the action; the column with the account's id ('' for none); the
# column that names the row; the columns that `before` and `after` hold. INSERT has no `before`, DELETE no `after`, and
# UPDATE shows the columns that changed. The trigger's own WHEN decides whether there is anything to write.
CHANGE = f"""
CREATE FUNCTION audit_change() RETURNS trigger LANGUAGE plpgsql {CONFIGURED} AS $$
DECLARE
    -- NULL where the event has no such row.
    was jsonb := to_jsonb(OLD);
    becomes jsonb := to_jsonb(NEW);
    known jsonb := coalesce(becomes, was);
    of_account integer := (known->>TG_ARGV[1])::integer;
    before jsonb;
    after jsonb;
BEGIN
    -- What goes with its account is in the one entry `account.deleted`.
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME <> 'accounts' AND of_account IS NOT NULL
        AND NOT EXISTS (SELECT FROM accounts WHERE id = of_account)
    THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_object_agg(name, was->name) FILTER (WHERE was IS NOT NULL),
           jsonb_object_agg(name, becomes->name) FILTER (WHERE becomes IS NOT NULL)
    INTO before, after
    FROM unnest(TG_ARGV[3:]) AS name
    WHERE was->name IS DISTINCT FROM becomes->name;
    PERFORM audit_record(of_account, TG_ARGV[0], known->>TG_ARGV[2], before, after);
    RETURN NULL;
END $$
"""  # noqa: S608  constants

# What is shown of a version of a model. The document may be a megabyte: its digest tells whether two are the same.
MODEL_FACTS = """
CREATE FUNCTION audit_model_facts(version integer, kind text, document text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object(
        'version', version, 'kind', kind, 'bytes', octet_length(document),
        'sha256', encode(sha256(convert_to(document, 'UTF8')), 'hex')
    )
$$
"""

# Versions of models: a new one is a change of the model, or its creation if there is none before it.
MODEL_VERSION = f"""
CREATE FUNCTION audit_model_version() RETURNS trigger LANGUAGE plpgsql {CONFIGURED} AS $$
DECLARE
    before jsonb;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := audit_model_facts(OLD.version, OLD.kind, OLD.document);
    ELSE
        SELECT audit_model_facts(v.version, v.kind, v.document) INTO before
        FROM model_versions v
        WHERE v.account_id = NEW.account_id AND v.name = NEW.name AND v.version < NEW.version
        ORDER BY v.version DESC LIMIT 1;
    END IF;
    PERFORM audit_record(
        NEW.account_id, CASE WHEN before IS NULL THEN 'model.created' ELSE 'model.changed' END, NEW.name,
        before, audit_model_facts(NEW.version, NEW.kind, NEW.document)
    );
    RETURN NULL;
END $$
"""  # noqa: S608  constants

# All versions of a name that one statement removes are one deletion.
MODEL_DELETED = f"""
CREATE FUNCTION audit_model_deleted() RETURNS trigger LANGUAGE plpgsql {CONFIGURED} AS $$
DECLARE
    model record;
BEGIN
    FOR model IN
        SELECT gone.account_id, gone.name, min(gone.version) AS first, max(gone.version) AS last,
               sum(octet_length(gone.document)) AS bytes
        FROM gone JOIN accounts ON accounts.id = gone.account_id
        GROUP BY gone.account_id, gone.name
    LOOP
        PERFORM audit_record(
            model.account_id, 'model.deleted', model.name,
            jsonb_build_object('first_version', model.first, 'last_version', model.last, 'bytes', model.bytes), NULL
        );
    END LOOP;
    RETURN NULL;
END $$
"""  # noqa: S608  constants

APPEND_ONLY = """
CREATE FUNCTION audit_log_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only: % is refused.', TG_OP
        USING ERRCODE = 'insufficient_privilege', HINT = 'The loop account.audit drops partitions that are old enough.';
END $$
"""

# Further columns of earlier releases: a trigger of revision 0005 copies them to `limits` and `allowed`.
OLD_LIMITS = ("max_series_length", "max_series_per_request", "history_days")
LIMITS = ("quota_limit", "quota_window", "rate_per_second", "rate_burst", "limits")
IDENTITY = ("account_name", "display_name", "tier", "uid")
ACCOUNT = (*IDENTITY, "state", *LIMITS, "allowed", "expires_at")
MEMBER = ("source", "role")
# Never the hash of the password.
USER = ("id", "email", "disabled_at", "password_changed_at")
KEY = ("pepper_id", "pending", "expires_at", "revoked_at", "rotation_requested_at")
# A key that ended before gives no access: its removal changes nothing.
LIVE_KEY = "OLD.revoked_at IS NULL AND (OLD.expires_at IS NULL OR OLD.expires_at > now())"
REVOKED = "OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL"
CONFIRMED = "OLD.pending AND NOT NEW.pending"
RETIRING = "NEW.expires_at IS NOT NULL AND NEW.expires_at IS DISTINCT FROM OLD.expires_at"
REPLACED = ("account_id", "prefix", "digest")
# None of the above: Luna makes no such change.
OTHERWISE = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in (*KEY, *REPLACED))


def account(action: str, *columns: str, watched: tuple[str, ...] = ()) -> AuditTrigger:
    """A trigger of an UPDATE of accounts."""
    return AuditTrigger("accounts", action, "UPDATE", "account_name", columns, watched, account="id")


def key(action: str, when: str, *watched: str) -> AuditTrigger:
    """A trigger of an UPDATE of api_keys. Each change has one of the actions."""
    return AuditTrigger("api_keys", action, "UPDATE", "prefix", KEY, watched, when)


def user(
    action: str, columns: tuple[str, ...] = (), *, watched: tuple[str, ...] = (), when: str | None = None
) -> AuditTrigger:
    """A trigger of an UPDATE of users, who belong to no account."""
    return AuditTrigger("users", action, "UPDATE", "email", columns, watched, when, account=NO_ACCOUNT)


TRIGGERS = (
    AuditTrigger("accounts", "account.created", "INSERT", "account_name", ACCOUNT, account="id"),
    # Settlement and debits update other columns of accounts many times per second.
    account("account.state", "state"),
    account("account.limits", *LIMITS, watched=OLD_LIMITS),
    account("account.allowed", "allowed", watched=("allowed_models",)),
    account("account.expiry", "expires_at"),
    account("account.changed", *IDENTITY),
    AuditTrigger("accounts", "account.deleted", "DELETE", "account_name", ACCOUNT, account="id"),
    AuditTrigger("api_keys", "key.issued", "INSERT", "prefix", KEY),
    key("key.revoked", REVOKED),
    key("key.confirmed", f"{CONFIRMED} AND NOT ({REVOKED})"),
    key("key.retiring", f"{RETIRING} AND NOT ({CONFIRMED}) AND NOT ({REVOKED})"),
    key(
        "key.changed",
        f"({OTHERWISE}) AND NOT coalesce(({RETIRING}), false) AND NOT ({CONFIRMED}) AND NOT ({REVOKED})",
        *REPLACED,
    ),
    AuditTrigger("api_keys", "key.removed", "DELETE", "prefix", KEY, when=LIVE_KEY),
    AuditTrigger("memberships", "member.added", "INSERT", "email", MEMBER),
    AuditTrigger("memberships", "member.role", "UPDATE", "email", ("role",), ("account_id", "email", "source")),
    AuditTrigger("memberships", "member.removed", "DELETE", "email", MEMBER),
    AuditTrigger("users", "user.created", "INSERT", "email", USER, account=NO_ACCOUNT),
    user("user.changed", ("id", "email")),
    user("user.disabled", ("disabled_at",), when="OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL"),
    user("user.enabled", ("disabled_at",), when="OLD.disabled_at IS NOT NULL AND NEW.disabled_at IS NULL"),
    user("user.password-changed", ("password_changed_at",)),
    # A sign-in replaces the hash of an unchanged password after the parameters of Argon2 have changed.
    user(
        "user.password-rehashed",
        watched=("password_hash",),
        when="NEW.password_hash IS DISTINCT FROM OLD.password_hash"
        " AND NEW.password_changed_at IS NOT DISTINCT FROM OLD.password_changed_at",
    ),
    AuditTrigger("users", "user.deleted", "DELETE", "email", USER, account=NO_ACCOUNT),
)
MODEL_TRIGGERS = (
    """CREATE TRIGGER audit_model_version AFTER INSERT ON model_versions
       FOR EACH ROW EXECUTE FUNCTION audit_model_version()""",
    """CREATE TRIGGER audit_model_rewritten AFTER UPDATE ON model_versions
       FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION audit_model_version()""",
    """CREATE TRIGGER audit_model_deleted AFTER DELETE ON model_versions REFERENCING OLD TABLE AS gone
       FOR EACH STATEMENT EXECUTE FUNCTION audit_model_deleted()""",
)
FUNCTIONS = {
    "audit_actor": ACTOR,
    "audit_record": RECORD,
    "audit_change": CHANGE,
    "audit_model_facts": MODEL_FACTS,
    "audit_model_version": MODEL_VERSION,
    "audit_model_deleted": MODEL_DELETED,
    "audit_log_append_only": APPEND_ONLY,
}


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("id", sa.BigInteger, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("before", postgresql.JSONB, nullable=True),
        sa.Column("after", postgresql.JSONB, nullable=True),
        sa.Column("request_id", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("at", "id", name="pk_audit_log"),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("ix_audit_log_account_id_at_id", "audit_log", ["account_id", "at", "id"])
    for statement in FUNCTIONS.values():
        op.execute(statement)
    _refuse_changes()
    for statement in (*created(TRIGGERS), *MODEL_TRIGGERS):
        op.execute(statement)


def _refuse_changes() -> None:
    """Partitions inherit the trigger for rows; each needs its own for TRUNCATE (`luna_store.audit.retention`)."""
    op.execute("""
        CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
        FOR EACH ROW EXECUTE FUNCTION audit_log_append_only()
    """)
    now = datetime.now(UTC)
    first = now.year * 12 + now.month - 1
    starts = [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(first, first + 4)]
    months = {
        f"audit_log_y{start:%Y}m{start:%m}": f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        for start, end in pairwise(starts)
    }
    partitions = {"audit_log_default": "DEFAULT"} | months
    for name, values in partitions.items():
        op.execute(f"CREATE TABLE {name} PARTITION OF audit_log {values}")
    for name in ("audit_log", *partitions):
        op.execute(f"""
            CREATE TRIGGER audit_log_truncate BEFORE TRUNCATE ON {name}
            FOR EACH STATEMENT EXECUTE FUNCTION audit_log_append_only()
        """)


def downgrade() -> None:
    for statement in dropped(TRIGGERS):
        op.execute(statement)
    for name in ("audit_model_version", "audit_model_rewritten", "audit_model_deleted"):
        op.execute(f"DROP TRIGGER {name} ON model_versions")
    op.drop_table("audit_log")
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
