"""/healthz, as Kopf serves it: what stalls is told at once, not after a minute of trying again."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import kopf
from kopf._core.engines import indexing, probing

from luna_operator import handlers
from luna_operator.health import Stalled
from luna_operator.reconcile.queue import WorkQueue
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.reconcile.watch_events import WatchEvents
from luna_operator.reconcile.watch_health import WatchHealth
from luna_serving.local.data_folder.ports import LOOPBACK, free_port


async def healthz(probe: Callable[[], dict[str, float]]) -> tuple[int, Any]:
    """Status and body of one answer."""
    registry, listening = kopf.OperatorRegistry(), asyncio.Event()
    handlers.register(registry, WatchEvents(ResourceCache(), WorkQueue(), WatchHealth()), probe)
    url = f"http://{LOOPBACK}:{free_port()}/healthz"
    reporter = probing.health_reporter(
        endpoint=url,
        memo=kopf.Memo(),
        registry=registry,
        settings=kopf.OperatorSettings(),
        indices=indexing.OperatorIndexers().indices,
        ready_flag=listening,
    )
    serving = asyncio.create_task(reporter)
    try:
        await asyncio.wait_for(listening.wait(), 10)
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession() as session, session.get(url, timeout=timeout) as answer:
            return answer.status, await answer.text()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_a_stalled_loop_is_told_at_once() -> None:
    def stalled() -> dict[str, float]:
        raise Stalled("The sweep loop was last seen 999 s ago.")

    status, _ = await healthz(stalled)
    assert status == 500


async def test_loops_that_come_round_are_healthy() -> None:
    assert await healthz(lambda: {"sweep": 1.5}) == (200, '{"loops": {"sweep": 1.5}}')
