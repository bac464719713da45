"""What anomaly rules have learnt, in Postgres: per rule and series a model, and the state of its filter."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.alerts.store.records import maybe_text, to_ms

_READ: Final = text("""
SELECT rule_id, series, model, learnt_at, state, state_at FROM alert_models WHERE rule_id = ANY(:ids)
""")
_WRITE: Final = text("""
INSERT INTO alert_models (rule_id, series, account_id, model, learnt_at, state, state_at)
SELECT rule_id, decode(series, 'hex'), :account_id, coalesce(convert_to(model, 'UTF8'), ''), learnt_at,
    convert_to(state, 'UTF8'), state_at
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(rule_id uuid, series text, model text, learnt_at timestamptz,
    state text, state_at timestamptz)
ON CONFLICT (rule_id, series) DO UPDATE SET
    model = CASE WHEN excluded.model = '' THEN alert_models.model ELSE excluded.model END,
    learnt_at = excluded.learnt_at, state = excluded.state, state_at = excluded.state_at
""")
_FORGET: Final = text("DELETE FROM alert_models WHERE rule_id = :id AND series = ANY(:series)").bindparams(
    bindparam("series", type_=ARRAY(BYTEA))
)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """What is known of one series of a rule."""

    rule_id: uuid.UUID
    series: bytes
    model: bytes | None
    """JSON; None where it is to stay as it is stored."""
    learnt_at_ms: int
    state: bytes
    """JSON."""
    state_at_ms: int


async def read_models(engine: AsyncEngine, rule_ids: Sequence[uuid.UUID]) -> list[ModelRow]:
    """What rules have learnt."""
    async with engine.connect() as connection:
        return [
            ModelRow(
                row.rule_id,
                bytes(row.series),
                bytes(row.model),
                to_ms(row.learnt_at),
                bytes(row.state),
                to_ms(row.state_at),
            )
            for row in await connection.execute(_READ, {"ids": list(rule_ids)})
        ]


async def write_models(connection: AsyncConnection, account_id: int, rows: Sequence[ModelRow]) -> None:
    """Keep what was learnt, and the states."""
    values: list[dict[str, Any]] = [
        {
            "rule_id": str(each.rule_id),
            "series": each.series.hex(),
            "model": each.model.decode() if each.model is not None else None,
            "learnt_at": maybe_text(each.learnt_at_ms),
            "state": each.state.decode(),
            "state_at": maybe_text(each.state_at_ms),
        }
        for each in rows
    ]
    await connection.execute(_WRITE, {"account_id": account_id, "rows": orjson.dumps(values).decode()})


async def forget_series(connection: AsyncConnection, rule_id: uuid.UUID, series: Sequence[bytes]) -> None:
    """Drop what was learnt of series that have ended."""
    await connection.execute(_FORGET, {"id": rule_id, "series": list(series)})
