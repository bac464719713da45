"""Makes a committed change of an account take effect at once."""

import asyncio
import logging
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from luna_store.accounts.cache import AccountCache

log = logging.getLogger("luna.access")

# Longer than a rebuild waits for a lock, shorter than any request may take.
WAIT_S: Final = 3.0


async def rebuild_at_once(cache: AccountCache, account_id: int) -> None:
    """Rebuild an account's Redis keys after a change that was committed and marked the account stale.

    Does not fail: settlement rebuilds a stale account within a second of Redis' return, and without Redis, Postgres
    decides debits and knows the change.
    """
    try:
        async with asyncio.timeout(WAIT_S):
            await cache.rebuild(account_id)
    except (RedisError, SQLAlchemyError, OSError, TimeoutError):
        log.warning("account %d is rebuilt later", account_id, exc_info=True)
