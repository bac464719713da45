"""A rule that is created over HTTP is evaluated, fires, and is delivered."""

import asyncio

from tests.capabilities.alerts.samples import MemorySamples, now_ms
from tests.capabilities.alerts.served import served
from tests.jobs.webhooks.receivers import receiver, until
from tests.store.stores import Store


async def test_a_rule_fires_is_sent_resolves_and_is_history(store: Store) -> None:
    caller, samples = await store.account(), MemorySamples()
    samples.put("cpu", now_ms() - 1_000, 0.97, host="a")
    samples.put("cpu", now_ms() - 1_000, 0.2, host="b")
    async with receiver() as hook, served(store, samples) as luna, luna.client(caller) as client:
        made = await client.post(
            "/alerts/rules",
            json={
                "name": "hot",
                "expr": "cpu > 0.9",
                "for": "1s",
                "interval": "1s",
                "labels": {"severity": "page"},
                "annotations": {"summary": "{{ $labels.host }} is at {{ $value | humanizePercentage }}"},
                "webhook": hook.url,
            },
        )
        assert made.status_code == 201, made.text
        secret = made.json()["secret"]
        assert secret.startswith("whsec_")
        await until(lambda: len(hook.got) == 1)
        firing = hook.verified(secret)
        active = (await client.get("/alerts/active")).json()["alerts"]
        samples.put("cpu", now_ms(), 0.1, host="a")
        await until(lambda: len(hook.got) == 2)
        resolved = hook.verified(secret)
        history = (await client.get("/alerts/history")).json()["items"]
        rule = (await client.get(f"/alerts/rules/{made.json()['id']}")).json()
        await asyncio.sleep(1.5)
    assert len(hook.got) == 2
    assert firing["type"] == "alert.firing"
    (alert,) = firing["data"]["alerts"]
    assert alert["labels"] == {"alertname": "hot", "host": "a", "severity": "page"}
    assert alert["annotations"] == {"summary": "a is at 97%"}
    (shown,) = active
    assert (shown["state"], shown["labels"]["host"], shown["value"]) == ("firing", "a", 0.97)
    assert shown["fired_at"] - shown["active_at"] == 1_000
    assert resolved["type"] == "alert.resolved"
    (past,) = history
    assert past["state"] == "resolved"
    assert past["resolved_at"] > past["fired_at"]
    assert "secret" not in rule
    assert rule["health"] == "ok"
