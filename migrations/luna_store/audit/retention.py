"""Partitions of the audit log: made in advance, and dropped when all of their entries are old enough."""

import re
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_store.audit.tables import AuditEntry
from luna_store.platform.partitions import ensure_partitions

TABLE = AuditEntry.__tablename__
DEFAULT = f"{TABLE}_default"
# Changes queue behind the lock that a DROP waits for. It gives up, and the loop tries again.
LOCK_TIMEOUT = "2s"

_MONTH = re.compile(rf"{TABLE}_y(\d{{4}})m(\d{{2}})", re.ASCII)
_PARTITIONS = text("""
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(:table) ORDER BY 1
""")
# Postgres copies triggers for rows to new partitions, but none for statements.
_UNGUARDED = text("""
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(:table)
    AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audit_log_truncate')
""")


async def make_partitions(connection: AsyncConnection, now: datetime) -> None:
    """Make the partitions of this month and the next two, which refuse TRUNCATE as the table does."""
    await _bound_waiting(connection)
    await ensure_partitions(connection, TABLE, now)
    for name in list(await connection.scalars(_UNGUARDED, {"table": TABLE})):
        await _guard(connection, name)


async def drop_before(connection: AsyncConnection, cutoff: datetime) -> list[str]:
    """Drop the partitions whose entries are all older than `cutoff`; returns their names.

    The default partition, which is empty unless partitions were not made for months, is replaced by an empty one once
    all of its entries are old.
    """
    await _bound_waiting(connection)
    names = list(await connection.scalars(_PARTITIONS, {"table": TABLE}))
    old = [name for name in names if (end := _end(name)) is not None and end <= cutoff]
    for name in old:
        await connection.execute(text(f"DROP TABLE {name}"))
    newest = await connection.scalar(text(f"SELECT max(at) FROM {DEFAULT}"))  # noqa: S608  a constant
    if newest is None or newest >= cutoff:
        return old
    await connection.execute(text(f"DROP TABLE {DEFAULT}"))
    await connection.execute(text(f"CREATE TABLE {DEFAULT} PARTITION OF {TABLE} DEFAULT"))
    await _guard(connection, DEFAULT)
    return [*old, DEFAULT]


async def _bound_waiting(connection: AsyncConnection) -> None:
    await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


async def _guard(connection: AsyncConnection, name: str) -> None:
    await connection.execute(
        text(
            f"CREATE TRIGGER audit_log_truncate BEFORE TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_append_only()"
        )
    )


def _end(name: str) -> datetime | None:
    """When the month of a partition ends; None for the default partition."""
    match = _MONTH.fullmatch(name)
    if match is None:
        return None
    months = int(match[1]) * 12 + int(match[2])
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
