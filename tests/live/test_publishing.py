"""What is published: changes of watched accounts, coalesced."""

import asyncio
import math
import struct
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.live.served import publishing
from tests.store.stores import Store

from luna_serving.engines.promql.api import STALE
from luna_serving.live.bus import Bus
from luna_serving.live.encoding import (
    Alerted,
    Changed,
    Message,
    UnknownMessage,
    read_message,
    write_alert,
    write_changed,
)
from luna_serving.live.positions import COUNTER_MAX, LARGEST_SEQ, Position
from luna_serving.live.publishing import channel, coalesced
from luna_serving.live.series import is_stale
from luna_serving.live.wheel import Wheel


def columns(*samples: tuple[bytes, int, float]) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    keys, times, values = zip(*samples, strict=True)
    return list(keys), np.array(times, np.int64), np.array(values, np.float64)


@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(-(2**62), 2**62), st.floats()), max_size=20))
def test_columns_come_back_bit_for_bit(samples: list[tuple[bytes, int, float]]) -> None:
    keys = [key for key, _, _ in samples]
    times, values = [at for _, at, _ in samples], [value for _, _, value in samples]
    read = read_message(write_changed(keys, np.array(times, np.int64), np.array(values, np.float64), 1.5))
    assert isinstance(read, Changed)
    assert (list(read.keys), list(read.timestamps), read.sent_at) == (keys, times, 1.5)
    assert [struct.pack("<d", each) for each in read.values] == [struct.pack("<d", each) for each in values]


def test_the_staleness_marker_survives_coalescing_and_encoding() -> None:
    keys, times, values = coalesced([columns((b"a", 1, 1.0)), columns((b"a", 2, STALE), (b"b", 1, math.nan))])
    read = read_message(write_changed(keys, times, values, 0.0))
    assert isinstance(read, Changed)
    assert [is_stale(each) for each in read.values] == [True, False]


def test_the_newest_sample_of_a_series_is_published_and_of_equal_times_the_later() -> None:
    keys, times, values = coalesced([columns((b"a", 5, 1.0), (b"a", 3, 2.0)), columns((b"a", 5, 3.0), (b"b", 1, 4.0))])
    assert (keys, times.tolist(), values.tolist()) == ([b"a", b"b"], [5, 1], [3.0, 4.0])


@pytest.mark.parametrize(
    "data", [b"", b"x", b"s", b"sxxx", b"a{", b"rr", write_changed([b"k"], *columns((b"", 1, 1.0))[1:], 0.0)[:-1]]
)
def test_a_message_that_is_broken_or_of_another_release_is_refused(data: bytes) -> None:
    with pytest.raises(UnknownMessage):
        read_message(data)


def test_an_alert_comes_back() -> None:
    assert read_message(write_alert("e", 7, '{"a":1}')) == Alerted("e", 7, '{"a":1}')


def test_positions_increase_and_stay_below_two_to_the_53() -> None:
    position = Position.of(3 << 20 | 5)
    assert (position.alert, position.counter) == (3, 5)
    assert position.next() == (3 << 20) + 6
    assert position.at_alert(4) == 4 << 20
    position.counter = COUNTER_MAX
    assert position.next() == (5 << 20) - 1
    assert Position(2**33 - 1, COUNTER_MAX).seq == LARGEST_SEQ


class Heard:
    def __init__(self, store: Store) -> None:
        self.messages: list[tuple[float, int, Message]] = []
        self.ups = 0
        self.bus = Bus(store.redis, self._heard, self._up, lambda: None)

    def _heard(self, account_id: int, message: Message) -> None:
        self.messages.append((time.monotonic(), account_id, message))

    async def _up(self) -> None:
        self.ups += 1

    def of(self, account_id: int) -> list[Changed]:
        return [each for _, own, each in self.messages if own == account_id and isinstance(each, Changed)]


async def test_only_watched_accounts_are_published_ten_times_a_second_at_most(store: Store) -> None:
    heard = Heard(store)
    listening = asyncio.create_task(heard.bus.run())
    async with publishing(store.redis) as publisher:
        await asyncio.sleep(0.2)
        assert await heard.bus.watch(1)
        before = (await store.redis.info("commandstats")).get("cmdstat_publish", {}).get("calls", 0)
        for n in range(150):
            publisher.changed(1, *columns((b"cpu", n, float(n))))
            publisher.changed(2, *columns((b"cpu", n, float(n))))
            await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            while not (got := heard.of(1)) or got[-1].values[-1] != 149.0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        after = (await store.redis.info("commandstats"))["cmdstat_publish"]["calls"]
        assert len(got) <= 25
        assert heard.of(2) == []
        assert after - before == len(got), "the other account is not published at all"
        heard.bus.forget(1)
        await asyncio.sleep(0.1)
        publisher.changed(1, *columns((b"cpu", 200, 200.0)))
        await asyncio.sleep(0.3)
        count = (await store.redis.pubsub_numsub(channel(1)))[0][1]
        assert count == 0
    listening.cancel()
    await asyncio.wait({listening})


async def test_what_was_committed_before_the_look_reaches_a_subscription_confirmed_after_it(store: Store) -> None:
    heard = Heard(store)
    listening = asyncio.create_task(heard.bus.run())
    async with publishing(store.redis) as publisher:
        await asyncio.sleep(0.7)
        publisher.changed(3, *columns((b"cpu", 1, 1.0)))
        assert await heard.bus.watch(3)
        publisher.changed(3, *columns((b"cpu", 2, 2.0)))
        async with asyncio.timeout(3):
            while not any(2.0 in each.values for each in heard.of(3)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    listening.cancel()
    await asyncio.wait({listening})


async def test_the_wheel_calls_each_item_at_its_time_and_lets_other_work_run() -> None:
    called: list[tuple[int, float]] = []
    wheel: Wheel[int] = Wheel(lambda item: called.append((item, time.monotonic())))
    running = asyncio.create_task(wheel.run())
    began = time.monotonic()
    for item in range(1_000):
        wheel.schedule(item, began + 0.05 * (item % 5))
    turns = 0
    async with asyncio.timeout(5):
        while len(called) < 1_000:
            await asyncio.sleep(0)
            turns += 1
    assert sorted(item for item, _ in called) == list(range(1_000))
    assert all(at - began >= 0.05 * (item % 5) - 0.001 for item, at in called)
    assert turns > 1_000 / 32
    running.cancel()
    await asyncio.wait({running})
