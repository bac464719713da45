"""Rules over HTTP: three forms, conditions, limits, errors with their places."""

import asyncio
from typing import Any

from tests.capabilities.alerts.samples import MemorySamples, now_ms
from tests.capabilities.alerts.served import served
from tests.capabilities.people.signed_in import House
from tests.store.stores import Store

EXPR: dict[str, Any] = {"name": "hot", "expr": "avg(cpu) > 0.9", "for": "5m"}
SIMPLE: dict[str, Any] = {
    "name": "simple",
    "metric": "cpu",
    "labels": {"host": 'a"b'},
    "condition": ">",
    "threshold": 0.9,
    "duration": "5m",
    "severity": "warning",
}
ANOMALY: dict[str, Any] = {"name": "odd", "metric": "cpu.usage", "kind": "anomaly", "false_alarms_per_week": 1}


async def test_a_rule_of_each_form_is_kept_shown_changed_and_deleted(store: Store) -> None:
    caller = await store.account()
    async with served(store, MemorySamples(), looping=False) as luna, luna.client(caller) as client:
        made = [await client.post("/alerts/rules", json=each) for each in (EXPR, SIMPLE, ANOMALY)]
        assert [each.status_code for each in made] == [201] * 3, [each.text for each in made]
        listed = await client.get("/alerts/rules?limit=2")
        rest = await client.get(f"/alerts/rules?cursor={listed.json()['next_cursor']}")
        first = made[0].json()
        path = f"/alerts/rules/{first['id']}"
        known = await client.get(path, headers={"If-None-Match": made[0].headers["etag"]})
        changed = await client.put(path, json={**EXPR, "for": "1m"}, headers={"If-Match": made[0].headers["etag"]})
        late = await client.put(path, json=EXPR, headers={"If-Match": made[0].headers["etag"]})
        same = await client.put(path, json={**EXPR, "for": "1m"})
        late_delete = await client.delete(path, headers={"If-Match": made[0].headers["etag"]})
        gone = await client.delete(path, headers={"If-Match": changed.headers["etag"]})
        after = await client.get(path)
        grouped = await client.get("/prometheus/api/v1/rules")
    assert made[0].headers["location"].endswith(path)
    assert [each["name"] for each in listed.json()["items"] + rest.json()["items"]] == ["hot", "simple", "odd"]
    assert rest.json()["next_cursor"] is None
    assert {name: made[1].json()[name] for name in SIMPLE} == SIMPLE
    assert made[1].json()["query"] == 'cpu{host="a\\"b"} > 0.9'
    assert made[2].json()["query"] == '{"cpu.usage"}'
    assert (made[0].json()["kind"], made[1].json()["kind"], made[2].json()["kind"]) == ("expr", "threshold", "anomaly")
    assert (first["state"], first["health"]) == ("inactive", "unknown")
    assert known.status_code == 304
    assert (changed.status_code, late.status_code, late_delete.status_code) == (200, 412, 412)
    assert same.headers["etag"] == changed.headers["etag"] != made[0].headers["etag"]
    assert (gone.status_code, after.status_code) == (204, 404)
    (group,) = grouped.json()["data"]["groups"]
    assert [(rule["name"], rule["duration"], rule["type"]) for rule in group["rules"]] == [
        ("simple", 300.0, "alerting"),
        ("odd", 0.0, "alerting"),
    ]
    actions = await store.scalar(
        "SELECT string_agg(action, ' ' ORDER BY at) FROM audit_log WHERE account_id = :id AND subject = 'hot'",
        id=caller.account_id,
    )
    assert actions == "rule.created rule.changed rule.deleted"


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "x"}, "/expr", "Give `expr`"),
    ({"name": "x", "expr": "avg(cpu"}, "/expr", "parse error"),
    ({"name": "x", "expr": "cpu[5m]"}, "/expr", "matrix"),
    ({"name": "x", "expr": '"text"'}, "/expr", "string"),
    ({"expr": "cpu"}, "/name", "required"),
    ({"name": "x", "metric": "cpu"}, "/condition", "required"),
    ({**SIMPLE, "condition": "=>"}, "/condition", "'>'"),
    ({**SIMPLE, "threshold": "0.9"}, "/threshold", "number"),
    ({**SIMPLE, "for": "5m"}, "/duration", "leave one out"),
    ({**EXPR, "for": "5 minutes"}, "/for", "Write a duration"),
    ({**EXPR, "interval": "100ms"}, "/interval", "1s"),
    ({**EXPR, "no_data": "ignore"}, "/no_data", "keep"),
    ({**EXPR, "metric": "cpu"}, "/metric", "not permitted"),
    ({**EXPR, "annotations": {"a/b": "{{ $value | nope }}"}}, "/annotations/a~1b", "not defined"),
    ({**EXPR, "labels": {"x": '{{ query "up" }}'}}, "/labels/x", "not supported"),
    ({**EXPR, "labels": {"__name__": "x"}}, "/labels", "__name__"),
    ({**EXPR, "webhook": "http://10.0.0.1/x"}, "/webhook", "public"),
    ({**EXPR, "webhook": "https://user:word@example.com/"}, "/webhook", "user"),
    ({**ANOMALY, "false_alarms_per_week": 0}, "/false_alarms_per_week", "greater"),
    ({**ANOMALY, "condition": ">"}, "/condition", "not permitted"),
]


