"""`luna settle`: moves usage events from Redis to Postgres until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from luna_serving.commands.errors import CommandFailed
from luna_serving.settings import read_settings
from luna_serving.telemetry.process import traces_of
from luna_store.platform.logs import configure
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client
from luna_store.settlement.settlement import Settler

if TYPE_CHECKING:
    from luna_serving.commands.servers import Servers
    from luna_serving.settings import TraceSettings

log = logging.getLogger("luna.settlement")

# Seconds for the last round. The next settler books the events that remain, so none is lost.
_LAST_ROUND_S = 2.0


def run(servers: Servers, *, json_logs: bool) -> None:
    """Settle until SIGTERM or SIGINT, then once more for events that arrived meanwhile.

    Raises:
        CommandFailed: a LUNA_ variable of the platform cannot be used.
    """
    try:
        platform = read_settings({}).platform
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(("LUNA", *map(str, first["loc"]))).upper()
        raise CommandFailed(f"{name} cannot be used: {first['msg']}") from error
    # For people, unless a collector is known to read it.
    form = platform.log.format if "format" in platform.log.model_fields_set else "text"
    configure("json" if json_logs else form, platform.log.level)
    asyncio.run(_settle(servers.database_url, servers.redis_url, platform.trace))


async def _settle(database_url: str, redis_url: str, trace: TraceSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    engine, redis = async_engine(database_url, actor="settlement", pool_size=2), redis_client(redis_url, timeout_s=5.0)
    traces = traces_of("settlement", trace)
    settler = Settler(engine, redis, traces=traces)
    try:
        log.info("settlement begins")
        await settler.run(stop)
        with suppress(TimeoutError, SQLAlchemyError, RedisError, OSError):
            booked = await asyncio.wait_for(settler.settle(), _LAST_ROUND_S)
            log.info("settlement ends; %d events in the last round", booked)
    finally:
        await redis.aclose()
        await engine.dispose()
        if traces is not None:
            await asyncio.to_thread(traces.close)
