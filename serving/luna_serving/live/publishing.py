"""Publishes changed series and alerts, for accounts that somebody watches."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError

from luna_serving.live.encoding import REFRESH, write_alert, write_changed
from luna_serving.live.metrics import PublishingMetrics

log = logging.getLogger("luna.live")

OUTAGES: Final = (RedisError, OSError, TimeoutError)
# Seconds between messages about an account: what comes between is coalesced.
FLUSH_S: Final = 0.1
# Seconds between questions which accounts are watched: the delay of the first update of a new subscription at most.
LOOK_S: Final = 0.5
PUBLISH_S: Final = 1.0
SERIES_PER_MESSAGE: Final = 2_000

Columns = tuple[Sequence[bytes], NDArray[np.int64], NDArray[np.float64]]


def channel(account_id: int) -> str:
    """The channel of an account; the braces are a hash tag, as in its other keys."""
    return f"live:{{{account_id}}}"


async def publish_alert(redis: Redis, account_id: int, epoch: str, seq: int, alert: str) -> None:
    """Publish an entry of the log of alerts, after its commit. Errors are ignored: hubs find it in the log.

    Args:
        redis: the client.
        account_id: whose alert.
        epoch: of the log (`ports.AlertHead`).
        seq: its number.
        alert: JSON.
    """
    try:
        async with asyncio.timeout(PUBLISH_S):
            await redis.publish(channel(account_id), write_alert(epoch, seq, alert))
    except OUTAGES as e:
        log.debug("an alert of account %d was not published: %s", account_id, e)


class Publisher:
    """Publishes the last samples of changed series, coalesced to ten messages per second and account.

    `changed` costs an append; the rest happens in the task, and only for accounts with subscribers. Changes before a
    subscription is confirmed are in the present values that the subscriber reads after it, so no change is lost.
    """

    def __init__(
        self, redis: Redis, metrics: PublishingMetrics, *, flush_s: float = FLUSH_S, look_s: float = LOOK_S
    ) -> None:
        self._redis = redis
        self._metrics = metrics
        self._flush_s = flush_s
        self._look_s = look_s
        self._pending: dict[int, list[Columns]] = {}
        self._watched: set[int] = set()
        self._missed: set[int] = set()
        self._looked_at = 0.0
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="live updates to Redis")

    async def close(self) -> None:
        """Stop; what is pending is not published."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def changed(
        self,
        account_id: int,
        keys: Sequence[bytes],
        timestamps: NDArray[np.int64],
        values: NDArray[np.float64],
    ) -> None:
        """Take committed samples: best the last one of each series, but any order and duplicates are allowed.

        Args:
            account_id: whose series.
            keys: `samples.identity.series_key` of each sample's series.
            timestamps: [samples], milliseconds since 1970.
            values: [samples].
        """
        if len(keys):
            self._pending.setdefault(account_id, []).append((keys, timestamps, values))
            self._some.set()

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(self._flush_s)
            try:
                async with asyncio.timeout(PUBLISH_S):
                    await self._flush()
            except OUTAGES as e:
                log.warning("live updates are not published: %s", e)
                self._metrics.failures.inc()
                self._missed |= self._watched & self._pending.keys()
                self._pending.clear()
                await asyncio.sleep(self._look_s)
            if not self._pending:
                self._some.clear()

    async def _flush(self) -> None:
        now = time.monotonic()
        if self._missed:
            for account_id in list(self._missed):
                await self._redis.publish(channel(account_id), REFRESH)
                self._missed.discard(account_id)
        if now - self._looked_at >= self._look_s:
            await self._look()
            self._looked_at = now
        for account_id in [each for each in self._pending if each in self._watched]:
            # Taken out before the first message: what is committed meanwhile is in the next one.
            keys, timestamps, values = coalesced(self._pending.pop(account_id))
            receivers = 0
            try:
                for first in range(0, len(keys), SERIES_PER_MESSAGE):
                    part = slice(first, first + SERIES_PER_MESSAGE)
                    message = write_changed(keys[part], timestamps[part], values[part], time.time())
                    receivers = await self._redis.publish(channel(account_id), message)
            except BaseException:
                self._missed.add(account_id)
                raise
            self._metrics.series.inc(len(keys))
            if not receivers:
                self._watched.discard(account_id)

    async def _look(self) -> None:
        """Ask which accounts are watched; drop the changes of the others."""
        asked = {account_id: len(parts) for account_id, parts in self._pending.items()}
        counts = dict(await self._redis.pubsub_numsub(*map(channel, asked)))
        named = {_text(name): count for name, count in counts.items()}
        for account_id, parts in asked.items():
            if named.get(channel(account_id)):
                self._watched.add(account_id)
            else:
                self._watched.discard(account_id)
                # Those that came after the question stay: somebody may watch by now.
                del self._pending[account_id][:parts]
                if not self._pending[account_id]:
                    del self._pending[account_id]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def coalesced(parts: Sequence[Columns]) -> tuple[list[bytes], NDArray[np.int64], NDArray[np.float64]]:
    """The newest sample of each series; of equal timestamps the later one."""
    last: dict[bytes, tuple[int, float]] = {}
    for keys, timestamps, values in parts:
        for key, at, value in zip(keys, timestamps.tolist(), values.tolist(), strict=True):
            known = last.get(key)
            if known is None or known[0] <= at:
                last[key] = (at, value)
    columns = list(zip(*last.values(), strict=True))
    # NaN payloads matter: a staleness marker is one NaN among others, and Python floats keep it.
    return list(last), np.array(columns[0], dtype=np.int64), np.array(columns[1], dtype=np.float64)
