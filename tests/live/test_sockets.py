"""Live updates over WebSockets."""

import asyncio
import json
import math
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.live.memory import MemoryAlerts, MemoryShard
from tests.live.served import Client, Served, publishing, served
from tests.store.stores import Caller, Store
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from luna_serving.engines.promql.api import STALE
from luna_serving.live import hub


@pytest.fixture
async def caller(store: Store) -> Caller:
    return await store.account()


@pytest.fixture
async def luna(store: Store) -> AsyncIterator[Served]:
    async with (
        publishing(store.redis) as publisher,
        served(store, MemoryShard(publisher), MemoryAlerts(store.redis)) as running,
    ):
        yield running


async def test_present_values_come_first_and_then_what_changes(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    luna.shard.write(own, ("cpu", {"host": "a"}, 1_000, 0.5), ("mem", {"host": "a"}, 1_000, 7.0))
    async with luna.connect(caller) as connection:
        client = Client(connection)
        await client.send(type="subscribe", selectors=["cpu"], rate=10, alerts=True)
        assert await client.next() == {"type": "subscribed", "epoch": "e1", "seq": 0, "resumed": False}
        first = await client.next()
        series = {"name": "cpu", "labels": {"host": "a"}, "timestamp": 1_000, "value": 0.5}
        assert first == {"type": "update", "epoch": "e1", "seq": 1, "series": [series]}
        luna.shard.write(own, ("cpu", {"host": "a"}, 2_000, 0.75), ("mem", {"host": "a"}, 2_000, 8.0))
        assert (await client.next())["series"] == [{**series, "timestamp": 2_000, "value": 0.75}]
        luna.shard.write(own, ("cpu", {"host": "b"}, 2_000, 1.25))
        assert (await client.next())["series"][0]["labels"] == {"host": "b"}
        assert luna.metric("luna_live_messages_total", type="update") == 3
        assert luna.metric("luna_live_connections", transport="websocket") == 1


async def test_late_samples_are_no_updates_and_a_correction_of_the_last_one_is(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    luna.shard.write(own, ("cpu", {}, 5_000, 5.0))
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, "cpu", rate=10)
        await client.value(5.0)
        luna.shard.write(own, ("cpu", {}, 4_000, 4.0))
        with pytest.raises(TimeoutError):
            await client.next(0.6)
        luna.shard.write(own, ("cpu", {}, 5_000, 5.5))
        assert (await client.next())["series"][0]["value"] == 5.5


async def test_values_that_are_no_json_numbers_are_null_and_the_end_of_a_series_says_so(
    luna: Served, caller: Caller
) -> None:
    own = caller.account_id
    luna.shard.write(own, ("cpu", {}, 1_000, 1.0))
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, "cpu", rate=10)
        await client.value(1.0)
        luna.shard.write(own, ("cpu", {}, 2_000, math.inf))
        shown = (await client.next())["series"][0]
        assert (shown["value"], shown.get("stale")) == (None, None)
        luna.shard.write(own, ("cpu", {}, 3_000, STALE))
        shown = (await client.next())["series"][0]
        assert (shown["value"], shown["stale"]) == (None, True)


async def test_a_fast_series_is_sent_at_the_clients_rate_with_its_last_value(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, "cpu", rate=4)

        async def write() -> None:
            for n in range(300):
                luna.shard.write(own, ("cpu", {}, n, float(n)))
                await asyncio.sleep(0.01)

        writing = asyncio.create_task(write())
        count, last = 0, -1.0
        while last < 299:
            last = (await client.of("update"))["series"][0]["value"]
            count += 1
        await writing
    assert 9 <= count <= 15


async def test_another_subscription_on_the_same_connection_replaces_the_first(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    luna.shard.write(own, ("cpu", {}, 1, 1.0), ("mem", {}, 1, 2.0))
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, "cpu", rate=10)
        await client.value(1.0)
        await client.send(type="subscribe", selectors=["mem"], rate=10)
        again = await client.of("subscribed")
        assert (await client.of("update"))["series"][0]["name"] == "mem"
        assert again["seq"] == client.seqs[-3]
        luna.shard.write(own, ("cpu", {}, 2, 3.0), ("mem", {}, 2, 4.0))
        assert [each["name"] for each in (await client.of("update"))["series"]] == ["mem"]


