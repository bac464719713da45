"""Reads the audit log, and records what is no change of a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.audit.tables import AuditEntry

_RECORD = text("SELECT audit_record(:account_id, :action, :subject, :before, :after)").bindparams(
    bindparam("before", type_=JSONB(none_as_null=True)), bindparam("after", type_=JSONB(none_as_null=True))
)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log."""

    at: datetime
    id: int
    account_id: int | None
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries; all that is not None must hold."""

    account_id: int | None = None
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    action: str | None = None
    """A whole action, or a noun (`key`) for all of its actions."""
    actor: str | None = None
    subject: str | None = None
    after: tuple[datetime, int] | None = None
    """`at` and `id` of the last entry of the page before."""


async def record(
    connection: AsyncConnection,
    action: str,
    *,
    account_id: int | None,
    subject: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write an entry for an event that changes no audited row, in the caller's transaction.

    Args:
        connection: of the transaction; `acting_as` has named its actor, or it is the process itself.
        action: `<noun>.<what>`, listed in docs/audit.md.
        account_id: whose admins may read the entry; None for nobody's.
        subject: what it is about. Never a secret.
        before: values before, as JSON has them.
        after: values after.
    """
    values = {"account_id": account_id, "action": action, "subject": subject, "before": before, "after": after}
    await connection.execute(_RECORD, values)


async def page(engine: AsyncEngine, wanted: Wanted, *, limit: int) -> list[Change]:
    """The newest entries that are wanted, the newest first."""
    columns = [getattr(AuditEntry, name) for name in Change.__slots__]
    query = select(*columns).where(*_conditions(wanted))
    query = query.order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(limit)
    async with engine.connect() as connection:
        rows = await connection.execute(query)
        return [Change(**row) for row in rows.mappings()]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    entry = AuditEntry
    conditions: list[ColumnElement[bool]] = []
    if wanted.account_id is not None:
        conditions.append(entry.account_id == wanted.account_id)
    if wanted.since is not None:
        conditions.append(entry.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(entry.at < wanted.until)
    if wanted.action is not None:
        of_noun = entry.action.startswith(f"{wanted.action}.", autoescape=True)
        conditions.append(entry.action == wanted.action if "." in wanted.action else of_noun)
    if wanted.actor is not None:
        conditions.append(entry.actor == wanted.actor)
    if wanted.subject is not None:
        conditions.append(entry.subject == wanted.subject)
    if wanted.after is not None:
        # The condition on `at` alone lets the planner leave out partitions.
        conditions += [tuple_(entry.at, entry.id) < tuple_(*wanted.after), entry.at <= wanted.after[0]]
    return conditions
