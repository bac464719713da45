"""Named models in the audit log: by digest and size, whoever changes them."""

from hashlib import sha256
from typing import Any

import pytest
from tests.store.stores import Store

from luna_serving.capabilities.kalman.store.models import ModelLimits, Models
from luna_store.audit.actors import Actor
from luna_store.audit.log import Change, Wanted, page

SMALL, LARGE = '{"a":"ä"}', '{"b":"' + "x" * 200_000 + '"}'


@pytest.fixture
def models(store: Store) -> Models:
    return Models(store.engine, ModelLimits(10, 10**6))


async def log_of(store: Store, account_id: int) -> list[Change]:
    return (await page(store.engine, Wanted(account_id=account_id, action="model"), limit=100))[::-1]


def facts(version: int, document: str) -> dict[str, Any]:
    encoded = document.encode()
    return {"version": version, "kind": "arima", "bytes": len(encoded), "sha256": sha256(encoded).hexdigest()}


async def test_a_model_is_followed_from_its_first_version_to_its_deletion(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    by = Actor.key("luna_abcdefgh", "request-1")
    for document in (SMALL, SMALL, LARGE):
        await models.put(account, "demand", "arima", document, by=by)
    await models.delete(account, "demand", by=by)
    await models.put(account, "demand", "arima", SMALL)
    found = await log_of(store, account)
    assert [(e.action, e.before, e.after) for e in found] == [
        ("model.created", None, facts(1, SMALL)),
        ("model.changed", facts(1, SMALL), facts(2, LARGE)),
        ("model.deleted", {"first_version": 1, "last_version": 2, "bytes": len(SMALL.encode()) + len(LARGE)}, None),
        ("model.created", None, facts(3, SMALL)),
    ]
    assert {e.subject for e in found} == {"demand"}
    assert [(e.actor, e.request_id) for e in found] == [*[("key:luna_abcdefgh", "request-1")] * 3, ("luna", None)]


async def test_a_document_that_is_rewritten_in_place_is_recorded(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    await models.put(account, "demand", "arima", SMALL)
    for _ in range(2):
        await store.execute("UPDATE model_versions SET document = '{}'")
    assert [(e.action, e.before, e.after) for e in (await log_of(store, account))[1:]] == [
        ("model.changed", facts(1, SMALL), facts(1, "{}"))
    ]


async def test_the_models_of_a_deleted_account_go_with_its_one_entry(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    await models.put(account, "demand", "arima", SMALL)
    await store.accounts.delete(account, retain=False)
    assert [e.action for e in await log_of(store, account)] == ["model.created"]


async def test_models_of_several_accounts_that_one_statement_removes_are_entries_of_each(
    store: Store, models: Models
) -> None:
    accounts = [(await store.account()).account_id for _ in range(2)]
    for account in accounts:
        for name in ("one", "two"):
            await models.put(account, name, "arima", SMALL)
    await store.execute("DELETE FROM named_models")
    for account in accounts:
        assert sorted(e.subject for e in await log_of(store, account) if e.action == "model.deleted") == ["one", "two"]
