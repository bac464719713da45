"""While Postgres is gone, calls go on; afterwards no row is there twice, and none is missing up to the bound."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.access.logged import Logged, logged
from tests.stopping import stop_tree, stopped
from tests.store.stores import PEPPERS, Caller, Store

from luna_serving.local.servers.postgres import PostgresServer
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate
from luna_store.quota.redis_quota import RedisQuota, redis_client
from luna_store.requests.writing import COPY, AlreadyWritten, write
from luna_store.settlement.settlement import Settler

JSON = {"Content-Type": "application/json"}
CALLERS = 8


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A Postgres of the test's own."""
    with PostgresServer(tmp_path / "data", tmp_path) as server:
        migrate(server.url)
        yield server


@pytest.fixture
async def mortal(server: PostgresServer, fresh_redis: str) -> AsyncIterator[Store]:
    """The stores, with a Postgres that may be killed."""
    engine, redis = async_engine(server.url), redis_client(fresh_redis)
    yield Store(
        engine=engine,
        redis=redis,
        accounts=Accounts(engine, PEPPERS),
        cache=AccountCache(engine, redis),
        quota=RedisQuota(redis),
        fallback=PostgresQuota(engine),
        settler=Settler(engine, redis),
    )
    await redis.aclose()
    await engine.dispose()


async def kill(server: PostgresServer) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(1.5)
    await asyncio.to_thread(server.start)


async def stop_and_kill(server: PostgresServer) -> None:
    """Frozen in the middle of what it does, and then killed without another step."""
    stop_tree(server.pid)
    await asyncio.sleep(0.5)
    await kill(server)


async def freeze(server: PostgresServer) -> None:
    with stopped(server.pid, children=True):
        await asyncio.sleep(3)


async def calling(luna: Logged, caller: Caller, done: asyncio.Event, answered: list[str]) -> None:
    async with luna.client(caller) as client:
        while not done.is_set():
            name = uuid.uuid4().hex
            answer = await client.post("/api/v1/echo", content="1", headers=JSON | {"X-Request-ID": name})
            assert answer.status_code == 200, answer.text
            answered.append(name)


@pytest.mark.parametrize("trouble", [kill, stop_and_kill, freeze])
async def test_no_row_is_missing_and_none_is_there_twice_after_postgres_was_gone(
    mortal: Store, server: PostgresServer, trouble: Callable[[PostgresServer], Awaitable[None]]
) -> None:
    caller = await mortal.account(quota_limit=10**6)
    done, answered = asyncio.Event(), list[str]()
    async with logged(mortal, flush_s=0.02, batch_rows=20) as luna:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CALLERS):
                tasks.create_task(calling(luna, caller, done, answered))
            await asyncio.sleep(0.5)
            before = len(answered)
            await trouble(server)
            assert len(answered) > before
            await asyncio.sleep(0.5)
            done.set()
        async with asyncio.timeout(60):
            await luna.flushed()
        assert luna.value("luna_request_log_dropped_total") == 0
        assert luna.value("luna_request_log_rows_total") == len(answered)
    with psycopg.connect(server.url) as sql:
        rows = [name for (name,) in sql.execute("SELECT request_id FROM request_log")]
    assert sorted(rows) == sorted(answered)


async def test_a_batch_whose_commit_got_no_answer_is_not_written_twice(store: Store) -> None:
    """Postgres committed and the connection broke: the batch is sent again, and recognised."""
    caller, lost = await store.account(), []

    async def committed_but_not_known(body: bytes) -> None:
        await write(store.engine, body)
        if body not in lost:
            lost.append(body)
            raise OperationalError("COMMIT", {}, ConnectionResetError())

    async with logged(store, write_with=committed_but_not_known) as luna:
        async with luna.client(caller) as client, luna.client() as nobody:
            await client.post("/api/v1/echo", content="1", headers=JSON)
            await nobody.post("/api/v1/echo", content="1", headers=JSON)  # null in the index
        async with asyncio.timeout(30):
            assert [row.status for row in await luna.rows()] == [200, 401]
        assert lost
        assert luna.value("luna_request_log_rows_total") == 2
        assert luna.value("luna_request_log_dropped_total") == 0


