"""A large body at the edge is parsed off the event loop, and only after authentication."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from tests.edge.running import refused_of
from tests.store.stores import PEPPERS, Caller, Store

from luna_serving.access.credentials import Authenticator
from luna_serving.access.tokens import Tokens
from luna_serving.access.wiring import access
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.work import OriginalWork
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.dispatch.work import Work
from luna_serving.edge.asgi import PARSE_FIRST_BYTES, Edge
from luna_serving.edge.operation import Operation
from luna_serving.edge.recording import Recorder
from luna_serving.telemetry.metrics import AccessMetrics, DispatchMetrics, RequestMetrics
from luna_store.accounts.api_keys import ApiKey

SMALL = b'{"results":[1.0]}'
LARGE = SMALL.ljust(PARSE_FIRST_BYTES + 1)
WIRE = Wire(SeriesLimits(max_series_length=100, max_series_per_request=1, max_answer_numbers=100))

METRICS = DispatchMetrics(CollectorRegistry()).of("kalman")


@asynccontextmanager
async def ingress(
    store: Store, caller: Caller, parse: Callable[[bytes], Work], timeout_s: float = 10.0
) -> AsyncIterator[httpx.AsyncClient]:
    """An edge with one route, and a client of the caller's."""
    authenticator = Authenticator(PEPPERS, Tokens(PEPPERS, 900))
    wired = access(
        store.redis,
        store.quota,
        store.fallback,
        store.cache,
        store.accounts,
        authenticator,
        AccessMetrics(CollectorRegistry()),
        timeout_s=4,
    )

    async def compute(jobs: Sequence[Any]) -> list[bytes]:
        return [b"[]" for _ in jobs]

    async def rest(*_: object) -> None:
        raise AssertionError

    operation = Operation(
        "kalman",
        Gate(wired.charges, compute, GateLimits(10, 1000, 10, 1, 5.0), METRICS),
        parse,
        capability="kalman",
    )
    with ThreadPoolExecutor(1) as aside:
        edge = Edge(
            [operation],
            wired.authorization,
            wired.charges,
            rest,
            rest,
            aside,
            Recorder(RequestMetrics(CollectorRegistry())),
            refused_of(wired),
            max_body_bytes=10**6,
            timeout_s=timeout_s,
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(edge),
            base_url=f"http://luna/api/v1/{caller.account_id}",
            headers={"X-API-Key": caller.key.secret},
        ) as client:
            yield client


async def test_small_calls_are_answered_while_a_large_body_is_parsed(store: Store) -> None:
    caller, begun, released = await store.account(), threading.Event(), threading.Event()

    def parse(body: bytes) -> Work:
        if len(body) == len(LARGE):
            begun.set()
            assert released.wait(10)
        work: Any = WIRE.parse_original(body)
        return work

    async with ingress(store, caller, parse) as client:
        large = asyncio.create_task(client.post("/kalman", content=LARGE))
        assert await asyncio.to_thread(begun.wait, 10)
        small = await client.post("/kalman", content=SMALL)
        assert small.status_code == 200
        assert not large.done()
        released.set()
        assert (await large).status_code == 200
    assert await store.left(caller.account_id) == 498


async def test_a_large_body_that_cannot_be_parsed_in_time_costs_nothing(store: Store) -> None:
    caller, released = await store.account(), threading.Event()

    def parse(_: bytes) -> Work:
        assert released.wait(10)
        raise AssertionError("nobody waits for it any more")

    async with ingress(store, caller, parse, timeout_s=0.3) as client:
        late = await client.post("/kalman", content=LARGE)
        released.set()
    assert late.status_code == 408
    assert "ratelimit" in late.headers
    assert await store.left(caller.account_id) == 500


async def test_a_strangers_large_body_is_not_parsed(store: Store) -> None:
    caller, parsed = await store.account(), list[bytes]()

    def parse(body: bytes) -> Work:
        parsed.append(body)
        raise AssertionError

    async with ingress(store, caller, parse) as client:
        answer = await client.post("/kalman", content=LARGE, headers={"X-API-Key": ApiKey.issue().secret})
    assert answer.status_code == 401
    assert parsed == []


def test_bodies_are_parsed_in_several_threads_at_once() -> None:
    # Only the quick way echoes what was sent as it was sent, zeros and all: it was taken each time.
    lists = [b"[%s]" % b",".join([b"%d.50" % i] * 100) for i in range(4)]

    def parsed(sent: bytes) -> set[tuple[float, bytes]]:
        works: list[Any] = [WIRE.parse_original(b'{"results":%s}' % sent) for _ in range(2000)]
        return {(value, work.echo) for work in works for value in work.job.values.tolist()}

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(parsed, lists)) == [{(i + 0.5, sent)} for i, sent in enumerate(lists)]
    finally:
        sys.setswitchinterval(interval)


class Unfinished(OriginalWork):
    """A call whose answer cannot be written."""

    def finish(self, result: bytes) -> bytes:
        raise ValueError(result)


async def test_a_call_whose_answer_cannot_be_written_is_not_charged(store: Store) -> None:
    caller = await store.account(quota_limit=10)

    def parse(body: bytes) -> Work:
        work = WIRE.parse_original(body)
        assert isinstance(work, OriginalWork)
        return Unfinished(work.job, work.echo)

    async with ingress(store, caller, parse) as client:
        answer = await client.post("/kalman", content=SMALL)
    assert answer.status_code == 500
    for _ in range(100):
        await store.settler.settle()
        if await store.left(caller.account_id) == 10:
            break
        await asyncio.sleep(0.05)
    assert await store.left(caller.account_id) == 10
    assert await store.used(caller.account_id) == 0
