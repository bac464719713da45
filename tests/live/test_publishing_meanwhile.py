"""What is committed while a message is sent is in the next one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from tests.store.stores import Store

from luna_serving.live.bus import binary_client
from luna_serving.live.encoding import Changed, read_message
from luna_serving.live.metrics import PublishingMetrics
from luna_serving.live.publishing import Publisher, channel
from luna_serving.samples.identity import series_key

KEY = series_key("cpu", {})


class Meanwhile(Redis):
    """A client in whose calls something happens while the store answers."""

    async def publish(self, *arguments: Any, **options: Any) -> Any:
        answer = await super().publish(*arguments, **options)
        self.happens("publish")
        return answer

    async def pubsub_numsub(self, *arguments: Any, **options: Any) -> Any:
        answer = await super().pubsub_numsub(*arguments, **options)
        await self.awaited("look")
        return answer

    def happens(self, what: str) -> None:
        """Nothing, by default."""

    async def awaited(self, what: str) -> None:
        """Nothing, by default."""


@asynccontextmanager
async def meanwhile(store: Store) -> AsyncIterator[tuple[Meanwhile, Publisher]]:
    redis = Meanwhile(connection_pool=store.redis.connection_pool)
    publisher = Publisher(redis, PublishingMetrics(CollectorRegistry()), flush_s=0.02, look_s=0.02)
    publisher.start()
    try:
        yield redis, publisher
    finally:
        await publisher.close()


def change(publisher: Publisher, account_id: int, at: int) -> None:
    publisher.changed(account_id, [KEY], np.array([at], np.int64), np.array([float(at)]))


async def heard(pubsub: Any, wanted: int) -> None:
    async with asyncio.timeout(5):
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is not None:
                found = read_message(message["data"])
                if isinstance(found, Changed) and wanted in found.timestamps:
                    return


async def test_a_change_during_a_publication_is_published(store: Store) -> None:
    async with meanwhile(store) as (redis, publisher):
        pubsub = binary_client(store.redis).pubsub()
        await pubsub.subscribe(channel(7))
        redis.happens = lambda _: change(publisher, 7, 2) or setattr(redis, "happens", lambda _: None)  # type: ignore[func-returns-value, method-assign]
        change(publisher, 7, 1)
        await heard(pubsub, 2)
        await pubsub.aclose()


async def test_a_change_after_the_question_who_watches_is_published(store: Store) -> None:
    async with meanwhile(store) as (redis, publisher):
        pubsub = binary_client(store.redis).pubsub()
        subscribed = asyncio.Event()

        async def subscribes(_: str) -> None:
            redis.awaited = Meanwhile.awaited.__get__(redis)  # type: ignore[method-assign]
            await pubsub.subscribe(channel(7))
            change(publisher, 7, 2)
            subscribed.set()

        redis.awaited = subscribes  # type: ignore[method-assign]
        change(publisher, 7, 1)
        await asyncio.wait_for(subscribed.wait(), 5)
        await heard(pubsub, 2)
        await pubsub.aclose()
