"""Lists of alerts: those that are pending or firing, and history. And the end of an alert by hand."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.alerts.store.records import AlertRecord, record_of, to_ms
from luna_serving.capabilities.alerts.store.writing import Committed, Outcome, generations, write

_ACTIVE: Final = text("""
SELECT * FROM alerts WHERE account_id = :account_id AND state IN ('pending', 'firing')
    AND (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:rule_id AS uuid) IS NULL OR rule_id = :rule_id)
    AND (CAST(:at AS timestamptz) IS NULL OR (active_at, id) > (:at, CAST(:id AS uuid)))
ORDER BY active_at, id LIMIT :limit
""")
_HISTORY: Final = text("""
SELECT * FROM alerts WHERE account_id = :account_id AND fired_at IS NOT NULL
    AND (CAST(:rule_id AS uuid) IS NULL OR rule_id = :rule_id)
    AND (CAST(:start AS timestamptz) IS NULL OR fired_at >= :start)
    AND (CAST(:end AS timestamptz) IS NULL OR fired_at <= :end)
    AND (CAST(:at AS timestamptz) IS NULL OR (fired_at, id) < (:at, CAST(:id AS uuid)))
ORDER BY fired_at DESC, id DESC LIMIT :limit
""")
_FIND: Final = text("SELECT * FROM alerts WHERE account_id = :account_id AND id = :id")
_RULE: Final = text("SELECT document, webhook_secret FROM alert_rules WHERE id = :id")

After = tuple[datetime, uuid.UUID]


class AlertNotFound(Exception):
    """The account has no such alert."""

    def __init__(self, alert_id: uuid.UUID) -> None:
        super().__init__(f"There is no alert {alert_id}.")


class Alerts:
    """The repository. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def active(
        self,
        account_id: int,
        *,
        limit: int,
        after: After | None = None,
        state: str | None = None,
        rule_id: uuid.UUID | None = None,
    ) -> list[AlertRecord]:
        """Alerts that are pending or firing, the oldest first."""
        at, alert_id = after if after is not None else (None, None)
        values = {"limit": limit, "at": at, "id": alert_id, "state": state, "rule_id": rule_id}
        return await self._read(_ACTIVE, {**values, "account_id": account_id})

    async def history(
        self,
        account_id: int,
        *,
        limit: int,
        after: After | None = None,
        rule_id: uuid.UUID | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[AlertRecord]:
        """Alerts that fired, the newest first; those that still fire among them."""
        at, alert_id = after if after is not None else (None, None)
        values = {"limit": limit, "at": at, "id": alert_id, "rule_id": rule_id, "start": start, "end": end}
        return await self._read(_HISTORY, {**values, "account_id": account_id})

    async def resolve(
        self,
        account_id: int,
        alert_id: uuid.UUID,
        ends: Callable[[Sequence[AlertRecord], int, Any], Outcome],
    ) -> tuple[AlertRecord, Committed]:
        """End an alert by hand; one that has ended stays as it is.

        Args:
            account_id: whose.
            alert_id: which.
            ends: from the alert, the present and its rule's row (or None) to what is written.

        Raises:
            AlertNotFound: there is none of this id.
        """
        async with self._engine.begin() as connection:
            row = (await connection.execute(_FIND, {"account_id": account_id, "id": alert_id})).one_or_none()
            if row is None:
                raise AlertNotFound(alert_id)
            # The lock of the rule first: an evaluation under way commits, or sees what is written here.
            found = await generations(connection, [row.rule_id])
            row = (await connection.execute(_FIND, {"account_id": account_id, "id": alert_id})).one_or_none()
            if row is None:
                raise AlertNotFound(alert_id)
            before = record_of(row)
            if before.state == "resolved" or before.rule_id not in found:
                return before, Committed()
            rule = (await connection.execute(_RULE, {"id": before.rule_id})).one_or_none()
            now = await connection.scalar(text("SELECT clock_timestamp()"))
            assert now is not None  # noqa: S101  a function without arguments
            outcome = ends([before], to_ms(now), rule)
            committed = await write(connection, account_id, [replace(outcome, generation=found[before.rule_id])])
        return outcome.changes[0], committed

    async def _read(self, query: Any, values: dict[str, Any]) -> list[AlertRecord]:  # noqa: ANN401
        async with self._engine.connect() as connection:
            return [record_of(row) for row in await connection.execute(query, values)]
