"""Receivers that fail, hang and come back; silences; reminders; Alertmanagers."""

import asyncio
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from tests.capabilities.alerts.evaluated import START_MS, Evaluated
from tests.capabilities.alerts.samples import MemorySamples, now_ms
from tests.capabilities.alerts.served import PLATFORM, served
from tests.jobs.webhooks.receivers import Receiver, receiver, until
from tests.store.stores import Store

from luna_serving.capabilities.alerts.delivery.announcer import Announcer
from luna_serving.capabilities.alerts.delivery.deliverer import pause_after
from luna_serving.capabilities.alerts.evaluation.outcomes import Telling
from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.alerts.store.silences import Silences
from luna_serving.local.data_folder.ports import free_port
from luna_serving.settings import AlertmanagerSettings
from luna_store.audit.actors import Actor

RULE: dict[str, Any] = {"name": "hot", "expr": "cpu > 0.9", "interval": "1s"}


def told(hook: Receiver) -> Counter[tuple[str, str]]:
    """How often each alert and status came, repetitions of a message counted once."""
    bodies = {headers["webhook-id"]: orjson.loads(body) for headers, body in hook.got}
    return Counter((a["id"], a["status"]) for body in bodies.values() for a in body["data"]["alerts"])


async def test_a_receiver_that_fails_hangs_and_comes_back_gets_each_change_once_and_in_order(store: Store) -> None:
    caller, samples = await store.account(), MemorySamples()
    samples.put("cpu", now_ms(), 1.0, host="a")
    async with receiver(status=500) as hook, served(store, samples) as luna, luna.client(caller) as client:
        made = await client.post("/alerts/rules", json={**RULE, "webhook": hook.url})
        await until(lambda: len(hook.got) >= 2)
        failed = len(hook.got)
        # It hangs for longer than a try may take.
        hook.status, hook.delay_s = 200, 30.0
        await until(lambda: len(hook.got) > failed)
        samples.put("cpu", now_ms(), 0.1, host="a")
        await asyncio.sleep(1.5)
        await hook.down()
        assert len(set(hook.ids)) == 1
        hook.delay_s = 0.0
        await hook.up()
        await until(lambda: len(set(hook.ids)) == 2, 40)
        await asyncio.sleep(1.0)
        verified = [hook.verified(made.json()["secret"], i) for i in range(len(hook.got))]
    assert [each["type"] for each in verified] == ["alert.firing"] * (len(verified) - 1) + ["alert.resolved"]
    assert set(told(hook).values()) == {1}
    assert len({body for headers, body in hook.got if headers["webhook-id"] == hook.ids[0]}) == 1


async def test_a_receiver_that_hangs_holds_up_no_other_rule(store: Store) -> None:
    caller, samples = await store.account(), MemorySamples()
    samples.put("cpu", now_ms(), 1.0, host="a")
    async with (
        receiver(delay_s=30.0) as slow,
        receiver() as quick,
        served(store, samples) as luna,
        luna.client(caller) as client,
    ):
        await client.post("/alerts/rules", json={**RULE, "webhook": slow.url})
        await until(lambda: len(slow.got) == 1)
        await client.post("/alerts/rules", json={**RULE, "name": "other", "webhook": quick.url})
        await until(lambda: len(quick.got) == 1, 5)


def test_tries_follow_a_schedule_until_the_message_is_given_up() -> None:
    pauses = [pause_after(tries, 0, 86_400, 0.0) for tries in range(1, 11)]
    assert pauses == [1, 5, 10, 30, 60, 120, 300, 600, 600, 600]
    assert pause_after(3, 86_400, 86_400, 0.0) is None


async def test_changes_of_one_evaluation_are_one_message(store: Store) -> None:
    luna = await Evaluated.of(store)
    await luna.rule(webhook="https://example.com/hook")
    for host in "abc":
        luna.cpu(0, 1.0, host)
    await luna.at(1)
    assert await luna.messages() == 1
    for host in "ab":
        luna.cpu(1, 0.1, host)
    luna.cpu(1, 1.0, "d")
    await luna.at(2)
    bodies = await store.scalar("SELECT array_agg(convert_from(body, 'UTF8') ORDER BY place) FROM alert_notifications")
    first, second = (orjson.loads(each)["data"] for each in bodies)
    assert [(a["labels"]["host"], a["status"]) for a in first["alerts"]] == [(h, "firing") for h in "abc"]
    assert sorted((a["labels"]["host"], a["status"]) for a in second["alerts"]) == [
        ("a", "resolved"),
        ("b", "resolved"),
        ("d", "firing"),
    ]
    assert second["status"] == "firing"
    assert second["commonLabels"] == {"alertname": "hot"}


