"""The log of changes of alerts, as live subscribers read it (`luna_serving.live.ports.AlertLog`)."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.live.ports import AlertHead, LoggedAlert, PortUnavailable
from luna_store.platform.postgres import POSTGRES_GONE

_HEADS: Final = text("SELECT account_id, epoch, seq FROM alert_sequences WHERE account_id = ANY(:ids)")
# The first question about an account names its epoch; an account that was deleted meanwhile has none.
_BEGIN: Final = text("""
INSERT INTO alert_sequences (account_id) SELECT id FROM accounts WHERE id = ANY(:ids) ON CONFLICT DO NOTHING
""")
_MISSED: Final = text("""
SELECT seq, alert::text AS alert FROM alert_events WHERE account_id = :account_id AND seq > :after
ORDER BY seq LIMIT :most
""")
GONE: Final = "gone"


class EventLog:
    """Reads the log. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def heads(self, account_ids: Sequence[int]) -> Mapping[int, AlertHead]:
        """Where the logs of accounts end.

        Raises:
            PortUnavailable: Postgres does not answer.
        """
        try:
            found = await self._heads(account_ids)
            missing = [each for each in account_ids if each not in found]
            if missing:
                async with self._engine.begin() as connection:
                    await connection.execute(_BEGIN, {"ids": missing})
                found |= await self._heads(missing)
        except (*POSTGRES_GONE, IntegrityError) as e:
            raise PortUnavailable("Postgres") from e
        return {each: found.get(each, AlertHead(GONE, 0)) for each in account_ids}

    async def missed(self, account_id: int, after_seq: int, most: int) -> Sequence[LoggedAlert]:
        """The changes with greater numbers, in order; those that are no longer kept are left out.

        Raises:
            PortUnavailable: Postgres does not answer.
        """
        values = {"account_id": account_id, "after": after_seq, "most": most}
        try:
            async with self._engine.connect() as connection:
                return [LoggedAlert(row.seq, row.alert) for row in await connection.execute(_MISSED, values)]
        except POSTGRES_GONE as e:
            raise PortUnavailable("Postgres") from e

    async def _heads(self, account_ids: Sequence[int]) -> dict[int, AlertHead]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_HEADS, {"ids": list(account_ids)})
            return {row.account_id: AlertHead(str(row.epoch), row.seq) for row in rows}