async def test_a_batch_waits_for_the_commit_that_is_still_under_way(store: Store) -> None:
    """The connection broke while Postgres was still writing: the second attempt sees what became of the first."""
    caller = await store.account()
    bodies: list[bytes] = []

    async def keep(body: bytes) -> None:
        bodies.append(body)

    async with logged(store, write_with=keep) as luna, luna.client(caller) as client:
        await client.post("/api/v1/echo", content="1", headers=JSON)
        await luna.flushed()
    async with store.engine.connect() as first:
        driver = (await first.get_raw_connection()).driver_connection
        async with driver.cursor() as cursor, cursor.copy(COPY) as copy:
            await copy.write(bodies[0])
        second = asyncio.create_task(write(store.engine, bodies[0]))
        await asyncio.sleep(0.3)
        assert not second.done()
        await driver.commit()
    with pytest.raises(AlreadyWritten):
        await second
    assert await store.scalar("SELECT count(*) FROM request_log") == 1


async def test_beyond_the_bound_the_oldest_rows_are_dropped_and_counted(store: Store) -> None:
    caller = await store.account()
    gone = asyncio.Event()
    gone.set()

    async def away(body: bytes) -> None:
        if gone.is_set():
            raise OperationalError("COPY", {}, ConnectionRefusedError())
        await write(store.engine, body)

    async with logged(store, write_with=away, flush_s=0.01, batch_rows=5, memory_rows=20) as luna:
        async with luna.client(caller) as client:
            for number in range(60):
                headers = JSON | {"X-Request-ID": f"{number:02}"}
                assert (await client.post("/api/v1/echo", content="1", headers=headers)).status_code == 200
            await asyncio.sleep(0.1)
            assert luna.value("luna_request_log_waiting_rows") <= 20
            gone.clear()
        async with asyncio.timeout(30):
            names = [row.request_id for row in await luna.rows()]
        dropped = luna.value("luna_request_log_dropped_total")
    assert len(names) + dropped == 60
    assert 10 <= len(names) <= 20 + 5
    # The newest are there, and so may be the batch that was under way.
    newest = len(names) - 5
    assert names[-newest:] == [f"{number:02}" for number in range(60 - newest, 60)]


async def test_rows_that_postgres_refuses_are_dropped_and_counted_and_the_others_are_written(store: Store) -> None:
    caller = await store.account()

    async def broken_once(body: bytes) -> None:
        await write(store.engine, body[:-7] if b"broken" in body else body)

    async with logged(store, write_with=broken_once, batch_rows=1) as luna:
        async with luna.client(caller) as client:
            for name in ("a", "broken", "b"):
                await client.post("/api/v1/echo", content="1", headers=JSON | {"X-Request-ID": name})
        async with asyncio.timeout(30):
            assert [row.request_id for row in await luna.rows()] == ["a", "b"]
        assert luna.value("luna_request_log_dropped_total") == 1


async def test_a_stop_writes_what_was_answered_before(store: Store) -> None:
    caller = await store.account()
    async with logged(store, flush_s=60) as luna:
        async with luna.client(caller) as client:
            await asyncio.gather(*(client.post("/api/v1/echo", content="1", headers=JSON) for _ in range(20)))
        assert await store.scalar("SELECT count(*) FROM request_log") == 0
    assert await store.scalar("SELECT count(*) FROM request_log") == 20


async def test_a_stop_does_not_wait_long_for_a_postgres_that_is_gone(store: Store) -> None:
    caller = await store.account()
    never = asyncio.Event()

    async def hang(body: bytes) -> None:
        del body
        await never.wait()

    async with logged(store, write_with=hang, flush_s=60) as luna:
        async with luna.client(caller) as client:
            await client.post("/api/v1/echo", content="1", headers=JSON)
        async with asyncio.timeout(10):
            await luna.log.close()
        assert luna.value("luna_request_log_dropped_total") == 1


async def test_a_schema_without_the_table_stops_no_call(store: Store) -> None:
    caller = await store.account()
    async with store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE request_log RENAME TO hidden"))
    async with logged(store, write_with=partial(write, store.engine)) as luna, luna.client(caller) as client:
        assert (await client.post("/api/v1/echo", content="1", headers=JSON)).status_code == 200
        await asyncio.sleep(0.3)
        assert (await client.get("/api/v1/requests")).status_code == 503
        async with store.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE hidden RENAME TO request_log"))
        async with asyncio.timeout(30):
            assert [row.route for row in await luna.rows()] == ["echo", "requests"]
