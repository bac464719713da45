"""An outage of Redis opens no door: this process counts by itself, under the same limits."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.access.test_throttle import ALLOWED, Outage, attempts, refused

from luna_serving.access.throttle.policy import Kind
from luna_serving.access.throttle.redis_buckets import RedisBuckets
from luna_serving.local.servers.valkey import ValkeyServer
from luna_serving.wire.problems import Problem
from luna_store.quota.redis_quota import redis_client


@pytest.mark.parametrize("before", [0, 10])
async def test_valkey_is_killed_in_the_middle_and_attempts_stay_bounded(tmp_path: Path, before: int) -> None:
    with ValkeyServer(tmp_path / "data", tmp_path) as server:
        redis = redis_client(server.url, timeout_s=5)
        outage = Outage()
        made, _, _ = attempts(RedisBuckets(redis), outage)
        held = [await made.begin(Kind.LOGIN, "203.0.113.7", f"p{n}@example.com") for n in range(before)]
        flood = [asyncio.create_task(made.begin(Kind.LOGIN, "203.0.113.7", f"q{n}@example.com")) for n in range(500)]
        await asyncio.sleep(0.01)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        results = await asyncio.gather(*flood, return_exceptions=True)
        begun = before + sum(not isinstance(result, BaseException) for result in results)
        assert all(isinstance(result, Problem) for result in results if isinstance(result, BaseException))
        assert outage.gone
        # Those that Redis let through, and as many that this process did.
        assert ALLOWED <= begun <= 2 * ALLOWED
        await refused(made, Kind.LOGIN, "203.0.113.7", "a@example.com")
        await made.begin(Kind.LOGIN, "203.0.113.8", "a@example.com")
        for attempt in held:
            await attempt.succeeded()  # Of a store that is gone: no error.
        for _ in range(200):
            assert await made.key_failed("203.0.113.7") is None
        assert await made.key_failed("203.0.113.7") is not None
        await redis.aclose()
