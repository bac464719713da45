"""Silences over HTTP, as Alertmanager has them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.capabilities.alerts.samples import MemorySamples
from tests.capabilities.alerts.served import served
from tests.store.stores import Store

from luna_serving.capabilities.alerts.delivery.silencing import matchers_of, silenced


def body(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "matchers": [{"name": "host", "value": "a", "isRegex": False, "isEqual": True}],
        "startsAt": (now - timedelta(minutes=1)).isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "ada",
        "comment": "maintenance",
    } | changes


async def test_a_silence_is_made_changed_listed_and_ended(store: Store) -> None:
    caller, other = await store.account(), await store.account()
    async with (
        served(store, MemorySamples(), looping=False) as luna,
        luna.client(caller) as client,
        luna.client(other) as theirs,
    ):
        made = await client.post("/alerts/silences", json=body())
        silence_id = made.json()["silenceID"]
        changed = await client.post("/alerts/silences", json=body(id=silence_id, comment="longer"))
        one = await client.get(f"/alerts/silences/{silence_id}")
        foreign = [
            await theirs.get(f"/alerts/silences/{silence_id}"),
            await theirs.delete(f"/alerts/silences/{silence_id}"),
            await theirs.post("/alerts/silences", json=body(id=silence_id)),
        ]
        ended = await client.delete(f"/alerts/silences/{silence_id}")
        later = body(startsAt=(datetime.now(UTC) + timedelta(minutes=9)).isoformat())
        future = (await client.post("/alerts/silences", json=later)).json()["silenceID"]
        dropped = await client.delete(f"/alerts/silences/{future}")
        listed = await client.get("/alerts/silences")
    assert made.status_code == 200, made.text
    assert changed.json()["silenceID"] == silence_id
    assert (one.json()["comment"], one.json()["status"]["state"]) == ("longer", "active")
    assert [each.status_code for each in foreign] == [404, 404, 404]
    assert (ended.status_code, dropped.status_code) == (204, 204)
    assert [(each["id"], each["status"]["state"]) for each in listed.json()["items"]] == [(silence_id, "expired")]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"matchers": []}, "/matchers"),
    ({"matchers": [{"name": "a", "value": "", "isRegex": False}]}, "/matchers"),
    ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, "/matchers"),
    ({"startsAt": "2026-11-29T12:00:00Z", "endsAt": "2026-11-29T11:00:00Z"}, "/endsAt"),
    ({"startsAt": "yesterday"}, "/startsAt"),
]


async def test_what_is_wrong_is_pointed_to(store: Store) -> None:
    caller = await store.account()
    async with served(store, MemorySamples(), looping=False) as luna, luna.client(caller) as client:
        for changes, pointer in WRONG:
            answer = await client.post("/alerts/silences", json=body(**changes))
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text


@pytest.mark.parametrize(
    ("matcher", "labels", "expected"),
    [
        ({"name": "a", "value": "x"}, {"a": "x"}, True),
        ({"name": "a", "value": "x"}, {}, False),
        ({"name": "a", "value": "x|y", "isRegex": True}, {"a": "y"}, True),
        ({"name": "a", "value": "x", "isRegex": True}, {"a": "xx"}, False),
        ({"name": "a", "value": "x", "isEqual": False}, {}, True),
        ({"name": "a", "value": "x.*", "isRegex": True, "isEqual": False}, {"a": "xy"}, False),
    ],
)
def test_matchers(matcher: dict[str, Any], labels: dict[str, str], expected: bool) -> None:
    assert silenced(labels, [matchers_of([matcher])]) is expected
