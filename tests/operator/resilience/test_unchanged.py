"""A restarted operator writes nothing if nothing changed, in any state of the Accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.operator.operating import Operator, Surroundings, eventually
from tests.operator.resilience.calls import call
from tests.operator.resilience.forked import ForkedOperator
from tests.operator.resilience.kube_api import KubeApi

if TYPE_CHECKING:
    from pathlib import Path

    from tests.operator.resilience.exact import Exactness
    from tests.operator.resilience.history import History

QUICK = {"sweep_s": 1, "usage_s": 1, "usage_max_age_s": 1}
READ = {"get", "list"}


def in_every_state(api: KubeApi, namespace: str, tiers: list[str], exact: Exactness, history: History) -> None:
    """Create Accounts in every state that an Account can rest in, and Accounts that were deleted."""
    coming = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    stranger = {"metadata": {"name": "stranger"}, "type": "Opaque", "data": {"password": "c2VjcmV0"}}
    api.request("POST", f"/api/v1/namespaces/{namespace}/secrets", stranger)
    specs: dict[str, dict[str, Any]] = {
        "plain": {},
        "suspended": {"suspended": True},
        "expired": {"expiresAt": "2026-02-03T04:05:06.789Z"},
        "expiring": {"expiresAt": coming},
        "tiered": {"tier": tiers[1], "quota": {"window": "Day"}, "rateLimit": {"requestsPerSecond": 0.25}},
        "rotated": {"apiKey": {"rotationRequestedAt": "2026-11-01T00:00:00+02:00", "rotationInterval": "0s"}},
        "nothing-left": {"quota": {"limit": 7}},
        "busy": {"quota": {"limit": 1000}, "limits": {"historyDays": 3}, "allowedModels": ["b", "a"]},
        "no-quota": {"quota": {"limit": 0}},
        "members": {"members": [{"email": "ada@example.com", "role": "admin"}, {"email": "alan@example.com"}]},
        "tier-missing": {"tier": "nobody-has-it"},
        "secret-conflict": {"apiKey": {"secretName": "stranger"}},
        "deleted": {"deletionPolicy": "Delete"},
        "retained": {},
    }
    for name, spec in specs.items():
        api.create_account(namespace, name, spec)
    exact.obstacles = {(namespace, "tier-missing"): "TierNotFound", (namespace, "secret-conflict"): "SecretConflict"}


def writes(operator: Operator) -> dict[str, int]:
    return {kind: count for kind, count in operator.requests().items() if kind.split()[0] not in READ}


def versions(api: KubeApi, namespace: str) -> dict[str, str]:
    """Versions of all that the operator may write here; elsewhere, what other tests left is being removed."""
    kinds = ("luna.dev/v1/accounts", "luna.dev/v1/tiers", "events.k8s.io/v1/events")
    found = [item for kind in kinds for item in api.request("GET", f"/apis/{kind}")["items"]] + api.secrets()
    found = [item for item in found if item["metadata"].get("namespace", namespace) == namespace]
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in found}


def stored(around: Surroundings) -> list[tuple[Any, ...]]:
    """Every account and key with the transaction that wrote it, and how often its Redis keys were rebuilt."""
    with psycopg.connect(around.database_url) as connection:
        accounts = connection.execute("SELECT 'account', id, xmin::text, cache_epoch FROM accounts ORDER BY id")
        keys = connection.execute("SELECT 'key', id, xmin::text, 0 FROM api_keys ORDER BY id")
        members = connection.execute("SELECT email, account_id, xmin::text, 0 FROM memberships ORDER BY 2, 1")
        return accounts.fetchall() + keys.fetchall() + members.fetchall()


@pytest.fixture
def settled(
    around: Surroundings,
    namespace: str,
    tiers: list[str],
    api: KubeApi,
    exact: Exactness,
    history: History,
    tmp_path: Path,
) -> None:
    """Accounts in every state, with some usage reported, at rest; the operator has ended."""
    in_every_state(api, namespace, tiers, exact, history)
    with ForkedOperator(around, tmp_path, **QUICK) as operator:
        eventually(exact.require, 60)
        for name in ("deleted", "retained"):
            history.deleted(api.delete_account(namespace, name))
        rotated = {"apiKey": {"rotationRequestedAt": "2026-11-21T00:00:00Z"}}
        history.rotations[api.edit_account(namespace, "rotated", rotated)["metadata"]["uid"]] += 1
        for name, units in (("nothing-left", 7), ("busy", 501), ("tiered", 3)):
            assert call(around, api, api.account(namespace, name), units).admitted
        eventually(exact.require, 60)
        operator.wait_swept(2)
        assert api.account(namespace, "busy")["status"]["usage"]["used"] == 501
        operator.stop()


def test_restarted_with_nothing_changed_it_writes_nothing(
    settled: None, around: Surroundings, namespace: str, api: KubeApi, exact: Exactness, tmp_path: Path
) -> None:
    before = versions(api, namespace), stored(around)
    for end in (Operator.kill, Operator.stop):
        with ForkedOperator(around, tmp_path, **QUICK) as operator:
            operator.wait_swept(3)
            eventually(lambda: operator.metric("luna_operator_reconciles_total") > 0)
            assert writes(operator) == {}
            assert operator.metric("luna_operator_repairs_total") == 0
            # Neither did Kopf, or settlement, of whom the operator's own counters know nothing.
            assert (versions(api, namespace), stored(around)) == before
            end(operator)
    assert exact.differences() == []


def test_one_change_is_all_that_a_restarted_operator_writes(
    settled: None, around: Surroundings, namespace: str, api: KubeApi, exact: Exactness, tmp_path: Path
) -> None:
    before = versions(api, namespace)
    edited = api.edit_account(namespace, "plain", {"displayName": "Changed while nobody looked"})
    with ForkedOperator(around, tmp_path, **QUICK) as operator:
        eventually(exact.require)
        operator.wait_swept(2)
        assert writes(operator) == {"patch accounts/status 200": 1}
        after = versions(api, namespace)
    assert {uid for uid in after if after[uid] != before.get(uid)} == {edited["metadata"]["uid"]}
