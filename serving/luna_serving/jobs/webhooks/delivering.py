"""Delivers the messages of the outbox: claims those that are due, tries them, and plans the next try of each."""

import asyncio
import logging
import random
import time
from collections import Counter
from contextlib import suppress
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs.webhooks.message import body_of
from luna_serving.jobs.webhooks.metrics import WebhookMetrics
from luna_serving.settings import WebhookSettings
from luna_serving.webhooks.addresses import Allowed
from luna_serving.webhooks.sending import Outcome, Sender, Tried
from luna_serving.webhooks.signing import headers_of
from luna_store.jobs import reading
from luna_store.jobs.webhook_secrets import secrets_of
from luna_store.jobs.webhooks import OUTBOX, Delivery, claim
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.webhooks")

POLL_S: Final = 1.0
# Seconds that tries under way have when the worker stops; the others are repeated under their id.
STOP_S: Final = 1.0
# Seconds after each try, as Standard Webhooks has them ("Operational considerations"), cut to a day: 23.6 hours in all.
RETRY_AFTER_S: Final = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 21_600.0)
JITTER: Final = 0.1


def pause_after(tries: int, jitter: float) -> float | None:
    """Seconds from a failed try to the next; None after the last.

    Args:
        tries: how many there were.
        jitter: from -1 to 1: how far from the schedule.
    """
    return RETRY_AFTER_S[tries - 1] * (1 + JITTER * jitter) if tries <= len(RETRY_AFTER_S) else None


class Deliverer:
    """Delivers messages until it is cancelled. Does not own the engine."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: WebhookSettings,
        metrics: WebhookMetrics,
        *,
        sender: Sender | None = None,
    ) -> None:
        """Wire it.

        Args:
            engine: of the worker.
            settings: of webhooks.
            metrics: counts tries.
            sender: by default one under the settings.
        """
        self._engine = engine
        self._settings = settings
        self._metrics = metrics
        allowed = Allowed(http=settings.allow_http, networks=settings.networks)
        self._sender = sender or Sender(allowed, timeout_s=settings.timeout_s)
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: Counter[int] = Counter()
        self._look = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            while True:
                self._look.clear()
                if not await self._claim():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_S * random.uniform(0.7, 1.0)):  # noqa: S311  jitter
                            await self._look.wait()
        finally:
            await self._stop()

    async def _claim(self) -> bool:
        """Begin what is due and may be begun; returns whether there was any."""
        free = self._settings.at_once - len(self._tasks)
        if free <= 0:
            return False
        try:
            deliveries = await claim(
                self._engine, free, per_account=self._settings.at_once_per_account, busy=+self._busy
            )
        except POSTGRES_GONE as e:
            log.warning("no webhooks can be claimed: %s", e)
            return False
        for delivery in deliveries:
            self._busy[delivery.account_id] += 1
            task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(deliveries)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            begun = time.monotonic()
            tried = await self._tried(delivery)
            if tried is not None:
                outcome = await self._settle(delivery, tried)
                self._metrics.tried(outcome, time.monotonic() - begun)
        except POSTGRES_GONE as e:
            log.warning("webhook %s is tried again, for its outcome cannot be stored: %s", delivery.id, e)
        finally:
            self._busy[delivery.account_id] -= 1
            self._look.set()

    async def _tried(self, delivery: Delivery) -> Tried | None:
        """The outcome of a try; None if the job is gone."""
        found = await reading.find(self._engine, delivery.account_id, delivery.job_id, inline_bytes=0)
        if found is None:
            return None
        try:
            secrets = await secrets_of(self._engine, delivery.account_id)
        except (IntegrityError, LookupError):
            return None
        body = body_of(delivery, found.job)
        headers = headers_of(str(delivery.id), int(time.time()), body, secrets.valid)
        return await self._sender.send(delivery.url, {"Content-Type": "application/json", **headers}, body)

    async def _settle(self, delivery: Delivery, tried: Tried) -> str:
        again_in_s = None
        outcome = "delivered" if tried.outcome is Outcome.DELIVERED else "gone"
        if tried.outcome is Outcome.FAILED:
            again_in_s = pause_after(delivery.tries, random.uniform(-1, 1))  # noqa: S311  jitter
            outcome = "failed" if again_in_s is not None else "given_up"
            log.info("webhook %s, try %d: %s", delivery.id, delivery.tries, tried.error)
        delivered = tried.outcome is Outcome.DELIVERED
        await OUTBOX.settle(self._engine, delivery, delivered=delivered, again_in_s=again_in_s, error=tried.error)
        return outcome

    async def _stop(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await self._sender.close()
