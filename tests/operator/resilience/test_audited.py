"""What the operator changes is in the audit log under its name, once; what it only looks at is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from tests.operator.operating import Surroundings, eventually
from tests.operator.resilience.forked import ForkedOperator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.operator.resilience.kube_api import KubeApi

QUICK = {"sweep_s": 1, "usage_s": 1, "usage_max_age_s": 1}


def log_of(around: Surroundings) -> list[tuple[Any, ...]]:
    with psycopg.connect(around.database_url) as sql:
        return sql.execute("SELECT action, actor, before, after FROM audit_log ORDER BY at, id").fetchall()


def settled(api: KubeApi, namespace: str) -> bool:
    body = api.account(namespace, "audited")
    ready = {c["type"]: c["status"] for c in body.get("status", {}).get("conditions", [])}.get("Ready")
    return body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"] and ready is not None


def test_reconciled_changes_are_the_operators_and_sweeps_leave_nothing(
    around: Surroundings, namespace: str, api: KubeApi, tmp_path: Path
) -> None:
    api.create_account(namespace, "audited", {"quota": {"limit": 7}, "deletionPolicy": "Delete"})
    with ForkedOperator(around, tmp_path, **QUICK) as operator:
        eventually(lambda: settled(api, namespace), 120)
        api.edit_account(namespace, "audited", {"quota": {"limit": 9}})
        eventually(lambda: any(action == "account.limits" for action, *_ in log_of(around)), 120)
        eventually(lambda: settled(api, namespace), 120)
        operator.wait_swept(3, 120)
        seen = log_of(around)
        api.delete_account(namespace, "audited")
        eventually(lambda: log_of(around)[-1][0] == "account.deleted", 120)
    assert [action for action, *_ in seen] == ["account.created", "key.issued", "key.confirmed", "account.limits"]
    assert {actor for _, actor, *_ in log_of(around)} == {"operator"}
    assert seen[-1][2:] == ({"quota_limit": 7}, {"quota_limit": 9})