async def test_a_firing_alert_is_sent_again_after_the_repeat_interval(store: Store) -> None:
    luna = await Evaluated.of(store, telling=Telling("", 600_000, 60_000, announces=False))
    await luna.rule(webhook="https://example.com/hook")
    sent = []
    for minute in range(25):
        luna.cpu(minute + 0.001, 1.0)
        await luna.at(minute + 1)
        sent.append(await luna.messages())
    assert sent[0] == 1
    assert sent[-1] == 3
    body = await store.scalar("SELECT convert_from(body, 'UTF8') FROM alert_notifications ORDER BY place DESC LIMIT 1")
    assert orjson.loads(str(body))["type"] == "alert.reminder"


async def test_a_silence_holds_back_and_when_it_ends_what_still_fires_is_sent(store: Store) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule(webhook="https://example.com/hook")
    silences = Silences(store.engine, most=10)
    start = datetime.fromtimestamp(START_MS / 1000, UTC)
    matchers = [{"name": "host", "value": "a|b", "isRegex": True, "isEqual": True}]
    values = {"matchers": matchers, "starts_at": start, "ends_at": start + timedelta(minutes=10)}
    by = Actor("key:test")
    await silences.put(luna.account_id, None, {**values, "created_by": "ada", "comment": "works"}, by)
    for minute in (0, 5):
        for host in "abc":
            luna.cpu(minute, 1.0, host)
        await luna.at(minute + 1)
    assert await luna.messages() == 1
    # b ends under the silence: nobody has heard of it, so nobody hears of its end.
    luna.cpu(8, 0.1, "b")
    await luna.at(9)
    assert await luna.messages() == 1
    luna.cpu(11, 1.0, "a")
    luna.cpu(11, 1.0, "c")
    await luna.at(12)
    bodies = await store.scalar("SELECT array_agg(convert_from(body, 'UTF8') ORDER BY place) FROM alert_notifications")
    told_of = [[a["labels"]["host"] for a in orjson.loads(each)["data"]["alerts"]] for each in bodies]
    assert told_of == [["c"], ["a"]]
    assert await luna.schedule(rule_id, "error") is None


