"""Facts about a Secret for a plan: its owner, its live key, and whether the rest is as the operator writes it."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.operator.plan.accounts import ACCOUNT_ID, UID, account, key, row_of, unmade

from luna_operator.kube.secrets import Secret, manifest
from luna_operator.plan.observation import ABSENT, Ownership, SecretFacts
from luna_operator.reconcile.observe import secret_facts
from luna_operator.resources.account import AccountResource
from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.accounts.provisioning import AccountRow, KeyRow, Provisioning

URL = "http://luna.example:8000"
OLD = Peppers.parse("old:a-pepper-of-the-tests-0123456789")
BOTH = Peppers.parse("new:another-pepper-of-the-tests-01,old:a-pepper-of-the-tests-0123456789")
NEW = Peppers.parse("new:another-pepper-of-the-tests-01")
CURRENT, RETIRING, UNKNOWN = ApiKey.issue(), ApiKey.issue(), ApiKey.issue()


def stored(issued: ApiKey, peppers: Peppers = OLD, **changes: Any) -> KeyRow:
    return replace(key(issued.prefix, **changes), digest=peppers.digest(issued), pepper_id=peppers.current)


ACCOUNT = account()
ENDS = datetime.now(UTC) + timedelta(hours=1)
ROW = row_of(unmade(ACCOUNT).desired, stored(CURRENT), stored(RETIRING, expires_at=ENDS))


def written(api_key: str = CURRENT.secret, **changes: Any) -> dict[str, Any]:
    """The Secret as the API server gives it back; `changes` go into its metadata."""
    body = manifest(ACCOUNT, account_id=ACCOUNT_ID, url=URL, api_key=api_key)
    return {**body, "metadata": {**body["metadata"], "uid": "the Secret's own", "resourceVersion": "1", **changes}}


def facts(
    body: dict[str, Any] | None,
    *,
    resource: AccountResource = ACCOUNT,
    row: AccountRow | None = ROW,
    url: str = URL,
    peppers: Peppers = OLD,
) -> SecretFacts:
    secret = None if body is None else Secret.parse(body)
    # The comparison alone: it asks no store.
    matches = Provisioning(None, peppers).matches  # type: ignore[arg-type]
    return secret_facts(secret, resource, row, url=url, matches=matches)


def test_what_we_have_written_is_ours_holds_its_key_and_is_in_order() -> None:
    assert facts(written()) == SecretFacts(Ownership.OURS, CURRENT.prefix, in_order=True)


def test_no_secret_is_absent() -> None:
    assert facts(None) == ABSENT


def test_a_copy_under_another_name_is_not_the_accounts_secret() -> None:
    """Its labels and owner are copied with it."""
    assert facts(written(name="a-copy")) == ABSENT


@pytest.mark.parametrize(
    "owners",
    [
        None,
        [],
        [{"kind": "Account", "name": "acme", "uid": "another", "controller": True}],
        [{"kind": "Account", "name": "acme", "uid": str(UID), "controller": False}],
        [{"kind": "Account", "name": "acme", "uid": str(UID)}],
    ],
    ids=["no owners", "an empty list", "its predecessor's", "not its controller", "controller unsaid"],
)
def test_what_the_account_does_not_control_is_a_strangers(owners: Any) -> None:
    assert facts(written(ownerReferences=owners)) == SecretFacts(Ownership.STRANGER)


def test_a_strangers_secret_is_one_even_if_it_holds_our_key() -> None:
    found = facts(written(ownerReferences=[], labels={}))
    assert (found.ownership, found.held_prefix, found.in_order) == (Ownership.STRANGER, None, False)


def test_other_owners_beside_us_do_no_harm() -> None:
    other = {"kind": "Team", "name": "x", "uid": "another"}
    owners = [other, *written()["metadata"]["ownerReferences"]]
    assert facts(written(ownerReferences=owners)).ownership is Ownership.OURS


def test_a_retiring_key_is_held_as_well() -> None:
    assert facts(written(RETIRING.secret)).held_prefix == RETIRING.prefix


@pytest.mark.parametrize(
    "value",
    ["", "nonsense", UNKNOWN.secret, CURRENT.secret[:-1], CURRENT.secret + "\n", CURRENT.prefix],
    ids=["empty", "nonsense", "another's", "cut off", "with a line break", "only its prefix"],
)
def test_what_is_no_live_key_is_held_by_nobody(value: str) -> None:
    assert facts(written(value)).held_prefix is None


def test_a_key_with_the_prefix_of_a_live_one_is_not_that_one() -> None:
    """The digest decides: somebody may have written another secret behind a known prefix."""
    forged = replace(stored(UNKNOWN), prefix=CURRENT.prefix)
    row = row_of(unmade(ACCOUNT).desired, forged)
    assert facts(written(), row=row).held_prefix is None


@pytest.mark.parametrize("content", [None, {}, {"api-key": b64encode(b"\xff\xfe").decode()}, {"api-key": "%%%"}])
def test_a_secret_without_readable_content_is_ours_and_holds_nothing(content: Any) -> None:
    assert facts({**written(), "data": content}) == SecretFacts(Ownership.OURS, None, in_order=False)


def test_a_key_counts_as_long_as_its_pepper_is_known() -> None:
    held = [facts(written(), peppers=peppers).held_prefix for peppers in (OLD, BOTH, NEW)]
    assert held == [CURRENT.prefix, CURRENT.prefix, None]


def test_without_a_row_no_key_is_live_and_nothing_in_order() -> None:
    assert facts(written(), row=None) == SecretFacts(Ownership.OURS, None, in_order=False)


@pytest.mark.parametrize(
    "differing",
    [
        {"url": "http://elsewhere"},
        {"row": replace(ROW, id=43)},
        {"body": written(labels={})},
        {"body": written(labels={"app.kubernetes.io/managed-by": "luna-operator", "luna.dev/account": "another"})},
    ],
    ids=["another URL", "another account id", "no labels", "another's label"],
)
def test_anything_else_than_we_would_write_is_out_of_order_but_keeps_its_key(differing: dict[str, Any]) -> None:
    found = facts(differing.pop("body", written()), **differing)
    assert (found.ownership, found.held_prefix, found.in_order) == (Ownership.OURS, CURRENT.prefix, False)


def test_labels_of_others_are_left_to_them() -> None:
    labels = {**written()["metadata"]["labels"], "team": "acme"}
    assert facts({**written(labels=labels), "data": {**written()["data"], "more": ""}}).in_order


def test_neither_a_secret_nor_its_facts_show_the_key() -> None:
    shown = repr(Secret.parse(written())) + repr(facts(written())) + repr(ROW)
    assert CURRENT.secret not in shown
    assert CURRENT.secret.split("_")[2] not in shown
