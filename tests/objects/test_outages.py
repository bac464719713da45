"""The store is killed and stopped while it is written to."""

import asyncio
import os
import signal
import time

import pytest
from tests.objects.fixture import store_on

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
    async with store_on(server) as store:

        async def write() -> None:
            while True:
                key, body = sealed_key(1), os.urandom(20_000)
                try:
                    await store.put_bytes(key, body)
                except StoreGone:
                    return
                written[key] = body

        writers = [asyncio.create_task(write()) for _ in range(WRITERS)]
        while len(written) < 100:  # noqa: ASYNC110  of the writers
            await asyncio.sleep(0.01)
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
        os.kill(server.pid, signal.SIGSTOP)
        try:
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
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert [type(outcome) for outcome in outcomes] == [StoreGone] * len(questions)
        # 8 MB have 8 s more.
        assert took < 1.0 + 8.4 + 5.0
        assert await settled(store.head(key), ObjectMissing) in {4, ObjectMissing}


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
        with pytest.raises(StoreGone):  # noqa: PT012  it stops in between
            async with store.open(key) as reading:
                await anext(reading.chunks)
                os.kill(server.pid, signal.SIGSTOP)
                try:
                    async for _ in reading.chunks:
                        pass
                finally:
                    os.kill(server.pid, signal.SIGCONT)
        assert (await store.head(key)).bytes == 32 * 1024**2
