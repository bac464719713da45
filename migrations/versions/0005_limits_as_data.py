"""Limits and grants as data: one value each in `accounts`, kept in step with the columns of earlier releases.

A trigger copies each change between the old and the new columns, so that releases before and after this revision can
write and read at the same time. A later revision drops the trigger and the old columns.

Revision: 0005
Follows: 0004
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OLD = ("max_series_length", "max_series_per_request", "history_days")

LIMITS_OF_OLD = "jsonb_strip_nulls(jsonb_build_object({}))".format(", ".join(f"'{name}', NEW.{name}" for name in OLD))
CHANGED = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in OLD)
OLD_OF_LIMITS = "\n".join(f"NEW.{name} := (NEW.limits->>'{name}')::integer;" for name in OLD)
NAMES = ", ".join(f"'{name}'" for name in OLD)

# On INSERT, the side that differs from its default was written.
KEEP_IN_STEP = f"""
CREATE FUNCTION accounts_limits_in_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    everything CONSTANT jsonb := '{{"*": ["*"]}}';
    before_limits jsonb := '{{}}';
    before_allowed jsonb := everything;
    old_limits_changed boolean := true;
    old_models_changed boolean := true;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before_limits := OLD.limits;
        before_allowed := OLD.allowed;
        old_limits_changed := {CHANGED};
        old_models_changed := NEW.allowed_models IS DISTINCT FROM OLD.allowed_models;
    END IF;
    IF NEW.limits IS DISTINCT FROM before_limits THEN
        {OLD_OF_LIMITS}
    ELSIF old_limits_changed THEN
        NEW.limits := (before_limits - ARRAY[{NAMES}]) || {LIMITS_OF_OLD};
    END IF;
    IF NEW.allowed IS DISTINCT FROM before_allowed THEN
        NEW.allowed_models := ARRAY(
            SELECT jsonb_array_elements_text(coalesce(NEW.allowed->'kalman', NEW.allowed->'*', '[]'))
        );
    ELSIF old_models_changed THEN
        NEW.allowed := before_allowed - 'kalman';
        IF to_jsonb(NEW.allowed_models) IS DISTINCT FROM NEW.allowed->'*' THEN
            NEW.allowed := NEW.allowed || jsonb_build_object('kalman', to_jsonb(NEW.allowed_models));
        END IF;
    END IF;
    RETURN NEW;
END $$
"""  # noqa: S608  constants


def upgrade() -> None:
    json = postgresql.JSONB
    op.add_column("accounts", sa.Column("limits", json, server_default=sa.text("'{}'"), nullable=False))
    everything = sa.text("""'{"*": ["*"]}'""")
    op.add_column("accounts", sa.Column("allowed", json, server_default=everything, nullable=False))
    op.create_check_constraint(
        op.f("ck_accounts_objects"), "accounts", "jsonb_typeof(limits) = 'object' AND jsonb_typeof(allowed) = 'object'"
    )
    limits = LIMITS_OF_OLD.replace("NEW.", "")
    op.execute(f"UPDATE accounts SET limits = {limits} WHERE num_nonnulls({', '.join(OLD)}) > 0")  # noqa: S608  constants
    op.execute("""
        UPDATE accounts SET allowed = allowed || jsonb_build_object('kalman', to_jsonb(allowed_models))
        WHERE allowed_models <> '{*}'
    """)
    op.execute(KEEP_IN_STEP)
    # Not on columns that settlement updates many times per second.
    columns = ", ".join(("limits", "allowed", "allowed_models", *OLD))
    op.execute(f"""
        CREATE TRIGGER accounts_limits_in_step BEFORE INSERT OR UPDATE OF {columns} ON accounts
        FOR EACH ROW EXECUTE FUNCTION accounts_limits_in_step()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER accounts_limits_in_step ON accounts")
    op.execute("DROP FUNCTION accounts_limits_in_step")
    op.drop_constraint(op.f("ck_accounts_objects"), "accounts")
    op.drop_column("accounts", "allowed")
    op.drop_column("accounts", "limits")