class FakeAlertmanager:
    """Takes alerts as an Alertmanager does, and keeps them."""

    def __init__(self) -> None:
        self.got: list[list[dict[str, Any]]] = []
        self.status = 200

    async def receive(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        return web.Response(status=self.status)


@pytest.fixture
async def alertmanager() -> AsyncIterator[tuple[FakeAlertmanager, str]]:
    fake, port = FakeAlertmanager(), free_port()
    app = web.Application()
    app.router.add_post("/prefix/api/v2/alerts", fake.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield fake, f"http://127.0.0.1:{port}/prefix"
    await runner.cleanup()


async def test_alertmanagers_hear_again_while_it_fires_and_after_its_end(
    store: Store, alertmanager: tuple[FakeAlertmanager, str]
) -> None:
    fake, url = alertmanager
    luna = await Evaluated.of(store, telling=Telling("https://luna.example.com", 10**9, 60_000, announces=True))
    rule_id = await luna.rule(labels={"severity": "page"})
    async with httpx.AsyncClient() as client:
        announcer = Announcer(
            store.engine,
            client,
            [url, "http://127.0.0.1:1"],
            AlertMetrics(CollectorRegistry()),
            resend=timedelta(minutes=1),
            retention=timedelta(minutes=15),
            external_url="https://luna.example.com",
        )
        luna.cpu(0, 1.0)
        await luna.at(1)
        await store.execute("UPDATE alerts SET announce_at = now()")  # its evaluation is in the future of the clock
        fake.status = 500
        await announcer.run(luna.lease)
        fake.status = 200
        await announcer.run(luna.lease)
        assert len(fake.got) == 2
        await announcer.run(luna.lease)
        assert len(fake.got) == 2
        # A minute later.
        await store.execute("UPDATE alerts SET announce_at = announce_at - interval '61 s'")
        await announcer.run(luna.lease)
        assert len(fake.got) == 3
        luna.cpu(1, 0.1)
        await luna.at(2)
        await store.execute("UPDATE alerts SET announce_at = now(), resolved_at = now()")
        await announcer.run(luna.lease)
        (last,) = fake.got[-1]
        assert datetime.fromisoformat(last["endsAt"]) <= datetime.now(UTC)
        assert await store.scalar("SELECT announce_at - now() < interval '61 s' FROM alerts")
        await store.execute("UPDATE alerts SET announce_at = now(), resolved_at = now() - interval '16 m'")
        await announcer.run(luna.lease)
        assert await store.scalar("SELECT announce_at IS NULL FROM alerts")
    (first,) = fake.got[0]
    assert first["labels"] == {"alertname": "hot", "host": "a", "severity": "page"}
    valid = datetime.fromisoformat(first["endsAt"]) - datetime.now(UTC)
    assert timedelta(minutes=3, seconds=50) < valid <= timedelta(minutes=4)
    assert await luna.schedule(rule_id, "error") is None


ALERTMANAGER = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")


@pytest.mark.slow
@pytest.mark.skipif(ALERTMANAGER is None, reason="Alertmanager is not installed")
async def test_alertmanager_takes_ours(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    assert ALERTMANAGER is not None
    port = free_port()
    process = subprocess.Popen(  # noqa: ASYNC220  it is quick, and another process
        [
            ALERTMANAGER,
            f"--config.file={tmp_path / 'a.yml'}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    platform = PLATFORM.model_copy(update={"alertmanager": AlertmanagerSettings(url=(url,))})
    caller, samples = await store.account(), MemorySamples()
    try:
        samples.put("cpu", now_ms(), 1.0, host="a")
        async with (
            served(store, samples, platform=platform) as luna,
            luna.client(caller) as client,
            httpx.AsyncClient(base_url=url) as theirs,
        ):

            async def listed() -> list[dict[str, Any]]:
                try:
                    found: list[dict[str, Any]] = (await theirs.get("/api/v2/alerts")).json()
                except httpx.HTTPError:
                    return []
                return found

            await client.post("/alerts/rules", json={**RULE, "annotations": {"summary": "{{ $labels.host }}"}})
            async with asyncio.timeout(30):
                while not await listed():  # noqa: ASYNC110  what is waited for is in Postgres
                    await asyncio.sleep(0.1)
            (alert,) = await listed()
            assert alert["labels"] == {"alertname": "hot", "host": "a"}
            assert alert["annotations"] == {"summary": "a"}
            samples.put("cpu", now_ms(), 0.1, host="a")
            async with asyncio.timeout(30):
                while await listed():  # noqa: ASYNC110  what is waited for is in Postgres
                    await asyncio.sleep(0.1)
    finally:
        process.terminate()
        process.wait(10)


async def test_alerts_that_an_alertmanager_refuses_do_not_hold_up_the_others(
    store: Store, alertmanager: tuple[FakeAlertmanager, str]
) -> None:
    fake, url = alertmanager
    luna = await Evaluated.of(store, telling=Telling("https://luna.example.com", 10**9, 60_000, announces=True))
    await luna.rule()
    metrics = AlertMetrics(registry := CollectorRegistry())
    waits, ends = timedelta(minutes=1), timedelta(minutes=15)
    async with httpx.AsyncClient() as client:
        announcer = Announcer(
            store.engine, client, [url], metrics, resend=waits, retention=ends, external_url="https://luna.example.com"
        )
        luna.cpu(0, 1.0)
        await luna.at(1)
        await store.execute("UPDATE alerts SET announce_at = now()")
        fake.status = 400
        await announcer.run(luna.lease)
        await announcer.run(luna.lease)
    assert len(fake.got) == 1
    labels = {"receiver": "alertmanager", "outcome": "given_up"}
    assert registry.get_sample_value("luna_alerts_notifications_total", labels) == 1
