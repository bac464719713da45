"""Wakes workers and watchers through Redis. It only saves waiting: whoever hears nothing polls Postgres."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger("luna.jobs")

CHANNEL: Final = "jobs:wake"
WAKE: Final = "wake"
CANCEL: Final = "cancel"
EVENT: Final = "event"

# Seconds that a publication may take.
PUBLISH_S: Final = 1.0
# Seconds between two looks at a silent connection, and after an error.
LOOK_S: Final = 2.0
RETRY_S: Final = 1.0
OUTAGES: Final = (RedisError, OSError, TimeoutError)


class Waker:
    """Publishes what has changed. Errors are ignored."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def wake(self) -> None:
        """A job waits in the queue."""
        await self._publish(WAKE)

    async def cancel(self, job_id: uuid.UUID) -> None:
        """A running job is to be cancelled."""
        await self._publish(f"{CANCEL} {job_id}")

    async def event(self, account_id: int, job_id: uuid.UUID) -> None:
        """A job has new events."""
        await self._publish(f"{EVENT} {account_id} {job_id}")

    async def _publish(self, message: str) -> None:
        with suppress(*OUTAGES):
            async with asyncio.timeout(PUBLISH_S):
                await self._redis.publish(CHANNEL, message)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a listener does with each message; called on its event loop."""

    wake: Callable[[], None] = lambda: None
    cancel: Callable[[uuid.UUID], None] = lambda _: None
    event: Callable[[int, uuid.UUID], None] = lambda _, __: None


async def listen(redis: Redis, heard: Heard) -> None:
    """Pass messages on until cancelled; connects again after errors."""
    while True:
        try:
            async with redis.pubsub() as subscription:
                await subscription.subscribe(CHANNEL)
                # Something may have been missed.
                heard.wake()
                while True:
                    message = await subscription.get_message(ignore_subscribe_messages=True, timeout=LOOK_S)
                    if message is not None:
                        _pass_on(message["data"], heard)
        except OUTAGES as e:
            log.debug("no wake-ups from Redis: %s", e)
            await asyncio.sleep(RETRY_S)


def _pass_on(data: str | bytes, heard: Heard) -> None:
    words = (data.decode() if isinstance(data, bytes) else data).split()
    match words:
        case [word] if word == WAKE:
            heard.wake()
        case [word, job_id] if word == CANCEL:
            heard.cancel(uuid.UUID(job_id))
        case [word, account_id, job_id] if word == EVENT:
            heard.event(int(account_id), uuid.UUID(job_id))
        case _:
            log.debug("an unknown message on %s", CHANNEL)
