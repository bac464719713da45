"""Limits on failed attempts: the same claims for the buckets in Redis and for those in memory."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from tests.store.stores import PEPPERS

from luna_serving.access.throttle.attempts import Attempts
from luna_serving.access.throttle.blocks import Blocks
from luna_serving.access.throttle.memory import MemoryBuckets
from luna_serving.access.throttle.metrics import ThrottleMetrics
from luna_serving.access.throttle.policy import (
    Bucket,
    Buckets,
    Kind,
    Policy,
    Refused,
    Taken,
    block_of,
    delay_s,
    policies,
)
from luna_serving.access.throttle.redis_buckets import RedisBuckets
from luna_serving.settings import ThrottleSettings
from luna_serving.wire.problems import Problem
from luna_store.quota import redis_keys
from luna_store.quota.debits import StoreUnavailable
from luna_store.quota.redis_quota import redis_client

ALLOWED = ThrottleSettings().login_attempts
SLOW = Policy(attempts=5, refill_s=60, block_s=120)


class Outage:
    """What `Attempts` asks of `RedisOutage`."""

    def __init__(self) -> None:
        self.gone = False
        self.begun = 0

    def begin(self, reason: StoreUnavailable) -> None:
        assert isinstance(reason.__cause__, Exception)
        self.begun += 1
        self.gone = True


@pytest.fixture
async def redis(fresh_redis: str) -> AsyncIterator[Redis]:
    client = redis_client(fresh_redis, timeout_s=10)
    yield client
    await client.aclose()


@pytest.fixture(params=["redis", "memory"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    return RedisBuckets(request.getfixturevalue("redis")) if request.param == "redis" else MemoryBuckets()


def bucket(policy: Policy = SLOW, address: str = "", subject: str = "") -> Bucket:
    return Bucket(redis_keys.throttle(address or secrets.token_hex(4), "login", subject), policy)


async def test_a_bucket_gives_its_attempts_and_no_more(buckets: Buckets) -> None:
    one = (bucket(),)
    assert [await buckets.take(one) for _ in range(5)] == [Taken(n) for n in range(1, 6)]
    refused = await buckets.take(one)
    assert isinstance(refused, Refused)
    assert refused.wait_s == pytest.approx(120, abs=1)


async def test_attempts_at_once_get_no_more_than_the_bucket_holds(buckets: Buckets) -> None:
    one = (bucket(),)
    verdicts = await asyncio.gather(*(buckets.take(one) for _ in range(200)))
    assert sum(isinstance(verdict, Taken) for verdict in verdicts) == 5


async def test_a_block_ends_and_is_not_extended_by_attempts(buckets: Buckets) -> None:
    one = (bucket(Policy(attempts=2, refill_s=0.3, block_s=0.6)),)
    for _ in range(2):
        assert isinstance(await buckets.take(one), Taken)
    begun = time.monotonic()
    waits = []
    while isinstance(verdict := await buckets.take(one), Refused):
        waits.append(verdict.wait_s)
        assert time.monotonic() < begun + 10
        await asyncio.sleep(0.02)
    assert waits == sorted(waits, reverse=True)
    assert time.monotonic() - begun >= 0.55
    # Two came back meanwhile: one was taken by the loop.
    assert isinstance(await buckets.take(one), Taken)


async def test_an_attempt_comes_back_when_its_time_has_passed(buckets: Buckets) -> None:
    one = (bucket(Policy(attempts=1, refill_s=0.2, block_s=0.01)),)
    assert await buckets.take(one) == Taken(1)
    assert isinstance(await buckets.take(one), Refused)
    await asyncio.sleep(0.25)
    assert await buckets.take(one) == Taken(1)


async def test_one_empty_bucket_refuses_and_nothing_is_taken_from_the_others(buckets: Buckets) -> None:
    address = secrets.token_hex(4)
    small, large = bucket(Policy(1, 60, 120), address, "a"), bucket(Policy(3, 60, 120), address)
    assert await buckets.take((large, small)) == Taken(1)
    for _ in range(10):
        assert isinstance(await buckets.take((large, small)), Refused)
    other = bucket(Policy(1, 60, 120), address, "b")
    assert await buckets.take((large, other)) == Taken(2)
    assert await buckets.take((large,)) == Taken(3)
    assert isinstance(await buckets.take((large,)), Refused)


async def test_what_is_given_back_can_be_taken_again(buckets: Buckets) -> None:
    one = (bucket(),)
    for _ in range(50):
        assert await buckets.take(one) == Taken(1)
        await buckets.give_back(one)


async def test_attempts_that_succeed_end_a_block_that_they_caused(buckets: Buckets) -> None:
    """Six right logins at the same instant are no attack, though five are under way when the sixth is refused."""
    one = (bucket(),)
    for _ in range(5):
        await buckets.take(one)
    assert isinstance(await buckets.take(one), Refused)
    await buckets.give_back(one)
    assert await buckets.take(one) == Taken(5)
    assert isinstance(await buckets.take(one), Refused)


async def test_giving_back_never_gives_more_than_a_full_bucket(buckets: Buckets) -> None:
    one = (bucket(),)
    for _ in range(3):
        await buckets.give_back(one)
    assert [isinstance(await buckets.take(one), Taken) for _ in range(7)] == [True] * 5 + [False] * 2


async def test_a_smaller_setting_holds_at_once(buckets: Buckets) -> None:
    key = redis_keys.throttle(secrets.token_hex(4), "login")
    for _ in range(5):
        await buckets.take((Bucket(key, Policy(5, 60, 250)),))
    assert isinstance(await buckets.take((Bucket(key, Policy(5, 60, 250)),)), Refused)
    refused = await buckets.take((Bucket(key, Policy(2, 1, 10)),))
    assert isinstance(refused, Refused)
    assert refused.wait_s <= 10.1


async def test_redis_forgets_a_bucket_that_is_full_again(redis: Redis) -> None:
    store = RedisBuckets(redis)
    one = (bucket(Policy(2, 0.1, 0.2)),)
    for _ in range(3):
        await store.take(one)
    assert 0 < await redis.pttl(one[0].key) <= 300
    await asyncio.sleep(0.5)
    assert await redis.exists(one[0].key) == 0
    slow = (bucket(),)
    await store.take(slow)
    await store.give_back(slow)
    assert await redis.exists(slow[0].key) == 0


async def test_memory_is_bounded_and_keeps_the_newest() -> None:
    store = MemoryBuckets(most=100)
    for n in range(1000):
        await store.take((bucket(address=f"a{n}"),))
        assert len(store._states) <= 100
    assert await store.take((bucket(address="a999"),)) == Taken(2)


@given(
    steps=st.lists(st.tuples(st.floats(0, 50), st.booleans()), max_size=60),
    attempts=st.integers(1, 5),
    refill=st.floats(0.5, 30),
    block=st.floats(0.5, 60),
)
def test_failures_in_any_span_stay_within_bucket_and_pace(
    steps: list[tuple[float, bool]], attempts: int, refill: float, block: float
) -> None:
    """Against the definition of GCRA: at most `attempts`, and one per `refill`, whatever succeeds in between."""
    now = 0.0
    store = MemoryBuckets(lambda: now)
    one = (Bucket("a", Policy(attempts, refill, block)),)
    failed: list[float] = []

    async def run() -> None:
        nonlocal now
        for wait, succeeds in steps:
            now += wait
            if isinstance(await store.take(one), Taken):
                if succeeds:
                    await store.give_back(one)
                else:
                    failed.append(now)

    asyncio.run(run())
    for i, begin in enumerate(failed):
        for j, end in enumerate(failed[i:], 1):
            assert j <= attempts + (end - begin) / refill + 1e-6


def test_delays_double_and_end() -> None:
    settings = ThrottleSettings(delay_after=3, delay_first_s=0.1, delay_most_s=1.0)
    assert [delay_s(n, settings) for n in range(9)] == pytest.approx([0, 0, 0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert delay_s(10**9, settings) == 1.0


@pytest.mark.parametrize(
    ("address", "block"),
    [("203.0.113.9", "203.0.113.9"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::", "::/64")],
)
def test_hosts_of_one_ipv6_network_are_one_caller(address: str, block: str) -> None:
    assert block_of(address) == block


def test_defaults_are_within_the_contract() -> None:
    settings = ThrottleSettings()
    found = policies(settings)
    assert set(found) == set(Kind)
    assert found[Kind.LOGIN].attempts <= 30
    assert found[Kind.KEY].attempts <= 200
    assert all(policy.block_s <= 300 for policy in found.values())


def test_blocks_are_bounded_and_end() -> None:
    now = 0.0
    blocks = Blocks(lambda: now, most=10)
    assert not blocks.any()
    for n in range(50):
        blocks.add(f"a{n}", 5)
    assert len(blocks._until) == 10
    assert blocks.left_s("a49") == 5
    assert blocks.left_s("other") == 0
    assert blocks.any()
    now = 5.0
    assert not blocks.any()
    assert blocks.left_s("a49") == 0


# ---- Attempts


def attempts(store: Buckets, outage: Outage | None = None, **settings: Any) -> tuple[Attempts, list[float], Any]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    registry = CollectorRegistry()
    made = Attempts(
        store,
        outage or Outage(),  # type: ignore[arg-type]
        ThrottleSettings(**settings),
        PEPPERS,
        ThrottleMetrics(registry),
        sleep=sleep,
    )
    return made, slept, registry.get_sample_value


async def refused(made: Attempts, kind: Kind, address: str, subject: str = "") -> Problem:
    with pytest.raises(Problem) as caught:
        await made.begin(kind, address, subject)
    assert (caught.value.status, caught.value.slug) == (429, "too-many-attempts")
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 300
    return caught.value


async def test_of_a_thousand_wrong_logins_at_once_no_more_begin_than_are_allowed(buckets: Buckets) -> None:
    made, _, counted = attempts(buckets)
    address = "203.0.113.7"
    results = await asyncio.gather(
        *(made.begin(Kind.LOGIN, address, f"p{n}@example.com") for n in range(1000)), return_exceptions=True
    )
    assert sum(not isinstance(result, Problem) for result in results) == ALLOWED
    assert counted("luna_attempts_total", {"kind": "login", "outcome": "begun"}) == ALLOWED
    assert counted("luna_throttled_total", {"kind": "login"}) == 1000 - ALLOWED
    # The same email from elsewhere is not affected.
    await (await made.begin(Kind.LOGIN, "203.0.113.8", "p1@example.com")).succeeded()
    assert counted("luna_attempts_total", {"kind": "login", "outcome": "succeeded"}) == 1


async def test_one_email_has_a_limit_of_its_own_at_each_address(buckets: Buckets) -> None:
    made, _, _ = attempts(buckets)
    for _ in range(10):
        await made.begin(Kind.LOGIN, "203.0.113.7", "a@example.com")
    await refused(made, Kind.LOGIN, "203.0.113.7", " A@Example.com ")
    await made.begin(Kind.LOGIN, "203.0.113.7", "b@example.com")
    await made.begin(Kind.LOGIN, "203.0.113.8", "a@example.com")


async def test_right_logins_are_never_delayed_or_refused(buckets: Buckets) -> None:
    made, slept, _ = attempts(buckets)
    for _ in range(60):
        await (await made.begin(Kind.LOGIN, "203.0.113.7", "a@example.com")).succeeded()
    assert slept == []


async def test_an_attempt_that_luna_could_not_check_is_no_failure(buckets: Buckets) -> None:
    made, slept, counted = attempts(buckets)
    for _ in range(60):
        await (await made.begin(Kind.LOGIN, "203.0.113.7", "a@example.com")).given_back()
    assert slept == []
    assert counted("luna_attempts_total", {"kind": "login", "outcome": "succeeded"}) is None


async def test_failures_delay_the_next_attempt_more_and_more(buckets: Buckets) -> None:
    made, slept, _ = attempts(buckets, delay_after=2, delay_first_s=0.1, delay_most_s=0.4)
    for _ in range(7):
        await made.begin(Kind.LOGIN, "203.0.113.7", "a@example.com")
    assert slept == pytest.approx([0.1, 0.2, 0.4, 0.4, 0.4])


async def test_kinds_do_not_share_their_limits(buckets: Buckets) -> None:
    made, _, _ = attempts(buckets, refresh_attempts=2, password_attempts=1, provider_attempts=1)
    for kind, most in ((Kind.REFRESH, 2), (Kind.PASSWORD, 1), (Kind.PROVIDER, 1)):
        for _ in range(most):
            await made.begin(kind, "203.0.113.7")
        await refused(made, kind, "203.0.113.7")
    await made.begin(Kind.LOGIN, "203.0.113.7", "a@example.com")


async def test_refused_keys_are_counted_and_then_throttled(buckets: Buckets) -> None:
    made, slept, counted = attempts(buckets, key_failures=5)
    for _ in range(5):
        assert await made.key_failed("203.0.113.7") is None
        assert not made.blocking
    for _ in range(5):
        problem = await made.key_failed("203.0.113.7")
        assert problem is not None
        assert problem.status == 429
        assert 1 <= int(problem.headers["Retry-After"]) <= 60
    assert made.blocking
    assert made.key_block("203.0.113.7") is not None
    assert made.key_block("203.0.113.8") is None
    assert await made.key_failed("203.0.113.8") is None
    assert slept == []
    assert counted("luna_attempts_total", {"kind": "key", "outcome": "begun"}) == 6


async def test_a_blocked_address_costs_redis_no_round_trip(redis: Redis) -> None:
    made, _, _ = attempts(RedisBuckets(redis), key_failures=1)
    await made.key_failed("203.0.113.7")
    await made.key_failed("203.0.113.7")
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    for _ in range(50):
        assert await made.key_failed("203.0.113.7") is not None
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == before


async def test_no_email_is_stored(redis: Redis) -> None:
    made, _, _ = attempts(RedisBuckets(redis))
    await made.begin(Kind.LOGIN, "203.0.113.7", "somebody@example.com")
    keys = await redis.keys("throttle:*")
    assert len(keys) == 2
    for key in keys:
        assert "somebody" not in key + str(await redis.hgetall(key))
        assert 0 < await redis.ttl(key) <= 61


async def test_two_replicas_share_the_limits(redis: Redis) -> None:
    first, second = (attempts(RedisBuckets(redis), login_attempts=4)[0] for _ in range(2))
    for made in (first, second, first, second):
        await made.begin(Kind.LOGIN, "203.0.113.7", "a@example.com")
    await refused(first, Kind.LOGIN, "203.0.113.7", "a@example.com")
    await refused(second, Kind.LOGIN, "203.0.113.7", "b@example.com")
