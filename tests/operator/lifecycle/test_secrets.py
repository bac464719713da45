"""The Secret: its contents, its owner, and that Secrets of other owners are never touched."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from tests.operator.lifecycle.team import Team
from tests.operator.operating import eventually

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation

NAME = "acme-luna-key"


def test_a_secret_holds_key_account_and_address_and_belongs_to_its_account(
    installation: Installation, make: Make
) -> None:
    team = make().ready()
    account, secret = team.get(), team.secret()
    uid = account["metadata"]["uid"]
    assert secret.type == "Opaque"
    assert team.access.keys() == {"api-key", "account-id", "url"}
    assert (team.access["account-id"], team.access["url"]) == (str(team.id), installation.luna.url)
    [active] = team.status()["keys"]
    assert team.key.startswith(f"{active['prefix']}_")
    assert secret.metadata.labels == {"app.kubernetes.io/managed-by": "luna-operator", "luna.dev/account": uid}
    [owner] = secret.metadata.owner_references
    assert owner.to_dict() == {
        "api_version": "luna.dev/v1",
        "kind": "Account",
        "name": "acme",
        "uid": uid,
        "controller": True,
        "block_owner_deletion": True,
    }
    assert {entry.manager for entry in secret.metadata.managed_fields} == {"luna-operator"}


def test_a_rotated_secret_is_applied_by_our_field_manager_and_keeps_what_others_added(
    installation: Installation, make: Make
) -> None:
    team = make().ready()
    others = {"metadata": {"labels": {"team": "web"}, "annotations": {"reloader": "on"}}}
    installation.core.patch_namespaced_secret(NAME, team.namespace, others, field_manager="web")
    before = team.secret()
    team.patch({"apiKey": {"rotationRequestedAt": "2026-11-21T09:00:00Z"}}).ready()
    after = team.secret()
    assert after.metadata.uid == before.metadata.uid
    assert after.data["api-key"] != before.data["api-key"]
    assert after.metadata.labels["team"] == "web"
    assert after.metadata.annotations["reloader"] == "on"
    assert {(entry.manager, entry.operation) for entry in after.metadata.managed_fields} >= {
        ("luna-operator", "Apply"),
        ("web", "Update"),
    }


def strangers(namespace: str, owner_uid: str) -> dict[str, dict[str, Any]]:
    """Secrets under the name that an Account wants, each more similar to one of Luna's."""
    ours = {"app.kubernetes.io/managed-by": "luna-operator", "luna.dev/account": owner_uid}
    owner = {"apiVersion": "luna.dev/v1", "kind": "Account", "name": "other", "uid": owner_uid, "controller": True}
    return {
        "plain": {},
        "with our labels": {"labels": ours},
        "of another Account": {"labels": ours, "ownerReferences": [owner]},
    }


@pytest.mark.parametrize("kind", ["plain", "with our labels", "of another Account"])
def test_a_strangers_secret_is_left_alone_until_it_is_gone(installation: Installation, make: Make, kind: str) -> None:
    other = make(name="other").ready()
    content = {"password": b64encode(b"not yours").decode()}
    metadata = {"name": NAME, **strangers(other.namespace, other.get()["metadata"]["uid"])[kind]}
    installation.core.create_namespaced_secret(other.namespace, {"metadata": metadata, "data": content})
    team = Team(installation, other.namespace, "acme").create()
    before = team.secret()
    conflict = team.condition("KeyIssued", "False", "SecretConflict")
    assert f"'{NAME}'" in conflict["message"]
    assert "secretName" in conflict["message"]
    team.condition("Ready", "False", "SecretConflict")
    assert eventually(lambda: team.told()["SecretConflict"]) == "Warning"
    # The other steps are taken meanwhile, and later changes of them too.
    team.patch({"quota": {"limit": 9}}).condition("DatabaseSynced", "True")
    assert (team.row()["quota_limit"], team.cached()["quota_limit"]) == (9, "9")
    assert team.secret() == before
    installation.core.delete_namespaced_secret(NAME, team.namespace)
    team.ready()
    assert team.call().status_code == 200
    assert other.ready().call().status_code == 200


def test_a_strangers_secret_outlives_the_account_that_wanted_its_place(
    installation: Installation, make: Make, namespace: str
) -> None:
    installation.core.create_namespaced_secret(namespace, {"metadata": {"name": NAME}, "stringData": {"a": "b"}})
    team = make()
    team.condition("KeyIssued", "False", "SecretConflict")
    team.delete()
    team.gone()
    assert team.access == {"a": "b"}


def test_the_secret_goes_with_its_account(installation: Installation, make: Make) -> None:
    team = make().ready()
    team.delete()
    team.gone()

    def collected() -> bool:
        try:
            team.secret()
        except LookupError:
            return True
        return False

    eventually(collected)
