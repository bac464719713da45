"""Whether the database has this release's schema while the operator runs: it may be replaced by an empty one."""

import asyncio
import logging

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.platform.postgres import POSTGRES_GONE
from luna_store.platform.schema import SchemaMismatch, lacking, migrate, revision_of

log = logging.getLogger("luna.operator")

LOOK_EVERY_S = 5.0


class DatabaseSchema:
    """Compares the database's schema with this release's, and migrates it where that is the operator's business."""

    def __init__(self, engine: AsyncEngine, database_url: str, *, may_migrate: bool) -> None:
        """Wire it. Does not own the engine.

        Args:
            engine: of the database.
            database_url: of the same one, for migrations.
            may_migrate: whether the database belongs to the release, and nobody else migrates it again.
        """
        self._engine = engine
        self._database_url = database_url
        self._may_migrate = may_migrate

    async def lacking(self) -> SchemaMismatch | None:
        """What the schema lacks, or None.

        Raises:
            SQLAlchemyError, OSError, TimeoutError: Postgres is out of reach.
        """
        async with self._engine.connect() as connection:
            return lacking(await connection.run_sync(revision_of))

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if (mismatch := await self.lacking()) is None:
                    continue
                if not self._may_migrate:
                    log.error("%s", mismatch)
                    continue
                log.warning("%s It is made again; Accounts follow with the next sweep.", mismatch)
                await asyncio.to_thread(migrate, self._database_url)
            except POSTGRES_GONE as e:
                log.info("the schema cannot be looked at: %s", type(e).__name__)
