"""The outbox of notifications: messages to webhooks, and the alerts that Alertmanagers hear of.

Messages of one rule are claimed one at a time and in their order, so that no receiver hears of an end before the
beginning.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.alerts.store.records import AlertRecord, record_of
from luna_store.platform.outbox import LEASE_S, Outbox

OUTBOX: Final = Outbox(
    "alert_notifications",
    [
        *(f"d.{name}" for name in ("id", "account_id", "rule_id", "url", "secret", "body", "tries")),
        "extract(epoch FROM clock_timestamp() - d.created_at)::float8 AS age_s",
    ],
    order="place",
    queue="rule_id",
)
# The newest are kept: a receiver that comes back hears how things are now. What was tried is being sent.
_BOUND: Final = text("""
DELETE FROM alert_notifications WHERE tries = 0 AND next_at IS NOT NULL AND id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY rule_id ORDER BY place DESC) AS age FROM alert_notifications
        WHERE rule_id = ANY(:rule_ids) AND next_at IS NOT NULL
    ) n WHERE n.age >= :most)
""")
_ANNOUNCED: Final = text("""
SELECT a.* FROM alerts a WHERE a.announce_at <= clock_timestamp() ORDER BY a.announce_at LIMIT :at_most
""")
_HEARD: Final = text("""
UPDATE alerts SET announce_at = CASE
    WHEN resolved_at IS NULL OR resolved_at + :retention > clock_timestamp() THEN clock_timestamp() + :resend END
WHERE id = ANY(:ids) AND state = 'resolved' OR id = ANY(:firing) AND state = 'firing'
""")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is to be tried now."""

    id: uuid.UUID
    account_id: int
    rule_id: uuid.UUID
    url: str
    secret: str
    body: bytes
    tries: int
    """This one included."""
    age_s: float
    """Since it was written."""


async def claim(
    engine: AsyncEngine, at_most: int, *, per_account: int, busy: Mapping[int, int], lease_s: float = LEASE_S
) -> list[Delivery]:
    """Take messages that are due; see `Outbox.claim`."""
    rows = await OUTBOX.claim(engine, at_most, per_account=per_account, busy=busy, lease_s=lease_s)
    return [Delivery(**{**row, "body": bytes(row["body"])}) for row in rows]


async def drop_excess(connection: AsyncConnection, rule_ids: Sequence[uuid.UUID], most: int) -> int:
    """Remove the oldest waiting messages of rules that have more than `most`, but not those that were tried.

    Within the transaction that holds the rules' schedules. What stays is delivered as if nothing had been removed.

    Returns:
        How many were removed.
    """
    return (await connection.execute(_BOUND, {"rule_ids": list(rule_ids), "most": most})).rowcount


async def to_announce(engine: AsyncEngine, at_most: int) -> list[tuple[int, AlertRecord]]:
    """Alerts that Alertmanagers are to hear of now, with their accounts."""
    async with engine.connect() as connection:
        rows = await connection.execute(_ANNOUNCED, {"at_most": at_most})
        return [(row.account_id, record_of(row)) for row in rows]


async def announced(
    connection: AsyncConnection, alerts: Sequence[AlertRecord], *, resend: timedelta, retention: timedelta
) -> None:
    """Plan when the alerts are announced again: a firing one after `resend`, a resolved one until `retention` is over.

    One whose state has changed meanwhile stays due.
    """
    values: dict[str, Any] = {
        "ids": [each.id for each in alerts if each.state == "resolved"],
        "firing": [each.id for each in alerts if each.state == "firing"],
        "resend": resend,
        "retention": retention,
    }
    await connection.execute(_HEARD, values)
