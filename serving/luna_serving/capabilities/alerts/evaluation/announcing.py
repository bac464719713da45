"""Publishes committed changes of alerts to live subscribers; a publication that is lost is found in the log."""

import orjson
from redis.asyncio import Redis

from luna_serving.capabilities.alerts.evaluation.evaluator import Announce
from luna_serving.capabilities.alerts.store.writing import Committed
from luna_serving.live.publishing import publish_alert


def publisher(redis: Redis) -> Announce:
    """Publishes through Redis."""

    async def announce(account_id: int, committed: Committed) -> None:
        for event in committed.events:
            alert = orjson.dumps(event.alert).decode()
            await publish_alert(redis, account_id, str(committed.epoch), event.seq, alert)

    return announce
