"""Writes what evaluations, resolving by hand and changes of rules did to alerts: one transaction for all of it.

Order of locks: rows of `alert_schedule` by rule, then the account's row of `alert_sequences`. The latter is held until
the commit, so numbers of events become visible in their order.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_serving.capabilities.alerts.store.models import ModelRow, write_models
from luna_serving.capabilities.alerts.store.records import AlertRecord, maybe_text, shown
from luna_store.platform.uuid7 import uuid7


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a rule's webhook."""

    rule_id: uuid.UUID
    url: str
    secret: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Turn:
    """When a rule is evaluated next, and how its evaluation went."""

    next_at_ms: int
    last_at_ms: int
    seconds: float
    error: str | None
    warnings: Sequence[str]
    data_at_ms: int | None
    missed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be written of one rule."""

    rule_id: uuid.UUID
    generation: int
    """As it was read: an outcome that something from outside has overtaken is dropped."""
    turn: Turn | None = None
    """None: not an evaluation, which counts the generation up."""
    kept: Sequence[AlertRecord] = ()
    """Rows that are new or changed."""
    removed: Sequence[uuid.UUID] = ()
    """Pending alerts that ended."""
    changes: Sequence[AlertRecord] = ()
    """Events, in order."""
    messages: Sequence[Message] = ()
    models: Sequence[ModelRow] = ()
    """Of an anomaly rule."""


@dataclass(frozen=True, slots=True)
class Event:
    """A numbered change of an alert."""

    seq: int
    alert: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction wrote."""

    epoch: uuid.UUID | None = None
    """None without events."""
    events: Sequence[Event] = ()
    dropped: frozenset[uuid.UUID] = field(default_factory=frozenset)
    """Rules that were changed, resolved by hand or deleted meanwhile."""


_LOCK: Final = text("""
SELECT rule_id, generation FROM alert_schedule WHERE rule_id = ANY(:ids) ORDER BY rule_id FOR UPDATE
""")
_NUMBER: Final = text("""
INSERT INTO alert_sequences (account_id, seq) VALUES (:account_id, :count)
ON CONFLICT (account_id) DO UPDATE SET seq = alert_sequences.seq + :count
RETURNING epoch, seq
""")
_COLUMNS: Final = """
    id uuid, rule_id uuid, name text, fingerprint text, labels jsonb, annotations jsonb, state text, value text,
    active_at timestamptz, fired_at timestamptz, keep_firing_since timestamptz, resolved_at timestamptz,
    resolved_by text, notified_at timestamptz, valid_ms bigint, announce_at timestamptz
"""
_KEEP: Final = text(f"""
INSERT INTO alerts (id, account_id, rule_id, name, fingerprint, labels, annotations, state, value, active_at, fired_at,
    keep_firing_since, resolved_at, resolved_by, notified_at, valid_ms, announce_at)
SELECT id, :account_id, rule_id, name, decode(fingerprint, 'hex'), labels, annotations, state, value::float8, active_at,
    fired_at, keep_firing_since, resolved_at, resolved_by, notified_at, valid_ms, announce_at
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x({_COLUMNS})
ON CONFLICT (id) DO UPDATE SET annotations = excluded.annotations, state = excluded.state, value = excluded.value,
    fired_at = excluded.fired_at, keep_firing_since = excluded.keep_firing_since, resolved_at = excluded.resolved_at,
    resolved_by = excluded.resolved_by, notified_at = excluded.notified_at, valid_ms = excluded.valid_ms,
    announce_at = coalesce(excluded.announce_at, alerts.announce_at)
""")  # noqa: S608  no value in it
_REMOVE: Final = text("DELETE FROM alerts WHERE id = ANY(:ids)")
_EVENTS: Final = text("""
INSERT INTO alert_events (account_id, seq, alert)
SELECT :account_id, seq, alert FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(seq bigint, alert jsonb)
""")
_MESSAGES: Final = text("""
INSERT INTO alert_notifications (id, account_id, rule_id, url, secret, body)
SELECT id, :account_id, rule_id, url, secret, convert_to(body, 'UTF8')
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(id uuid, rule_id uuid, url text, secret text, body text)
""")
_TURNS: Final = text("""
UPDATE alert_schedule s SET next_at = x.next_at, last_at = x.last_at, seconds = x.seconds, error = x.error,
    warnings = x.warnings, data_at = coalesce(x.data_at, s.data_at), missed = s.missed + x.missed
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(rule_id uuid, next_at timestamptz, last_at timestamptz,
    seconds float8, error text, warnings jsonb, data_at timestamptz, missed bigint)
WHERE s.rule_id = x.rule_id
""")
_OVERTAKE: Final = text("UPDATE alert_schedule SET generation = generation + 1 WHERE rule_id = ANY(:ids)")


