"""`luna settle`: moves usage events from Redis to Postgres until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from luna_store.platform.logs import configure
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client
from luna_store.settlement.settlement import Settler

if TYPE_CHECKING:
    from luna_serving.commands.servers import Servers

log = logging.getLogger("luna.settlement")

# Seconds for the last round. The next settler books the events that remain, so none is lost.
_LAST_ROUND_S = 2.0


def run(servers: Servers, *, json_logs: bool) -> None:
    """Settle until SIGTERM or SIGINT, then once more for events that arrived meanwhile."""
    configure("json" if json_logs else "text")
    asyncio.run(_settle(servers.database_url, servers.redis_url))


async def _settle(database_url: str, redis_url: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    engine, redis = async_engine(database_url, pool_size=2), redis_client(redis_url, timeout_s=5.0)
    settler = Settler(engine, redis)
    try:
        log.info("settlement begins")
        await settler.run(stop)
        with suppress(TimeoutError, SQLAlchemyError, RedisError, OSError):
            booked = await asyncio.wait_for(settler.settle(), _LAST_ROUND_S)
            log.info("settlement ends; %d events in the last round", booked)
    finally:
        await redis.aclose()
        await engine.dispose()
