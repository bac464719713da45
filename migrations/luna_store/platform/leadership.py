"""Leadership: a Postgres advisory lock, held on its own connection.

The lock ends with its connection, so a holder that is killed or cannot reach Postgres loses it. The lock avoids
duplicate work; work under it must stay correct with two holders for a moment.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


@asynccontextmanager
async def leadership(engine: AsyncEngine, name: str) -> AsyncIterator[AsyncConnection | None]:
    """Hold the named lock; yields its connection, to be checked now and then, or None if another process holds it.

    Raises:
        SQLAlchemyError: Postgres did not answer.
    """
    async with engine.connect() as raw:
        connection = await raw.execution_options(isolation_level="AUTOCOMMIT")
        lock = {"name": name}
        if not await connection.scalar(text("SELECT pg_try_advisory_lock(hashtext(:name))"), lock):
            yield None
            return
        try:
            yield connection
        finally:
            # A broken connection has released the lock.
            with suppress(SQLAlchemyError):
                await connection.execute(text("SELECT pg_advisory_unlock(hashtext(:name))"), lock)
