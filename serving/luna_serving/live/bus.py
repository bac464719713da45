"""One subscription of an ingress replica to the channels of the accounts that are watched in it."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import PubSub

from luna_serving.live.encoding import Message, Refresh, UnknownMessage, read_message
from luna_serving.live.publishing import OUTAGES, channel

log = logging.getLogger("luna.live")

# Seconds between two looks at a silent connection; after a second one without an answer it counts as gone.
LOOK_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
# Seconds that a subscriber waits for the confirmation of its channel; later it polls.
CONFIRM_S: Final = 1.0
# So that the connection is one of subscriptions before anybody is watched.
IDLE: Final = "live:idle"


class Bus:
    """Passes messages on, and says when it hears again after an outage."""

    def __init__(
        self,
        redis: Redis,
        heard: Callable[[int, Message], None],
        up: Callable[[], Awaitable[None]],
        down: Callable[[], None],
    ) -> None:
        """Wire it.

        Args:
            redis: any client of the store; the bus opens a connection of its own.
            heard: takes a message about an account.
            up: called after each subscription of all channels; something may have been missed before.
            down: called when the connection is lost.
        """
        self._redis = binary_client(redis)
        self._heard = heard
        self._up = up
        self._down = down
        self._accounts: dict[str, int] = {}
        self._confirmed: dict[str, asyncio.Event] = {}
        self._pubsub: PubSub | None = None
        self._late: set[str] = set()
        """Channels whose confirmation came after `watch` had given up, or has not come."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered_at = 0.0

    async def watch(self, account_id: int) -> bool:
        """Subscribe to an account; True once Redis has confirmed it, False if it does not in time."""
        name = channel(account_id)
        confirmed = self._confirmed.setdefault(name, asyncio.Event())
        if name not in self._accounts:
            self._accounts[name] = account_id
            if self._pubsub is not None:
                with suppress(*OUTAGES):
                    await self._pubsub.subscribe(name)
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIRM_S if self._pubsub is not None else 0):
                await confirmed.wait()
        if not confirmed.is_set():
            self._late.add(name)
        return confirmed.is_set()

    def forget(self, account_id: int) -> None:
        """Unsubscribe from an account."""
        name = channel(account_id)
        self._accounts.pop(name, None)
        self._confirmed.pop(name, None)
        task = asyncio.create_task(self._unsubscribe(name), name=f"unsubscribe {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unsubscribe(self, name: str) -> None:
        # It may be watched again by now.
        if self._pubsub is not None and name not in self._accounts:
            with suppress(*OUTAGES):
                await self._pubsub.unsubscribe(name)

    async def run(self) -> None:
        """Listen until cancelled; connects again after errors."""
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                try:
                    async with self._redis.pubsub() as pubsub:
                        await pubsub.subscribe(IDLE)
                        # From now on `watch` subscribes to further accounts itself.
                        self._pubsub = pubsub
                        if self._accounts:
                            await pubsub.subscribe(*self._accounts)
                        pause_s = FIRST_PAUSE_S
                        await self._listen(pubsub)
                except OUTAGES as e:
                    log.warning("live updates hear nothing from Redis: %s", e)
                except Exception:
                    # A message that cannot be applied: what it said is read again after the next subscription.
                    log.exception("a live update failed")
                finally:
                    self._lost()
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  jitter
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            with suppress(*OUTAGES):
                await self._redis.aclose()

    def _lost(self) -> None:
        self._pubsub = None
        for each in self._confirmed.values():
            each.clear()
        self._down()

    async def _listen(self, pubsub: PubSub) -> None:
        self._answered_at = time.monotonic()
        up = asyncio.create_task(self._again(), name="live updates hear Redis")
        try:
            while True:
                message = await pubsub.get_message(timeout=LOOK_S)
                now = time.monotonic()
                if message is not None:
                    self._answered_at = now
                    self._take(message)
                elif now - self._answered_at > 3 * LOOK_S:
                    raise TimeoutError("no answer to a ping")
                else:
                    await pubsub.ping()
        finally:
            up.cancel()

    async def _again(self) -> None:
        for confirmed in list(self._confirmed.values()):
            await confirmed.wait()
        await self._up()

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "subscribe":
                self._confirm(message["channel"].decode())
            case "message":
                account_id = self._accounts.get(message["channel"].decode())
                if account_id is not None:
                    try:
                        self._heard(account_id, read_message(message["data"]))
                    except UnknownMessage as e:
                        log.warning("%s", e)

    def _confirm(self, name: str) -> None:
        confirmed = self._confirmed.get(name)
        if confirmed is not None:
            confirmed.set()
            if name in self._late:
                self._heard(self._accounts[name], Refresh())
        self._late.discard(name)


def binary_client(redis: Redis) -> Redis:
    """A client of the same store whose answers are bytes."""
    pool = redis.connection_pool
    options = {**pool.connection_kwargs, "decode_responses": False}
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **options))