async def test_what_is_wrong_is_pointed_to(store: Store) -> None:
    caller = await store.account()
    async with served(store, MemorySamples(), looping=False) as luna, luna.client(caller) as client:
        for body, pointer, words in WRONG:
            answer = await client.post("/alerts/rules", json=body)
            assert answer.status_code == 422, (body, answer.text)
            error = answer.json()["errors"][0]
            assert error["pointer"] == pointer, body
            assert words in error["detail"], body
            if words == "parse error":
                assert (error["offset"], error["line"], error["column"]) == (7, 1, 8)
    assert await store.scalar("SELECT count(*) FROM alert_rules") == 0


async def test_a_creation_that_is_sent_twice_makes_one_rule(store: Store) -> None:
    caller = await store.account()
    body = {**EXPR, "webhook": "https://example.com/hook"}
    async with (
        served(store, MemorySamples(), looping=False) as luna,
        luna.client(caller, **{"Idempotency-Key": "one"}) as client,
    ):
        answers = [await client.post("/alerts/rules", json=body) for _ in range(2)]
        other = await client.post("/alerts/rules", json=EXPR)
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert other.status_code == 422
    assert await store.scalar("SELECT count(*) FROM alert_rules") == 1


async def test_the_limit_of_rules_and_other_accounts(store: Store) -> None:
    caller, other = await store.account(limits={"alerts.rules": 2}), await store.account()
    async with (
        served(store, MemorySamples(), looping=False) as luna,
        luna.client(caller) as client,
        luna.client(other) as theirs,
    ):
        made = [await client.post("/alerts/rules", json={**EXPR, "name": f"r{i}"}) for i in range(3)]
        path = f"/alerts/rules/{made[0].json()['id']}"
        foreign = [await theirs.get(path), await theirs.put(path, json=EXPR), await theirs.delete(path)]
        wrong = await client.get("/alerts/rules/not-an-id")
    assert [each.status_code for each in made] == [201, 201, 409]
    assert "alerts.rules" in made[2].json()["detail"]
    assert [each.status_code for each in foreign] == [404, 404, 404]
    assert wrong.status_code == 422


async def test_a_webhook_gets_a_secret_once_and_keeps_it(store: Store) -> None:
    caller = await store.account()
    hooked = {**EXPR, "webhook": "https://example.com/a"}
    async with served(store, MemorySamples(), looping=False) as luna, luna.client(caller) as client:
        made = await client.post("/alerts/rules", json=EXPR)
        path = f"/alerts/rules/{made.json()['id']}"
        first = await client.put(path, json=hooked)
        moved = await client.put(path, json={**hooked, "webhook": "https://example.com/b"})
        shown = await client.get(path)
        without = await client.put(path, json=EXPR)
        again = await client.put(path, json=hooked)
    assert "secret" not in made.json()
    assert first.json()["secret"].startswith("whsec_")
    assert "secret" not in moved.json()
    assert "secret" not in shown.json()
    assert "secret" not in without.json()
    assert again.json()["secret"] != first.json()["secret"]


