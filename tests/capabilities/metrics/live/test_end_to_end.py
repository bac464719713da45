"""Live updates through HAProxy, an ingress replica, the shard and the evaluation of rules of a running Luna."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from tests.live.served import Client
from tests.serving.platform import Caller, Platform
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

BACK_S = 60


@asynccontextmanager
async def connected(caller: Caller) -> AsyncIterator[ClientConnection]:
    """A WebSocket; while no replica can take it, it is tried again."""
    url = f"{caller.url.replace('http', 'ws', 1)}/ws/metrics"
    until = time.monotonic() + BACK_S
    while True:
        try:
            connection = await connect(url, additional_headers={"X-API-Key": caller.key.secret})
            break
        except (OSError, InvalidStatus, EOFError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.2)
    async with connection:
        yield connection


async def ingest(client: httpx.AsyncClient, **values: float) -> None:
    """Write one sample for each name; while Luna cannot take them, again."""
    until = time.monotonic() + BACK_S
    metrics = [{"name": name, "value": value, "labels": {"host": "a"}} for name, value in values.items()]
    while True:
        try:
            answer = await client.post("/metrics/batch", json={"metrics": metrics})
            if answer.status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < until
        await asyncio.sleep(0.2)


async def fired(client: Client, state: str) -> dict[str, Any]:
    """The next alert in a state."""
    async with asyncio.timeout(30):
        while (alert := (await client.of("alert", 30))["alert"])["state"] != state:
            pass
    return alert


async def test_a_client_resumes_after_the_replica_was_killed_and_has_every_alert_once(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as http:
        rule = {"name": "hot", "expr": "live_heat > 5", "interval": "1s"}
        assert (await http.post("/alerts/rules", json=rule)).status_code == 201
        await ingest(http, live_heat=1.0)
        async with connected(caller) as connection:
            client = await Client.subscribed(connection, "live_heat", rate=10)
            await client.value(1.0)
            await ingest(http, live_heat=10.0)
            await client.value(10.0)
            await fired(client, "firing")
            last = client.seqs[-1]
            for replica in ingress(platform):  # whichever has the connection
                replica.kill()
            with pytest.raises(ConnectionClosed):
                await client.of("never", 30)
        await ingest(http, live_heat=2.0)
        for state in ("resolved", "firing"):
            await changed_to(http, state)
            await ingest(http, live_heat=11.0)
        async with connected(caller) as connection:
            again = Client(connection)
            await again.send(type="resume", epoch=client.epoch, seq=last, selectors=["live_heat"], rate=10)
            assert (await again.next())["resumed"] is True
            missed, values = await caught_up(again, 11.0)
    assert values[-1] == 11.0
    assert missed == ["resolved", "firing"]
    assert again.seqs == sorted(again.seqs)
    assert again.seqs[1] > last


async def caught_up(client: Client, value: float) -> tuple[list[str], list[float]]:
    """States of the alerts and values that come until both alerts and the value have, in whatever order they come."""
    missed: list[str] = []
    values: list[float] = []
    async with asyncio.timeout(30):
        while len(missed) < 2 or value not in values:
            message = await client.next(30)
            if message["type"] == "alert":
                missed.append(message["alert"]["state"])
            elif message["type"] == "update":
                values += [each["value"] for each in message["series"]]
    return missed, values


async def changed_to(http: httpx.AsyncClient, state: str) -> None:
    """Wait until the alert is firing, or is not."""
    async with asyncio.timeout(30):
        while True:
            active = (await http.get("/alerts/active")).json()["alerts"]
            if bool([each for each in active if each["state"] == "firing"]) is (state == "firing"):
                return
            await asyncio.sleep(0.2)


def ingress(platform: Platform) -> list[psutil.Process]:
    family = psutil.Process(platform.process.pid).children(recursive=True)
    found = [each for each in family if re.search("ServeReplica:luna:ingress", " ".join(each.cmdline()))]
    assert found, "there is no ingress replica"
    return found


async def test_fifty_sockets_get_four_updates_a_second_within_a_second(platform: Platform) -> None:
    caller = await platform.caller()
    delays: list[float] = []

    async def watch(number: int) -> int:
        count = 0
        async with connected(caller) as connection:
            client = await Client.subscribed(connection, f'fleet{{group="{number % 5}"}}', rate=4, alerts=False)
            ready.release()
            try:
                async with asyncio.timeout(30):
                    while True:
                        message = await client.of("update", 30)
                        values = [each["value"] for each in message["series"]]
                        if max(values) < 0:
                            return count
                        count += 1
                        # The first writes of an account take longer: its shard reads it.
                        if count > 3:
                            delays.append(time.time() - max(values))
            except TimeoutError:
                return count

    ready = asyncio.Semaphore(0)
    watching = [asyncio.create_task(watch(n)) for n in range(50)]
    for _ in watching:
        await ready.acquire()
    async with caller.client() as http:
        for n in range(21):
            now = time.time() if n < 20 else -1.0
            series = [
                {"name": "fleet", "labels": {"group": str(g), "n": str(i)}, "timestamps": [time.time_ns() // 10**6]}
                | {"values": [now]}
                for g in range(5)
                for i in range(10)
            ]
            answer = await http.post("/metrics/batch", json={"series": series})
            assert answer.status_code == 200, json.dumps(answer.json())
            await asyncio.sleep(0.25)
    counts = await asyncio.gather(*watching)
    assert min(counts) >= 10
    assert np.quantile(delays, 0.99) < 1.0
