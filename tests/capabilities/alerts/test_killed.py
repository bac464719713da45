"""Workers are killed in the middle of `for`, of evaluations and of deliveries: nothing is lost, nothing is doubled."""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from tests.capabilities.alerts.samples import MemorySamples, now_ms
from tests.capabilities.alerts.served import served
from tests.jobs.webhooks.receivers import receiver, until
from tests.store.stores import Store

PROCESS = Path(__file__).with_name("evaluator_process.py")


class Workers:
    """Processes that evaluate, one after the other."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._count = 0
        self.running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._count += 1
        self.running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.capabilities.alerts.evaluator_process",
            *self._arguments,
            f"w{self._count}",
            cwd=Path(__file__).parents[3],
        )

    async def kill(self) -> None:
        if self.running is not None and self.running.returncode is None:
            self.running.kill()
            await self.running.wait()


async def put(store: Store, value: float, host: str = "a") -> None:
    await store.execute(
        "INSERT INTO test_samples (host, at_ms, value) VALUES (:host, :at, :value)", host=host, at=now_ms(), value=value
    )


async def test_for_goes_on_through_sigkill_and_each_change_is_sent_once(
    store: Store, migrated_database: str, fresh_redis: str
) -> None:
    await store.execute("CREATE TABLE test_samples (host text, at_ms bigint, value float8)")
    caller = await store.account()
    workers = Workers(migrated_database, fresh_redis)
    rule: dict[str, Any] = {"name": "hot", "expr": "cpu > 0.9", "for": "6s", "interval": "1s"}
    try:
        async with (
            receiver() as hook,
            served(store, MemorySamples(), looping=False) as luna,
            luna.client(caller) as client,
        ):
            await put(store, 1.0)
            assert (await client.post("/alerts/rules", json={**rule, "webhook": hook.url})).status_code == 201
            await workers.start()
            seen: dict[str, Any] = {}

            async def is_pending() -> bool:
                found = (await client.get("/alerts/active")).json()["alerts"]
                seen.update(found[0] if found else {})
                return bool(found)

            async with asyncio.timeout(30):
                while not await is_pending():  # noqa: ASYNC110  what is waited for is in Postgres
                    await asyncio.sleep(0.05)
            begun = dict(seen)
            assert begun["state"] == "pending"
            # In the middle of `for`: the worker dies, and another one goes on where it was.
            await asyncio.sleep(random.uniform(0.5, 2.0))
            await workers.kill()
            await workers.start()
            await until(lambda: len(hook.got) == 1, 40)
            (alert,) = (await client.get("/alerts/active")).json()["alerts"]
            assert (alert["id"], alert["active_at"]) == (begun["id"], begun["active_at"])
            assert alert["fired_at"] - alert["active_at"] >= 6_000
            # Killed at random while the alert ends and fires again.
            await store.execute("UPDATE alert_rules SET document = document - 'for', revision = gen_random_uuid()")
            for count in (2, 3):
                await put(store, 0.1 if count == 2 else 1.0)
                await asyncio.sleep(random.uniform(0.2, 1.2))
                await workers.kill()
                await workers.start()
                await until(lambda n=count: len(set(hook.ids)) == n, 60)
            bodies = {headers["webhook-id"]: orjson.loads(body) for headers, body in hook.got}
    finally:
        await workers.kill()
    kinds = [each["type"] for each in bodies.values()]
    assert kinds == ["alert.firing", "alert.resolved", "alert.firing"]
    changes = Counter((a["id"], a["status"]) for body in bodies.values() for a in body["data"]["alerts"])
    assert set(changes.values()) == {1}
