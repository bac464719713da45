"""Events at a real API server: accepted whatever they say, and found beside their Account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from luna_operator.kube.events import NOTE_BYTES, Events, KubeEvent

if TYPE_CHECKING:
    from tests.operator.kube.conftest import Make

    from luna_operator.kube.client import ApiServer
    from luna_operator.resources.account import AccountResource


async def of(api: ApiServer, account: AccountResource) -> list[dict[str, Any]]:
    path = f"/apis/events.k8s.io/v1/namespaces/{account.key.namespace}/events"
    found = [event async for page in api.pages(path) for event in page]
    return [event for event in found if event["regarding"]["uid"] == str(account.uid)]


async def test_an_event_tells_what_happened_to_whom(api: ApiServer, make: Make) -> None:
    account = await make()
    await Events(api, "luna-operator-0").post(
        KubeEvent("Warning", "QuotaExhausted", "Reconcile", "All is used."), account
    )
    [event] = await of(api, account)
    told = [event[name] for name in ("type", "reason", "action", "note")]
    assert told == ["Warning", "QuotaExhausted", "Reconcile", "All is used."]
    assert (event["reportingController"], event["reportingInstance"]) == ("luna.dev/luna-operator", "luna-operator-0")
    regarding = [event["regarding"][name] for name in ("apiVersion", "kind", "namespace", "name")]
    assert regarding == ["luna.dev/v1", "Account", account.key.namespace, account.key.name]


async def test_the_same_thing_may_happen_twice(api: ApiServer, make: Make) -> None:
    account, again = await make(), KubeEvent("Normal", "KeyRotated", "RotateKey", "The Secret holds another key.")
    for _ in range(2):
        await Events(api, "luna-operator-0").post(again, account)
    assert len(await of(api, account)) == 2


@pytest.mark.parametrize("note", ["x" * 5000, "é" * 2000, "€" * 2000, ""], ids=["ascii", "two bytes", "three", "none"])
async def test_a_note_of_any_length_is_accepted(api: ApiServer, make: Make, note: str) -> None:
    account = await make()
    await Events(api, "i" * 200).post(KubeEvent("Normal", "Ready", "Reconcile", note), account)
    [event] = await of(api, account)
    kept = event.get("note", "")
    assert note.startswith(kept)
    assert NOTE_BYTES - 3 < len(kept.encode()) <= NOTE_BYTES or kept == note


async def test_an_account_with_the_longest_name_has_events_too(api: ApiServer, make: Make) -> None:
    account = await make(name=".".join(["n" * 60] * 4))
    await Events(api, "luna-operator-0").post(KubeEvent("Normal", "Ready", "Reconcile", "Well."), account)
    assert len(await of(api, account)) == 1
