"""Delivers the messages of the outbox: claims those that are due, tries them, and plans the next try of each."""

import asyncio
import logging
import random
import time
from collections import Counter
from contextlib import suppress
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.alerts.store.outbox import OUTBOX, Delivery, claim
from luna_serving.webhooks.sending import Outcome, Sender, Tried
from luna_serving.webhooks.signing import headers_of
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.alerts")

LOOK_S: Final = 0.5
RUN_S: Final = 30.0
RETRY_S: Final = 1.0
# Seconds from each failed try to the next; then every last one of them. Shorter than those of jobs: an alert is news.
PAUSES_S: Final = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
JITTER: Final = 0.1


def pause_after(tries: int, age_s: float, given_up_s: float, jitter: float) -> float | None:
    """Seconds from a failed try to the next; None if there is none.

    Args:
        tries: how many there were.
        age_s: of the message.
        given_up_s: the age at which a message is given up.
        jitter: from -1 to 1: how far from the schedule.
    """
    if age_s >= given_up_s:
        return None
    return PAUSES_S[min(tries, len(PAUSES_S)) - 1] * (1 + JITTER * jitter)


class Deliverer:
    """Delivers messages while its loop runs. Does not own the engine or the sender."""

    def __init__(
        self,
        engine: AsyncEngine,
        sender: Sender,
        metrics: AlertMetrics,
        *,
        at_once: int,
        per_account: int,
        given_up_s: float,
    ) -> None:
        """Wire it.

        Args:
            engine: of the worker.
            sender: makes single tries.
            metrics: counts them.
            at_once: messages under way.
            per_account: those of one account.
            given_up_s: the age at which a message is given up.
        """
        self._engine = engine
        self._sender = sender
        self._metrics = metrics
        self._at_once = at_once
        self._per_account = per_account
        self._given_up_s = given_up_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: Counter[int] = Counter()
        self._look = asyncio.Event()

    async def run(self) -> None:
        """Deliver for a while; tries that are slow go on beyond it."""
        ends_at = time.monotonic() + RUN_S
        try:
            while time.monotonic() < ends_at:
                self._look.clear()
                if not await self._begin():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await self._look.wait()
        except asyncio.CancelledError:
            self.stop()
            raise

    def stop(self) -> None:
        """Break tries off; they are repeated under their ids."""
        for task in self._tasks:
            task.cancel()

    async def _begin(self) -> bool:
        free = self._at_once - len(self._tasks)
        if free <= 0:
            return False
        try:
            deliveries = await claim(self._engine, free, per_account=self._per_account, busy=+self._busy)
        except POSTGRES_GONE as e:
            log.warning("no notifications can be claimed: %s", e)
            await asyncio.sleep(RETRY_S)
            return False
        for delivery in deliveries:
            self._busy[delivery.account_id] += 1
            task = asyncio.create_task(self._deliver(delivery), name=f"notification {delivery.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(deliveries)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            headers = headers_of(str(delivery.id), int(time.time()), delivery.body, [delivery.secret])
            content = {"Content-Type": "application/json", **headers}
            tried = await self._sender.send(delivery.url, content, delivery.body)
            self._metrics.sent("webhook", await self._settle(delivery, tried))
        except POSTGRES_GONE as e:
            log.warning("notification %s is sent again, for its outcome cannot be stored: %s", delivery.id, e)
        finally:
            self._busy[delivery.account_id] -= 1
            self._look.set()

    async def _settle(self, delivery: Delivery, tried: Tried) -> str:
        again_in_s = None
        outcome = "delivered" if tried.outcome is Outcome.DELIVERED else "gone"
        if tried.outcome is Outcome.FAILED:
            jitter = random.uniform(-1, 1)  # noqa: S311  spreads tries
            again_in_s = pause_after(delivery.tries, delivery.age_s, self._given_up_s, jitter)
            outcome = "failed" if again_in_s is not None else "given_up"
            log.info("notification %s, try %d: %s", delivery.id, delivery.tries, tried.error)
        delivered = tried.outcome is Outcome.DELIVERED
        await OUTBOX.settle(self._engine, delivery, delivered=delivered, again_in_s=again_in_s, error=tried.error)
        return outcome