async def test_deleting_and_renaming_end_alerts_and_resolving_by_hand_lets_them_fire_again(store: Store) -> None:
    caller, samples = await store.account(), MemorySamples()
    samples.put("cpu", now_ms(), 1.0, host="a")

    async def active(client: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await client.get("/alerts/active")).json()["alerts"]
        return found

    async with served(store, samples) as luna, luna.client(caller) as client:
        rule = {"name": "hot", "expr": "cpu > 0.9", "interval": "1s"}
        made = (await client.post("/alerts/rules", json=rule)).json()
        async with asyncio.timeout(20):
            while not await active(client):  # noqa: ASYNC110  what is waited for is in Postgres
                await asyncio.sleep(0.05)
        (first,) = await active(client)
        by_hand = await client.post(f"/alerts/resolve/{first['id']}")
        twice = await client.post(f"/alerts/resolve/{first['id']}")
        async with asyncio.timeout(20):
            while [each["id"] for each in await active(client)] in ([], [first["id"]]):  # noqa: ASYNC110  what is waited for is in Postgres
                await asyncio.sleep(0.05)
        (second,) = await active(client)
        renamed = await client.put(f"/alerts/rules/{made['id']}", json={**rule, "name": "warm"})
        async with asyncio.timeout(20):
            while [each["name"] for each in await active(client)] != ["warm"]:  # noqa: ASYNC110  what is waited for is in Postgres
                await asyncio.sleep(0.05)
        await client.delete(f"/alerts/rules/{made['id']}")
        rest = await active(client)
        history = (await client.get("/alerts/history")).json()["items"]
        page = (await client.get("/alerts/history?limit=1")).json()
        next_page = (await client.get(f"/alerts/history?limit=1&cursor={page['next_cursor']}")).json()
        missing = await client.post("/alerts/resolve/01900000-0000-7000-8000-000000000000")
    assert (by_hand.status_code, by_hand.json()["state"]) == (200, "resolved")
    assert (twice.status_code, twice.json()["state"]) == (200, "resolved")
    assert second["id"] != first["id"]
    assert renamed.status_code == 200
    assert rest == []
    assert [(each["name"], each["resolved_by"]) for each in history] == [
        ("warm", "rule"),
        ("hot", "rule"),
        ("hot", "hand"),
    ]
    assert set(history[0]) >= {"rule_id", "name", "state", "labels", "active_at", "fired_at", "resolved_at"}
    assert page["items"] + next_page["items"] == history[:2]
    assert missing.status_code == 404


async def test_an_account_that_may_only_write_metrics_reads_none_through_rules(store: Store) -> None:
    caller = await store.account(allowed={"metrics": ["ingest"]})
    async with served(store, MemorySamples(), looping=False) as luna, luna.client(caller) as client:
        simulated = await client.post("/alerts/rules/simulate", json={"rule": EXPR, "start": 0, "end": 60_000})
        created = await client.post("/alerts/rules", json=EXPR)
        await store.accounts.update(caller.account_id, allowed={"metrics": ["*"]})
        await store.cache.rebuild(caller.account_id)
        path = f"/alerts/rules/{(await client.post('/alerts/rules', json=EXPR)).json()['id']}"
        await store.accounts.update(caller.account_id, allowed={"metrics": ["ingest"]})
        await store.cache.rebuild(caller.account_id)
        replaced = await client.put(path, json={**EXPR, "for": "1m"})
        seen = await client.get(path)
        deleted = await client.delete(path)
    for refused in (simulated, created, replaced):
        assert refused.status_code == 403, refused.text
        problem = refused.json()
        assert (problem["capability"], problem["name"]) == ("metrics", "query")
    assert (seen.status_code, deleted.status_code) == (200, 204), "what was written may be read and removed"
    assert await store.left(caller.account_id) == 500


async def test_viewers_see_of_a_webhook_where_it_goes_alone(store: Store) -> None:
    caller = await store.account()
    url = "https://hooks.example.com:8443/services/T0/SECRET?token=SECRET"
    async with served(store, MemorySamples(), looping=False) as luna, luna.client(caller) as client:
        made = await client.post("/alerts/rules", json={**EXPR, "webhook": url})
        assert made.status_code == 201, made.text
        people = House(store, caller, luna.url)
        seen: dict[str, set[str]] = {}
        for role in ("viewer", "member", "admin"):
            async with await people.person(f"{role}@example.com", role) as person:
                one = await person.get(f"/alerts/rules/{made.json()['id']}")
                (listed,) = (await person.get("/alerts/rules")).json()["items"]
                grouped = await person.get("/prometheus/api/v1/rules")
                assert "SECRET" not in grouped.text
                seen[role] = {one.json()["webhook"], listed["webhook"]}
                assert not {"secret", "webhook_secret"} & {*one.json(), *listed}
    assert seen == {"viewer": {"https://hooks.example.com:8443"}, "member": {url}, "admin": {url}}