@pytest.mark.parametrize(
    ("message", "pointer"),
    [
        ('{"type": "subscribe", "selectors": ["cpu{"]}', "/selectors/0"),
        ('{"type": "subscribe", "selectors": ["cpu", 3]}', "/selectors/1"),
        ('{"type": "subscribe", "selectors": [], "alerts": false}', "/selectors"),
        ('{"type": "subscribe", "selectors": ["cpu"], "rate": 11}', "/rate"),
        ('{"type": "subscribe", "selectors": ["cpu"], "rate": "4"}', "/rate"),
        ('{"type": "subscribe", "selector": ["cpu"]}', "/selector"),
        ('{"type": "resume", "selectors": ["cpu"], "epoch": "e1"}', "/seq"),
        ('{"type": "resume", "selectors": ["cpu"], "epoch": "e1", "seq": -1}', "/seq"),
        ('{"type": "begin"}', "/type"),
        ("[]", ""),
        ("{", ""),
        (b"{}", ""),
    ],
)
async def test_a_wrong_message_is_answered_with_its_field_and_the_connection_goes_on(
    luna: Served, caller: Caller, message: str | bytes, pointer: str
) -> None:
    async with luna.connect(caller) as connection:
        client = Client(connection)
        await connection.send(message)
        error = await client.next()
        assert (error["type"], error["problem"]["status"]) == ("error", 422)
        assert error["problem"]["errors"][0]["pointer"] == pointer
        await client.send(type="ping")
        assert await client.next() == {"type": "pong"}


async def test_an_account_sees_its_own_series_only(luna: Served, caller: Caller, store: Store) -> None:
    other = await store.account()
    luna.shard.write(other.account_id, ("cpu", {}, 1, 1.0))
    async with luna.connect(caller) as connection, luna.connect(other) as theirs:
        client = await Client.subscribed(connection, '{__name__=~".+"}', rate=10)
        neighbour = await Client.subscribed(theirs, "cpu", rate=10)
        await neighbour.value(1.0)
        luna.shard.write(other.account_id, ("cpu", {}, 2, 2.0))
        await neighbour.value(2.0)
        with pytest.raises(TimeoutError):
            await client.next(0.3)


async def test_more_series_than_allowed_are_refused_and_end_a_subscription_that_comes_to_match_them(
    store: Store, caller: Caller
) -> None:
    own = caller.account_id
    async with (
        publishing(store.redis) as publisher,
        served(store, MemoryShard(publisher), MemoryAlerts(), most_series=3) as luna,
    ):
        luna.shard.write(own, *(("cpu", {"host": str(n)}, 1, 1.0) for n in range(4)))
        async with luna.connect(caller) as connection:
            client = Client(connection)
            await client.send(type="subscribe", selectors=["cpu"])
            error = await client.next()
            assert error["problem"]["errors"][0]["pointer"] == "/selectors"
            await client.send(type="subscribe", selectors=["mem"], rate=10)
            assert (await client.next())["type"] == "subscribed"
            luna.shard.write(own, *(("mem", {"host": str(n)}, 1, 1.0) for n in range(4)))
            with pytest.raises(ConnectionClosed) as closed:
                await client.of("never")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert "narrow" in closed.value.rcvd.reason
        assert luna.metric("luna_live_closed_total", reason="too_many_series") == 1


async def test_connections_beyond_the_limit_are_refused_before_the_upgrade(store: Store, caller: Caller) -> None:
    async with (
        served(store, MemoryShard(), MemoryAlerts(), most_connections=1) as luna,
        luna.connect(caller) as connection,
    ):
        await Client.subscribed(connection, "cpu")
        with pytest.raises(InvalidStatus) as refused:
            async with luna.connect(caller):
                pass
        answer = refused.value.response
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
        assert json.loads(answer.body)["type"].endswith("too-many-connections")


