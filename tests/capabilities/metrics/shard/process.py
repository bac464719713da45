"""A process of its own that holds the lease of a shard and answers on a socket.

Arguments: database URL, Valkey URL, path of the socket, settings as JSON. A request is a pickle after its length.
"""

import asyncio
import contextlib
import logging
import pickle
import struct
import sys

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.shard import MetricsShard
from luna_serving.shards.holding import Holding
from luna_serving.shards.shard import Place, ShardStores
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

LENGTH = struct.Struct("<I")


async def main(database_url: str, redis_url: str, path: str, settings: str) -> None:
    stores = ShardStores(async_engine(database_url), redis_client(redis_url), CollectorRegistry())
    parsed = MetricsSettings.model_validate_json(settings)
    place = Place("metrics", 0, 1)
    leases = async_engine(database_url, pool_size=2)
    holding = Holding(leases, place, lambda lease: MetricsShard(parsed, stores, place, lease))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                account_id, request = pickle.loads(await reader.readexactly(length))
                answer = pickle.dumps(await holding.ask(account_id, request))
                writer.write(LENGTH.pack(len(answer)) + answer)
                await writer.drain()

    async with await asyncio.start_unix_server(serve, path):
        await holding.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    asyncio.run(main(*sys.argv[1:]))
