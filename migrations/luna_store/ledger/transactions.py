"""Transactions that are given up in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.platform.postgres import POSTGRES_GONE
from luna_store.quota.debits import StoreUnavailable


@asynccontextmanager
async def transaction_within(engine: AsyncEngine, timeout_s: float) -> AsyncIterator[AsyncConnection]:
    """A transaction that takes at most so many seconds.

    Raises:
        StoreUnavailable: Postgres did not answer in time. With `uncertain`, it may have committed.
        IntegrityError: a constraint does not hold; the caller knows what that means.
    """
    reached = False
    try:
        async with asyncio.timeout(timeout_s), engine.begin() as connection:
            reached = True
            yield connection
    except IntegrityError:
        raise
    except POSTGRES_GONE as e:
        raise StoreUnavailable("Postgres", uncertain=reached) from e
