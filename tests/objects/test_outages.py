"""The store is killed and stopped while it is written to."""

import asyncio
import os
import time

import pytest
from tests.objects.fixture import store_on
from tests.stopping import stopped

from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.objects.errors import ObjectMissing, StoreGone
from luna_serving.objects.keys import sealed_key
from luna_serving.settings import ObjectsSettings

WRITERS = 4
QUICK = ObjectsSettings(answer_timeout_s=1.0, connect_timeout_s=1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A store that tests may kill."""
    folder = tmp_path_factory.mktemp("outages")
    with SeaweedServer(folder / "data", folder) as server:
        yield server


async def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_puts(server):
    written: dict[str, bytes] = {}
    enough = asyncio.Event()
    async with store_on(server) as store:

        async def write() -> None:
            while True:
                key, body = sealed_key(1), os.urandom(20_000)
                try:
                    await store.put_bytes(key, body)
                except StoreGone:
                    return
                written[key] = body
                if len(written) == 100:
                    enough.set()

        writers = [asyncio.create_task(write()) for _ in range(WRITERS)]
        await enough.wait()
        server.kill()
        await asyncio.gather(*writers)
    endpoint = server.url
    server.start()
    assert server.url == endpoint
    async with store_on(server) as store:
        for key, body in written.items():
            assert await store.get_bytes(key) == body
        await store.put_bytes(sealed_key(1), b"and it takes more")


async def test_a_store_that_hangs_is_gone_within_the_timeout_and_back_afterwards(server):
    key = sealed_key(2)
    async with store_on(server, QUICK) as store:
        await store.put_bytes(key, b"body")
        with stopped(server.pid):
            begun = time.monotonic()
            questions = (
                store.ping(),
                store.head(key),
                store.get_bytes(key),
                store.put_bytes(sealed_key(2), b"x"),
                store.put_bytes(sealed_key(2), bytes(8 * 1024**2)),  # more than the sockets' buffers
                store.delete(key),
                store.multipart.start(key),
            )
            outcomes = await asyncio.gather(*questions, return_exceptions=True)
            took = time.monotonic() - begun
        assert [type(outcome) for outcome in outcomes] == [StoreGone] * len(questions)
        # 8 MB have 8 s more.
        assert took < 1.0 + 8.4 + 5.0
        assert await settled(store.head(key), ObjectMissing) in {4, ObjectMissing}


async def rest(reading):
    return [chunk async for chunk in reading.chunks]


async def settled(question, accepted):
    """Its size, or the accepted error: a deletion that was given up may have been carried out."""
    try:
        return (await question).bytes
    except accepted:
        return accepted


async def test_a_body_that_stops_half_way_is_gone_within_the_timeout(server):
    key = sealed_key(3)
    async with store_on(server, QUICK) as store:
        await store.put_bytes(key, bytes(32 * 1024**2))
        async with store.open(key) as reading:
            await anext(reading.chunks)
            with stopped(server.pid), pytest.raises(StoreGone):
                await rest(reading)
        assert (await store.head(key)).bytes == 32 * 1024**2
