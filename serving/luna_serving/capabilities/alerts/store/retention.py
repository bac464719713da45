"""Removes history, events and messages at the end of their time."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.platform.leases import Lease, fenced

AT_ONCE: Final = 5_000
# Delivered messages stay for a week, for people who ask what was sent.
MESSAGES: Final = timedelta(days=7)
_STATEMENTS: Final = {
    "alerts": "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE resolved_at < now() - :history LIMIT :most)",
    "events": """DELETE FROM alert_events WHERE (account_id, seq) IN
        (SELECT account_id, seq FROM alert_events WHERE at < now() - :events LIMIT :most)""",
    "messages": """DELETE FROM alert_notifications WHERE id IN (SELECT id FROM alert_notifications
        WHERE created_at < now() - :messages AND next_at IS NULL LIMIT :most)""",
    "silences": "DELETE FROM alert_silences WHERE id IN "
    "(SELECT id FROM alert_silences WHERE ends_at < now() - :history LIMIT :most)",
}


async def remove_old(engine: AsyncEngine, lease: Lease, *, history: timedelta, events: timedelta) -> None:
    """Remove what is older than its retention, some rows per transaction."""
    values: dict[str, Any] = {"history": history, "events": events, "messages": MESSAGES}
    for statement in _STATEMENTS.values():
        query = text(statement)
        named = {name: value for name, value in values.items() if f":{name}" in statement} | {"most": AT_ONCE}
        while True:
            async with fenced(engine, lease) as connection:
                if (await connection.execute(query, named)).rowcount < AT_ONCE:
                    break
