"""Valkey killed, and clients that do not read."""

import asyncio
import json
import os
import socket as sockets
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.memory import MemoryAlerts, MemoryShard
from tests.live.served import Client, publishing, served
from tests.store.stores import Caller, Store

from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.quota.redis_quota import redis_client


@pytest.fixture
async def caller(store: Store) -> Caller:
    return await store.account()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """One that a test may kill."""
    with ValkeyServer(tmp_path / "valkey", tmp_path) as server:
        yield server


async def test_sockets_outlive_valkey_with_the_same_values_later(
    store: Store, caller: Caller, valkey: ValkeyServer
) -> None:
    own = caller.account_id
    bus, publishers = redis_client(valkey.url), redis_client(valkey.url)
    async with publishing(publishers) as publisher:
        shard, alerts = MemoryShard(publisher), MemoryAlerts(publishers)
        async with served(store, shard, alerts, redis=bus) as luna, luna.connect(caller) as connection:
            client = await Client.subscribed(connection, "cpu", rate=10)
            shard.write(own, ("cpu", {}, 1, 1.0))
            await client.value(1.0)
            valkey.kill()
            shard.write(own, ("cpu", {}, 2, 2.0))
            await client.value(2.0, 5)
            await alerts.fire(own)
            assert (await client.of("alert", 5))["alert"]["number"] == 1
            assert luna.metric("luna_live_polling") == 1
            async with luna.connect(caller) as another:
                late = await Client.subscribed(another, "cpu", rate=10)
                await late.value(2.0)
            await asyncio.to_thread(valkey.start)
            async with asyncio.timeout(10):
                while luna.metric("luna_live_polling"):  # noqa: ASYNC110  a gauge
                    await asyncio.sleep(0.05)
            asked = shard.asked
            for n in range(3, 6):
                shard.write(own, ("cpu", {}, n, float(n)))
                await client.value(float(n), 3)
            assert shard.asked - asked <= 1, "it hears, and does not poll"
    await bus.aclose()
    await publishers.aclose()


async def test_a_client_that_does_not_read_delays_no_other(store: Store, caller: Caller) -> None:
    own, wide = caller.account_id, "x" * 1_000
    async with publishing(store.redis) as publisher:
        shard = MemoryShard(publisher)
        async with served(store, shard, MemoryAlerts()) as luna:
            stuck = await stuck_client(luna.url, caller)
            async with luna.connect(caller) as connection:
                client = await Client.subscribed(connection, "cpu", rate=10)
                longest, n = 0.0, 0
                # 400 series of a kilobyte ten times a second: 4 MB a second, which fill every buffer at once.
                ended = time.monotonic() + 5
                while time.monotonic() < ended:
                    n += 1
                    began = time.monotonic()
                    shard.write(own, *(("wide", {"host": f"{i}{wide}"}, n, float(n)) for i in range(400)))
                    shard.write(own, ("cpu", {}, n, float(n)))
                    await client.value(float(n), 5)
                    longest = max(longest, time.monotonic() - began)
                assert longest < 1.0
                assert n >= 10
            # What waits for it is bounded: it reads what was written, then the last values.
            values = await last_values(stuck, n)
            assert values[-1] == float(n)
            assert len(values) < n / 2, "rounds were skipped"


async def stuck_client(url: str, caller: Caller) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has subscribed, and reads nothing."""
    host, port = url.removeprefix("http://").split("/")[0].split(":")
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 8_192)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=raw, limit=4_096)
    head = (
        f"GET /api/v1/{caller.account_id}/ws/metrics HTTP/1.1\r\nHost: luna\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nX-API-Key: {caller.key.secret}\r\n"
        f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n\r\n"
    )
    writer.write(head.encode())
    assert b" 101 " in (await reader.readuntil(b"\r\n\r\n"))
    body = json.dumps({"type": "subscribe", "selectors": ["wide"], "rate": 10, "alerts": False}).encode()
    mask = b"\0\0\0\0"
    writer.write(bytes((0x81, 0x80 | len(body))) + mask + body)
    return reader, writer


async def last_values(stuck: tuple[asyncio.StreamReader, asyncio.StreamWriter], wanted: float) -> list[float]:
    """The values of the series `wide` with the first host, until one is as wanted."""
    reader, writer = stuck
    values: list[float] = []
    async with asyncio.timeout(20):
        while not values or values[-1] != wanted:
            first, length = await reader.readexactly(2)
            if length >= 126:
                length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
            payload = await reader.readexactly(length)
            if first & 0x0F == 1:
                message = json.loads(payload)
                found = [s["value"] for s in message.get("series", ()) if s["labels"]["host"].startswith("0x")]
                values += found
    writer.close()
    return values
