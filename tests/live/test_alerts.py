"""Alerts on live connections: none is lost and none comes twice, whatever breaks."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.live.memory import MemoryAlerts, MemoryShard
from tests.live.served import Client, Served, publishing, served
from tests.store.stores import Caller, Store
from websockets.exceptions import ConnectionClosed

from luna_serving.live import subscribers


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


async def numbers(client: Client, count: int, seconds: float = 15) -> list[int]:
    return [(await client.of("alert", seconds))["alert"]["number"] for _ in range(count)]


async def test_an_alert_comes_at_once_and_its_number_is_in_the_high_bits(luna: Served, caller: Caller) -> None:
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, alerts=True)
        await asyncio.sleep(0.2)
        await luna.alerts.fire(caller.account_id)
        message = await client.next(2)
        expected = {"type": "alert", "epoch": "e1", "seq": 1 << 20, "alert": {"name": "hot", "number": 1}}
        assert message == expected


async def test_who_wants_no_alerts_gets_none(luna: Served, caller: Caller) -> None:
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, "cpu", alerts=False)
        await luna.alerts.fire(caller.account_id)
        with pytest.raises(TimeoutError):
            await client.next(1)


async def test_a_new_subscription_begins_after_the_alerts_before_it(luna: Served, caller: Caller) -> None:
    for _ in range(3):
        await luna.alerts.fire(caller.account_id)
    async with luna.connect(caller) as connection:
        client = Client(connection)
        await client.send(type="subscribe", selectors=[], alerts=True)
        assert (await client.next())["seq"] == 3 << 20
        await asyncio.sleep(0.2)
        await luna.alerts.fire(caller.account_id)
        assert await numbers(client, 1) == [4]


async def test_a_client_that_resumes_elsewhere_gets_the_alerts_that_it_missed(store: Store, caller: Caller) -> None:
    own = caller.account_id
    async with publishing(store.redis) as publisher:
        shard, alerts = MemoryShard(publisher), MemoryAlerts(store.redis)
        shard.write(own, ("cpu", {}, 1, 1.0))
        async with served(store, shard, alerts) as first, first.connect(caller) as connection:
            client = await Client.subscribed(connection, "cpu", rate=10)
            await client.value(1.0)
            await alerts.fire(own)
            assert await numbers(client, 1) == [1]
            shard.write(own, ("cpu", {}, 2, 2.0))
            await client.value(2.0)
            first.server.should_exit = True
            with pytest.raises(ConnectionClosed):
                await client.of("never")
        for _ in range(500):
            await alerts.fire(own)
        shard.write(own, ("cpu", {}, 3, 3.0))
        async with served(store, shard, alerts) as second, second.connect(caller) as connection:
            again = Client(connection)
            await again.send(type="resume", epoch=client.epoch, seq=client.seqs[-1], selectors=["cpu"], rate=10)
            assert await again.next() == {
                "type": "subscribed",
                "epoch": "e1",
                "seq": client.seqs[-1],
                "resumed": True,
            }
            got, values = [], []
            while len(got) < 500 or not values:
                message = await again.next()
                if message["type"] == "alert":
                    got.append(message["alert"]["number"])
                else:
                    values += [each["value"] for each in message["series"]]
            assert got == list(range(2, 502))
            assert values[0] == 3.0
            assert again.seqs[1] > client.seqs[-1]


async def test_a_foreign_epoch_gets_the_present_values_and_no_old_alert(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    luna.shard.write(own, ("cpu", {}, 1, 1.0))
    await luna.alerts.fire(own)
    async with luna.connect(caller) as connection:
        client = Client(connection)
        await client.send(type="resume", epoch="another", seq=0, selectors=["cpu"])
        answer = await client.next()
        assert (answer["epoch"], answer["seq"], answer["resumed"]) == ("e1", 1 << 20, False)
        assert (await client.next())["series"][0]["value"] == 1.0


async def test_an_alert_whose_publication_is_lost_is_read_from_the_log(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, alerts=True)
        await asyncio.sleep(0.2)
        await luna.alerts.fire(own, publish=False)
        await luna.alerts.fire(own)  # shows a gap
        assert await numbers(client, 2, 2) == [1, 2]
        await luna.alerts.fire(own, publish=False)  # only the head shows it
        assert await numbers(client, 1, 12) == [3]


async def test_another_subscription_on_the_connection_loses_no_alert(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, "cpu", rate=10)
        firing = asyncio.create_task(fire_many(luna, own, 60))
        for n in range(10):
            await client.send(type="subscribe", selectors=[f"cpu{n}"], rate=10)
            await asyncio.sleep(0.02)
        await firing
        assert await numbers(client, 60) == list(range(1, 61))


async def fire_many(luna: Served, account_id: int, count: int) -> None:
    for _ in range(count):
        await luna.alerts.fire(account_id)
        await asyncio.sleep(0.005)


async def test_a_log_out_of_reach_is_a_503_and_a_gap_is_filled_when_it_is_back(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    luna.alerts.out_of_reach = True
    async with luna.connect(caller) as connection:
        client = Client(connection)
        await client.send(type="subscribe", selectors=[], alerts=True)
        assert (await client.next())["problem"]["status"] == 503
        luna.alerts.out_of_reach = False
        await client.send(type="subscribe", selectors=[], alerts=True)
        assert (await client.next())["type"] == "subscribed"
        luna.alerts.out_of_reach = True
        await luna.alerts.fire(own, publish=False)
        await luna.alerts.fire(own)
        await asyncio.sleep(0.5)
        luna.alerts.out_of_reach = False
        assert await numbers(client, 2, 5) == [1, 2]


async def test_alerts_that_wait_unread_end_the_connection_and_none_is_lost(
    luna: Served, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = caller.account_id
    monkeypatch.setattr(subscribers, "MOST_ALERTS", 20)
    subscriber = luna.service.hub.connect(own)
    async with luna.connect(caller) as connection:
        client = await Client.subscribed(connection, alerts=True)
        from luna_serving.live.hub import Wanted

        await luna.service.subscribe(subscriber, Wanted((), 4.0, True))
        await luna.service.hub.follow(subscriber)
        for _ in range(30):
            await luna.alerts.fire(own)
        assert await numbers(client, 30) == list(range(1, 31))
    assert subscriber.ending is not None
    assert (subscriber.ending.code, subscriber.ending.label) == (1013, "slow")
    luna.service.hub.leave(subscriber)
