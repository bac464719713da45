"""The Secret of an Account at a real API server: made once, changed only if it is the one that was seen."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from luna_operator.kube.client import ApiServer, Conflict
from luna_operator.kube.secrets import Secret, SecretsClient, labels, manifest

if TYPE_CHECKING:
    from tests.operator.kube.conftest import Make

    from luna_operator.resources.account import AccountResource

URL = "http://luna.example:8000"


@pytest.fixture(scope="module")
def kept(api: ApiServer) -> SecretsClient:
    return SecretsClient(api)


def body(account: AccountResource, api_key: str = "luna_first") -> dict[str, Any]:
    return manifest(account, account_id=42, url=URL, api_key=api_key)


def path(account: AccountResource) -> str:
    return f"/api/v1/namespaces/{account.key.namespace}/secrets/{account.api_key.secret_name}"


async def delete(api: ApiServer, account: AccountResource) -> None:
    await api._request("DELETE", "delete", path(account), {})


async def stranger(api: ApiServer, account: AccountResource) -> dict[str, Any]:
    """Somebody else's Secret under the account's name for its own."""
    made = {"metadata": {"name": account.api_key.secret_name}, "stringData": {"api-key": "theirs"}}
    return await api.create(path(account).rpartition("/")[0], made)


async def test_a_new_secret_holds_what_programs_read_and_belongs_to_its_account(
    api: ApiServer, kept: SecretsClient, make: Make
) -> None:
    account = await make()
    written = await kept.write(account, body(account), None)
    stored = await api.get(path(account))
    assert stored["type"] == "Opaque"
    assert written == Secret.parse(stored) == await kept.find(account)
    assert written.data == {"api-key": "luna_first", "account-id": "42", "url": URL}
    assert (written.owner_uid, written.labels) == (str(account.uid), labels(account))
    [owner] = stored["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Account", account.key.name, True)


async def test_a_secret_is_found_by_the_name_that_the_account_gives_it(kept: SecretsClient, make: Make) -> None:
    account = await make({"apiKey": {"secretName": "somewhere-else"}})
    assert await kept.find(account) is None
    written = await kept.write(account, body(account), None)
    assert written.name == "somewhere-else"
    assert await kept.find(account) == written


async def test_what_appeared_in_between_is_not_touched(api: ApiServer, kept: SecretsClient, make: Make) -> None:
    account = await make()
    theirs = await stranger(api, account)
    with pytest.raises(Conflict):
        await kept.write(account, body(account), None)
    assert await api.get(path(account)) == theirs


async def test_the_one_that_was_seen_gets_its_new_key_and_keeps_what_others_added(
    api: ApiServer, kept: SecretsClient, make: Make
) -> None:
    account = await make()
    seen = await kept.write(account, body(account), None)
    extra = {"metadata": {"labels": {"team": "a"}}, "data": {"more": b64encode(b"1").decode()}}
    await api.merge(path(account), extra)
    # What was seen before is not what would be overwritten: a second replica may have put its key there.
    with pytest.raises(Conflict):
        await kept.write(account, body(account, "luna_second"), seen)
    seen = await kept.find(account)
    written = await kept.write(account, body(account, "luna_second"), seen)
    assert (written.uid, written.data) == (seen.uid, {**seen.data, "api-key": "luna_second"})
    stored = await api.get(path(account))
    assert stored["data"]["more"] == extra["data"]["more"]
    assert stored["metadata"]["labels"] == {**labels(account), "team": "a"}


async def test_what_somebody_edited_is_put_right(api: ApiServer, kept: SecretsClient, make: Make) -> None:
    account = await make()
    seen = await kept.write(account, body(account), None)
    for edit in (
        {"data": {"url": b64encode(b"http://elsewhere").decode(), "api-key": None}},
        {"metadata": {"labels": None}},
        {"metadata": {"ownerReferences": None}},
    ):
        await api.merge(path(account), edit)
        edited = await kept.find(account)
        assert edited != seen
        assert await kept.write(account, body(account), edited) == seen


async def test_one_that_was_deleted_meanwhile_is_not_made_by_a_change(
    api: ApiServer, kept: SecretsClient, make: Make
) -> None:
    account = await make()
    seen = await kept.write(account, body(account), None)
    await delete(api, account)
    with pytest.raises(Conflict):
        await kept.write(account, body(account, "luna_second"), seen)
    assert await kept.find(account) is None


async def test_a_stranger_in_its_place_is_not_touched(api: ApiServer, kept: SecretsClient, make: Make) -> None:
    account = await make()
    seen = await kept.write(account, body(account), None)
    await delete(api, account)
    theirs = await stranger(api, account)
    with pytest.raises(Conflict):
        await kept.write(account, body(account, "luna_second"), seen)
    assert await api.get(path(account)) == theirs


async def test_only_secrets_with_our_label_are_listed(
    api: ApiServer, kept: SecretsClient, make: Make, place: str
) -> None:
    ours, theirs = await make(), await make()
    written = await kept.write(ours, body(ours), None)
    await stranger(api, theirs)
    listed = [secret async for page in kept.pages() for secret in page if secret.namespace == place]
    assert written in listed
    assert theirs.api_key.secret_name not in [secret.name for secret in listed]


@pytest.mark.parametrize(
    "more",
    [{"data": {"more": b64encode(b"1").decode()}}, {"metadata": {"labels": {"team": "a"}}}],
    ids=["data", "a label"],
)
async def test_of_a_secret_only_what_is_ours_is_kept_in_memory(
    api: ApiServer, kept: SecretsClient, make: Make, more: dict[str, Any]
) -> None:
    account = await make()
    written = await kept.write(account, body(account), None)
    await api.merge(path(account), more)
    assert await kept.find(account) == written


@pytest.mark.parametrize("value", [b"\xff\xfe", b"x" * 100_000], ids=["no text", "far too long"])
async def test_a_value_that_cannot_be_ours_is_left_out(
    api: ApiServer, kept: SecretsClient, make: Make, value: bytes
) -> None:
    account = await make()
    await kept.write(account, body(account), None)
    await api.merge(path(account), {"data": {"api-key": b64encode(value).decode()}})
    found = await kept.find(account)
    assert found is not None
    assert found.data == {"account-id": "42", "url": URL}
