"""Rules over the samples of a real shard of metrics: created, fired, resolved, simulated, and an anomaly found."""

import asyncio
import math
import random
from typing import Any

from tests.capabilities.alerts.samples import now_ms
from tests.capabilities.alerts.served import served
from tests.capabilities.metrics.shard.shards import key, opened, write
from tests.jobs.webhooks.receivers import receiver, until
from tests.store.stores import Store

from luna_serving.shards.client import ShardClient


async def test_a_rule_over_a_shard_fires_and_resolves(store: Store) -> None:
    caller = await store.account()
    async with opened(store) as shard, receiver() as hook:
        shards = {"metrics": ShardClient([shard.ask])}
        async with served(store, None, shards=shards) as luna, luna.client(caller) as client:
            series = {key("cpu", host=host): [(now_ms() - 500, value)] for host, value in (("a", 0.97), ("b", 0.1))}
            await write(shard, caller.account_id, series)
            simple = {"name": "hot", "metric": "cpu", "condition": ">", "threshold": 0.9, "severity": "page"}
            body = {**simple, "interval": "1s", "webhook": hook.url, "no_data": "alert"}
            made = await client.post("/alerts/rules", json=body)
            assert made.status_code == 201, made.text
            missing = {"name": "none", "expr": "no_such_metric > 1", "interval": "1s", "no_data": "alert"}
            await client.post("/alerts/rules", json=missing)
            wrong = {"name": "twice", "expr": "cpu * on () cpu", "interval": "1s"}
            wrong_id = (await client.post("/alerts/rules", json=wrong)).json()["id"]
            await until(lambda: len(hook.got) == 1)
            await write(shard, caller.account_id, {key("cpu", host="a"): [(now_ms(), 0.1)]})
            await until(lambda: len(hook.got) == 2)
            active = (await client.get("/alerts/active")).json()["alerts"]
            failed = (await client.get(f"/alerts/rules/{wrong_id}")).json()
            simulated = await client.post(
                "/alerts/rules/simulate",
                json={"rule": {**simple, "interval": "1s"}, "start": now_ms() - 20_000, "end": now_ms()},
            )
        sent = [hook.verified(made.json()["secret"], i) for i in range(2)]
    assert [each["type"] for each in sent] == ["alert.firing", "alert.resolved"]
    assert sent[0]["data"]["alerts"][0]["labels"] == {"alertname": "hot", "host": "a", "severity": "page"}
    assert [each["labels"] for each in active] == [{"alertname": "none", "luna_no_data": "true"}]
    assert failed["health"] == "err"
    assert failed["last_error"]
    (firing,) = simulated.json()["firings"]
    assert firing["labels"]["host"] == "a"
    assert firing["resolved_at"] is not None


async def test_an_anomaly_rule_learns_from_the_shard_and_judges_each_sample_once(store: Store) -> None:
    caller, draw = await store.account(), random.Random(3)
    first = now_ms() - 2 * 86_400_000
    usual = [
        (at, 10 + 3 * math.sin(2 * math.pi * at / 86_400_000) + draw.gauss(0, 0.3))
        for at in range(first, now_ms() - 20_000, 60_000)
    ]
    load = key("load", host="a")
    async with opened(store) as shard:
        shards = {"metrics": ShardClient([shard.ask])}
        async with served(store, None, shards=shards) as luna, luna.client(caller) as client:
            await write(shard, caller.account_id, {load: usual})
            rule = {"name": "odd", "metric": "load", "kind": "anomaly", "false_alarms_per_week": 0.5, "interval": "1s"}
            made = (await client.post("/alerts/rules", json=rule)).json()

            async def learnt() -> int:
                return int(await store.scalar("SELECT count(*) FROM alert_models") or 0)

            async def active() -> list[dict[str, Any]]:
                found: list[dict[str, Any]] = (await client.get("/alerts/active")).json()["alerts"]
                return found

            async with asyncio.timeout(60):
                while not await learnt():  # noqa: ASYNC110  what is waited for is in Postgres
                    await asyncio.sleep(0.1)
            shown = (await client.get(f"/alerts/rules/{made['id']}")).json()
            assert (await active(), shown["last_error"]) == ([], None)
            shifted = usual[-1][1] + 12 * 0.3
            await write(shard, caller.account_id, {load: [(now_ms(), shifted)]})
            async with asyncio.timeout(30):
                while not await active():  # noqa: ASYNC110  what is waited for is in Postgres
                    await asyncio.sleep(0.1)
            (alert,) = await active()
            seen = await store.scalar("SELECT state_at FROM alert_models")
            await asyncio.sleep(2.0)
            assert await store.scalar("SELECT state_at FROM alert_models") == seen
    assert alert["labels"] == {"alertname": "odd", "host": "a"}
    assert alert["value"] > 4


async def test_what_an_older_version_has_learnt_is_learnt_again(store: Store) -> None:
    """The engine refuses models and states of another format; a rule that has some goes on from the samples."""
    caller, draw = await store.account(), random.Random(4)
    usual = [(at, draw.gauss(10, 1)) for at in range(now_ms() - 2 * 86_400_000, now_ms() - 20_000, 60_000)]
    async with opened(store) as shard:
        shards = {"metrics": ShardClient([shard.ask])}
        async with served(store, None, shards=shards) as luna, luna.client(caller) as client:
            await write(shard, caller.account_id, {key("load", host="a"): usual})
            rule = {"name": "odd", "metric": "load", "kind": "anomaly", "false_alarms_per_week": 0.5, "interval": "1s"}
            made = (await client.post("/alerts/rules", json=rule)).json()

            async def learnt_at() -> object:
                return await store.scalar("SELECT learnt_at FROM alert_models")

            async with asyncio.timeout(60):
                while await learnt_at() is None:  # noqa: ASYNC110  what is waited for is in Postgres
                    await asyncio.sleep(0.1)
            before = await learnt_at()
            async with asyncio.timeout(30):
                # Repeated, since an evaluation that has read the rows already writes over them.
                while await learnt_at() == before:
                    await store.execute(_OLDER)
                    await asyncio.sleep(1.0)
            shown = (await client.get(f"/alerts/rules/{made['id']}")).json()
            formats = await store.scalar(
                "SELECT concat(convert_from(model, 'UTF8')::jsonb->'format', "
                "convert_from(state, 'UTF8')::jsonb->'state'->'format') FROM alert_models"
            )
    assert shown["last_error"] is None
    assert formats == "22"


_OLDER = """
UPDATE alert_models SET
    model = convert_to(jsonb_set(convert_from(model, 'UTF8')::jsonb - 'largest_sums', '{format}', '1')::text, 'UTF8'),
    state = convert_to((
        jsonb_set(convert_from(state, 'UTF8')::jsonb #- '{state,rise}', '{state,format}', '1') - 'caution'
    )::text, 'UTF8')
"""