async def generations(connection: AsyncConnection, rule_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Lock the schedules of rules until the transaction ends; those that exist, with their generations."""
    rows = await connection.execute(_LOCK, {"ids": list(rule_ids)})
    return {row.rule_id: row.generation for row in rows}


async def write(connection: AsyncConnection, account_id: int, outcomes: Sequence[Outcome]) -> Committed:
    """Write outcomes of rules of one account, within the transaction of the connection."""
    found = await generations(connection, [each.rule_id for each in outcomes])
    valid = [each for each in outcomes if found.get(each.rule_id) == each.generation]
    dropped = frozenset(each.rule_id for each in outcomes) - {each.rule_id for each in valid}
    epoch, events = await _number(connection, account_id, [c for each in valid for c in each.changes])
    if removed := [each for outcome in valid for each in outcome.removed]:
        await connection.execute(_REMOVE, {"ids": removed})
    if kept := [_alert(each) for outcome in valid for each in outcome.kept]:
        await connection.execute(_KEEP, {"account_id": account_id, "rows": _json(kept)})
    if events:
        rows = [{"seq": each.seq, "alert": each.alert} for each in events]
        await connection.execute(_EVENTS, {"account_id": account_id, "rows": _json(rows)})
    if messages := [_message(each) for outcome in valid for each in outcome.messages]:
        await connection.execute(_MESSAGES, {"account_id": account_id, "rows": _json(messages)})
    if models := [each for outcome in valid for each in outcome.models]:
        await write_models(connection, account_id, models)
    if turns := [_turn(each.rule_id, each.turn) for each in valid if each.turn is not None]:
        await connection.execute(_TURNS, {"rows": _json(turns)})
    if overtaken := [each.rule_id for each in valid if each.turn is None]:
        await connection.execute(_OVERTAKE, {"ids": overtaken})
    return Committed(epoch, events, dropped)


async def _number(
    connection: AsyncConnection, account_id: int, changes: Sequence[AlertRecord]
) -> tuple[uuid.UUID | None, list[Event]]:
    if not changes:
        return None, []
    row = (await connection.execute(_NUMBER, {"account_id": account_id, "count": len(changes)})).one()
    first = row.seq - len(changes) + 1
    return row.epoch, [Event(first + i, shown(each)) for i, each in enumerate(changes)]


def _alert(record: AlertRecord) -> dict[str, Any]:
    return {
        "id": str(record.id),
        "rule_id": str(record.rule_id),
        "name": record.name,
        "fingerprint": record.fingerprint.hex(),
        "labels": dict(record.labels),
        "annotations": dict(record.annotations),
        "state": record.state,
        "value": repr(float(record.value)),
        "active_at": maybe_text(record.active_at_ms),
        "fired_at": maybe_text(record.fired_at_ms),
        "keep_firing_since": maybe_text(record.keep_firing_since_ms),
        "resolved_at": maybe_text(record.resolved_at_ms),
        "resolved_by": record.resolved_by,
        "notified_at": maybe_text(record.notified_at_ms),
        "valid_ms": record.valid_ms,
        "announce_at": maybe_text(record.announce_at_ms),
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "rule_id": str(message.rule_id),
        "url": message.url,
        "secret": message.secret,
        "body": message.body.decode(),
    }


def _turn(rule_id: uuid.UUID, turn: Turn) -> dict[str, Any]:
    return {
        "rule_id": str(rule_id),
        "next_at": maybe_text(turn.next_at_ms),
        "last_at": maybe_text(turn.last_at_ms),
        "seconds": turn.seconds,
        "error": turn.error,
        "warnings": list(turn.warnings) or None,
        "data_at": maybe_text(turn.data_at_ms),
        "missed": turn.missed,
    }


def _json(rows: list[dict[str, Any]]) -> str:
    # Postgres stores no U+0000 in jsonb; labels of series may hold one.
    return orjson.dumps(rows).decode().replace("\\u0000", "\\ufffd")