async def test_a_shard_out_of_reach_is_a_503_and_the_client_may_ask_again(luna: Served, caller: Caller) -> None:
    luna.shard.out_of_reach = True
    async with luna.connect(caller) as connection:
        client = Client(connection)
        await client.send(type="subscribe", selectors=["cpu"])
        error = await client.next()
        assert (error["problem"]["status"], error["retry_after"]) == (503, 2)
        luna.shard.out_of_reach = False
        await client.send(type="subscribe", selectors=["cpu"])
        assert (await client.next())["type"] == "subscribed"


async def test_many_subscribers_of_one_selector_ask_the_shard_once(luna: Served, caller: Caller) -> None:
    luna.shard.write(caller.account_id, ("cpu", {}, 1, 1.0))
    async with luna.connect(caller) as first:
        await (await Client.subscribed(first, "cpu")).value(1.0)
        await asyncio.sleep(0.3)
        asked = luna.shard.asked
        async with luna.connect(caller) as second:
            await (await Client.subscribed(second, "cpu")).value(1.0)
    assert luna.shard.asked == asked


async def test_a_revoked_key_ends_its_connections(store: Store, caller: Caller) -> None:
    async with served(store, MemoryShard(), MemoryAlerts(), check_s=0.2) as luna:
        async with luna.connect(caller) as connection:
            client = await Client.subscribed(connection, "cpu")
            await store.accounts.update(caller.account_id, state="suspended")
            await store.cache.rebuild(caller.account_id)
            with pytest.raises(ConnectionClosed) as closed:
                await client.next(10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
        assert luna.metric("luna_live_closed_total", reason="credential") == 1


async def test_connections_that_come_at_once_do_not_pass_the_limit(store: Store, caller: Caller) -> None:
    async with served(store, MemoryShard(), MemoryAlerts(), most_connections=3) as luna:
        opened = await asyncio.gather(*(luna.connect(caller) for _ in range(20)), return_exceptions=True)
        connections = [each for each in opened if not isinstance(each, BaseException)]

        codes: set[int | None] = set()

        async def served_one(connection: ClientConnection) -> bool:
            try:
                await connection.send('{"type": "ping"}')
                return '"pong"' in str(await connection.recv())
            except ConnectionClosed as closed:
                codes.add(closed.rcvd.code if closed.rcvd is not None else None)
                return False

        assert sum(await asyncio.gather(*map(served_one, connections))) == 3
        assert codes <= {1013}
        for each in connections:
            await each.close()


async def test_different_selectors_of_an_account_are_bounded(
    luna: Served, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_SELECTORS", 3)
    async with luna.connect(caller) as first, luna.connect(caller) as second:
        await Client.subscribed(first, "a", "b")
        client = Client(second)
        await client.send(type="subscribe", selectors=["c", "d"])
        error = await client.next()
        assert (error["problem"]["status"], error["retry_after"]) == (429, 5)
        await client.send(type="subscribe", selectors=["a", "b", "c"])
        assert (await client.next())["type"] == "subscribed"


async def test_an_account_that_may_only_write_does_not_read_live(store: Store) -> None:
    writer = await store.account(allowed={"metrics": ["ingest"]})
    async with served(store, MemoryShard(), MemoryAlerts(), check_s=0.2) as luna:
        with pytest.raises(InvalidStatus) as refused:
            async with luna.connect(writer):
                pass
        answer = refused.value.response
        assert answer.status_code == 403
        problem = json.loads(answer.body)
        assert (problem["capability"], problem["name"]) == ("metrics", "query")
        headers = {"X-API-Key": writer.key.secret}
        async with httpx.AsyncClient(base_url=f"{luna.url}/{writer.account_id}", headers=headers) as client:
            assert (await client.get("/metrics/live?selector=cpu")).status_code == 403


async def test_a_grant_that_is_taken_ends_connections(store: Store, caller: Caller) -> None:
    async with served(store, MemoryShard(), MemoryAlerts(), check_s=0.2) as luna, luna.connect(caller) as connection:
        client = await Client.subscribed(connection, "cpu")
        await store.accounts.update(caller.account_id, allowed={"metrics": ["ingest"]})
        await store.cache.rebuild(caller.account_id)
        with pytest.raises(ConnectionClosed) as closed:
            await client.next(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
