"""Accounts and Tiers at a real API server: finalizers and statuses, never of another object than was seen."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from luna_operator.kube.client import ApiServer, Conflict, NotFound
from luna_operator.resources.account import AccountResource

if TYPE_CHECKING:
    from tests.operator.kube.conftest import Make

    from luna_operator.kube.resources import Resources

OTHERS = "example.com/other"
STATUS = {"accountId": 42, "usage": {"limit": 7, "used": 1}}


async def now(api: ApiServer, account: AccountResource) -> AccountResource:
    namespace, name = account.key
    return AccountResource.parse(await api.get(f"/apis/luna.dev/v1/namespaces/{namespace}/accounts/{name}"))


async def test_our_finalizer_comes_and_goes_beside_anothers(resources: Resources, make: Make) -> None:
    account = await make(finalizers=[OTHERS])
    held = AccountResource.parse(await resources.add_finalizer(account))
    assert held.finalizers == (OTHERS, "luna.dev/account")
    freed = AccountResource.parse(await resources.remove_finalizer(held))
    assert freed.finalizers == (OTHERS,)
    # Else the namespace would never end.
    await resources._set_finalizers(freed, [])


async def test_a_finalizer_that_somebody_set_meanwhile_is_not_lost(
    api: ApiServer, resources: Resources, make: Make
) -> None:
    account = await make()
    await resources._set_finalizers(account, [OTHERS])
    for write in (resources.add_finalizer, resources.remove_finalizer):
        with pytest.raises(Conflict):
            await write(account)
    found = await now(api, account)
    assert found.finalizers == (OTHERS,)
    await resources._set_finalizers(found, [])


async def test_a_status_reaches_the_account_and_changes_nothing_else(
    api: ApiServer, resources: Resources, make: Make
) -> None:
    account = await make({"displayName": "Acme"})
    written = AccountResource.parse(await resources.patch_account_status(account, STATUS))
    assert written == await now(api, account)
    assert written == replace(account, status=STATUS, resource_version=written.resource_version)


async def test_a_patch_that_was_made_from_another_status_is_not_written(
    api: ApiServer, resources: Resources, make: Make
) -> None:
    account = await make()
    written = AccountResource.parse(await resources.patch_account_status(account, STATUS))
    with pytest.raises(Conflict):
        await resources.patch_account_status(account, {"usage": {"limit": 8}})
    assert await now(api, account) == written


async def test_the_status_of_a_predecessor_is_not_written_to_its_successor(
    api: ApiServer, resources: Resources, make: Make
) -> None:
    account = await make()
    namespace, name = account.key
    await api._request("DELETE", "delete", f"/apis/luna.dev/v1/namespaces/{namespace}/accounts/{name}", {})
    successor = await make(name=name)
    with pytest.raises(Conflict):
        await resources.patch_account_status(account, STATUS)
    assert await now(api, account) == successor


async def test_the_status_of_an_account_that_is_gone_is_not_found(resources: Resources, make: Make) -> None:
    account = await make()
    gone = replace(account, key=account.key._replace(name="gone"))
    with pytest.raises(NotFound):
        await resources.patch_account_status(gone, STATUS)


async def test_every_account_is_in_the_pages(resources: Resources, make: Make, place: str) -> None:
    made = {(await make()).key.name for _ in range(3)}
    found = [body async for page in resources.account_pages() for body in page]
    assert made <= {body["metadata"]["name"] for body in found if body["metadata"]["namespace"] == place}


async def test_a_tier_is_listed_and_given_a_status(api: ApiServer, resources: Resources) -> None:
    name = f"t{secrets.token_hex(4)}"
    made = {"apiVersion": "luna.dev/v1", "kind": "Tier", "metadata": {"name": name}, "spec": {"quota": {"limit": 7}}}
    await api.create("/apis/luna.dev/v1/tiers", made)
    try:
        assert name in [body["metadata"]["name"] for body in await resources.tiers()]
        written = await resources.patch_tier_status(name, {"accounts": 3})
        assert (written["status"]["accounts"], written["spec"]) == (3, {"quota": {"limit": 7}})
    finally:
        await api._request("DELETE", "delete", f"/apis/luna.dev/v1/tiers/{name}", {})
