"""An ingress replica is killed under load: every call is answered, and the ledger has each answer once."""

import asyncio
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from tests.serving.platform import Luna, luna_on

from luna_serving.local.loopback.haproxy_retries import VARIABLE as RETRIED_ROUTES
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer

CALLERS = 8
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def luna(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Luna]:
    folder = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=":")
        patch.setenv(RETRIED_ROUTES, "POST mean")
        with (
            PostgresServer(folder / "postgres", folder) as postgres,
            ValkeyServer(folder / "valkey", folder) as valkey,
            luna_on(
                folder,
                database_url=postgres.url,
                redis_url=valkey.url,
                # A capability without JAX: it starts in seconds.
                arguments=["--app", "tests.capabilities.third.app", "--only", "mean"],
            ) as running,
        ):
            yield running


def ingresses(luna: Luna) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(luna.process.pid).children(recursive=True):
        try:
            if re.search(r"ServeReplica:luna:ingress", " ".join(process.cmdline())):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def test_a_killed_ingress_loses_no_call_and_the_ledger_is_exact(luna: Luna) -> None:
    caller = await luna.caller()
    seen: Counter[str] = Counter()
    stop = asyncio.Event()

    async def call() -> None:
        async with caller.client() as client:
            while not stop.is_set():
                try:
                    answer = await client.post("/mean", json={"numbers": [1, 2, 6]})
                except httpx.HTTPError as e:
                    seen[type(e).__name__] += 1
                    continue
                seen[str(answer.status_code)] += 1
                seen["503 without Retry-After"] += answer.status_code == 503 and "retry-after" not in answer.headers

    calls = [asyncio.create_task(call()) for _ in range(CALLERS)]
    try:
        await asyncio.sleep(2)
        first, _ = ingresses(luna)
        first.send_signal(signal.SIGKILL)
        limit = time.monotonic() + 60
        while len(living := ingresses(luna)) < 2 or first.pid in [each.pid for each in living]:
            assert time.monotonic() < limit
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
    finally:
        stop.set()
        await asyncio.gather(*calls)
    assert seen["200"] > 100
    # What the dead process had debited is void: another attempt at the call was charged for the answer.
    assert set(+seen) <= {"200", "503"}
    assert luna.used(caller.id) == seen["200"]
    assert luna.left(caller.id) == 1_000_000 - luna.used(caller.id)
