"""What a team may write in its own namespace harms no other team, however absurd it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from tests.operator.operating import Operator, Surroundings, eventually
from tests.operator.resilience.kube_api import KubeApi, account_path, secret_path

if TYPE_CHECKING:
    from pathlib import Path

QUICK = {"sweep_s": 1, "usage_s": 1, "usage_max_age_s": 1}


def condition(api: KubeApi, namespace: str, name: str, kind: str = "Ready") -> dict[str, Any]:
    found = api.account(namespace, name).get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind), {"status": "absent"})


def ready(api: KubeApi, namespace: str, name: str) -> bool:
    return condition(api, namespace, name)["status"] == "True"


def keys(around: Surroundings) -> int:
    with psycopg.connect(around.database_url) as connection:
        return connection.execute("SELECT count(*) FROM api_keys").fetchone()[0]


def test_a_forged_report_of_usage_stops_nobody(
    around: Surroundings, api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    with Operator(around, tmp_path, **QUICK).wait_leading() as operator:
        api.create_account(namespace, "forger", {})
        eventually(lambda: ready(api, namespace, "forger"))
        status = account_path(namespace, "forger", "/status")
        for number, as_of in enumerate(("0000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z")):
            api.merge(status, {"status": {"usage": {"used": 1, "asOf": as_of}}})
            operator.wait_swept(2)
            other = f"other-{number}"
            api.create_account(namespace, other, {})
            eventually(lambda other=other: ready(api, namespace, other))
            eventually(lambda: api.account(namespace, "forger")["status"]["usage"]["used"] == 0)


def test_a_forged_account_id_holds_up_no_deletion(
    around: Surroundings, api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    with Operator(around, tmp_path, **QUICK).wait_leading():
        for name, number in (("large", 2**40), ("negative", -1)):
            api.create_account(namespace, name, {"tier": "none", "deletionPolicy": "Delete"})
            eventually(lambda name=name: condition(api, namespace, name).get("reason") == "TierNotFound")
            api.merge(account_path(namespace, name, "/status"), {"status": {"accountId": number}})
            api.delete_account(namespace, name)
        eventually(lambda: not api.accounts(), 15)


def test_a_secret_that_may_not_be_written_is_told_and_piles_up_no_keys(
    around: Surroundings, api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    path = secret_path(namespace, "fixed-luna-key")
    with Operator(around, tmp_path, **QUICK).wait_leading() as operator:
        api.create_account(namespace, "fixed", {})
        eventually(lambda: ready(api, namespace, "fixed"))
        api.merge(path, {"immutable": True})
        api.edit_account(namespace, "fixed", {"apiKey": {"rotationRequestedAt": "2026-11-21T00:00:00Z"}})
        eventually(lambda: condition(api, namespace, "fixed").get("reason") == "SecretRefused")
        told = condition(api, namespace, "fixed", "KeyIssued")
        assert told["reason"] == "SecretRefused"
        assert "field is immutable" in told["message"]
        operator.wait_swept(5)
        eventually(lambda: keys(around) == 1)
        api.request("DELETE", path)
        eventually(lambda: ready(api, namespace, "fixed"))
        assert keys(around) == 2


def test_the_longest_names_have_events(around: Surroundings, api: KubeApi, namespace: str, tmp_path: Path) -> None:
    # The name of an Event is cut from the Account's.
    names = [f"{'a' * 199}-{'b' * 30}", f"{'a' * 198}--{'b' * 30}", f"{'a' * 199}.{'c' * 44}"]
    with Operator(around, tmp_path, **QUICK).wait_leading() as operator:
        for name in names:
            api.create_account(namespace, name, {})
        for name in names:
            eventually(lambda name=name: ready(api, namespace, name))
        eventually(lambda: operator.requests().get("create events 201") == len(names))
        assert "create events 422" not in operator.requests()
