"""Reads which rules are due, and what their evaluation needs."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.alerts.store.records import AlertRecord, maybe_ms, record_of, to_ms
from luna_serving.samples.client import READING
from luna_store.grants import is_granted

_DUE: Final = text("""
SELECT s.rule_id, s.account_id, s.generation, s.next_at, s.data_at, r.revision,
    coalesce(CAST(:now AS timestamptz), clock_timestamp()) AS now, a.allowed
FROM alert_schedule s JOIN alert_rules r ON r.id = s.rule_id JOIN accounts a ON a.id = s.account_id
WHERE s.next_at <= coalesce(CAST(:now AS timestamptz), clock_timestamp()) AND s.rule_id <> ALL(:under_way)
ORDER BY s.next_at LIMIT :at_most
""")
_DOCUMENTS: Final = text("SELECT id, document, webhook_secret, revision FROM alert_rules WHERE id = ANY(:ids)")
_ACTIVE: Final = text("SELECT * FROM alerts WHERE rule_id = ANY(:ids) AND state IN ('pending', 'firing')")
_LATEST: Final = text("""
SELECT count(*) FILTER (WHERE next_at < clock_timestamp()) AS waiting,
    coalesce(extract(epoch FROM clock_timestamp() - min(next_at)), 0) AS late_s, count(*) AS rules FROM alert_schedule
""")

_NEXT: Final = text("SELECT extract(epoch FROM min(next_at) - clock_timestamp()) FROM alert_schedule")


@dataclass(frozen=True, slots=True)
class Due:
    """A rule that is to be evaluated."""

    rule_id: uuid.UUID
    account_id: int
    generation: int
    next_at_ms: int
    data_at_ms: int | None
    revision: uuid.UUID
    now_ms: int
    """Postgres' clock."""
    may_read: bool = True
    """Whether the account may read samples: a grant may have been taken since the rule was written."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A rule's document and secret, of one revision."""

    revision: uuid.UUID
    document: Mapping[str, Any]
    webhook_secret: str | None


async def due(
    engine: AsyncEngine, *, at_most: int, under_way: Collection[uuid.UUID], now: str | None = None
) -> list[Due]:
    """Rules whose time has come, the most overdue first.

    Args:
        engine: of the worker.
        at_most: how many.
        under_way: rules that are being evaluated.
        now: instead of Postgres' clock.
    """
    values = {"at_most": at_most, "under_way": list(under_way), "now": now}
    async with engine.connect() as connection:
        rows = await connection.execute(_DUE, values)
        return [
            Due(
                row.rule_id,
                row.account_id,
                row.generation,
                to_ms(row.next_at),
                maybe_ms(row.data_at),
                row.revision,
                to_ms(row.now),
                is_granted(row.allowed, READING.capability, READING.name),
            )
            for row in rows
        ]


async def documents(engine: AsyncEngine, rule_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, StoredDocument]:
    """The documents of rules; those that exist."""
    async with engine.connect() as connection:
        rows = await connection.execute(_DOCUMENTS, {"ids": list(rule_ids)})
        return {row.id: StoredDocument(row.revision, row.document, row.webhook_secret) for row in rows}


async def active(engine: AsyncEngine, rule_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[AlertRecord]]:
    """The alerts of rules that are pending or firing."""
    found: dict[uuid.UUID, list[AlertRecord]] = {}
    async with engine.connect() as connection:
        for row in await connection.execute(_ACTIVE, {"ids": list(rule_ids)}):
            found.setdefault(row.rule_id, []).append(record_of(row))
    return found


async def until_due_s(engine: AsyncEngine) -> float:
    """Seconds until the next rule is due; negative if one is, infinite without rules."""
    async with engine.connect() as connection:
        found = await connection.scalar(_NEXT)
    return float("inf") if found is None else float(found)


@dataclass(frozen=True, slots=True)
class Lateness:
    """How far behind the evaluation is."""

    rules: int
    waiting: int
    late_s: float


async def lateness(engine: AsyncEngine) -> Lateness:
    """The rules, those that are overdue, and by how much the most overdue one is."""
    async with engine.connect() as connection:
        row = (await connection.execute(_LATEST)).one()
    return Lateness(row.rules, row.waiting, max(0.0, float(row.late_s)))
