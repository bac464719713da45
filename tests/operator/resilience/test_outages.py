"""Postgres, Redis or the API server away amid changes: the operator lives, says what is missing, and catches up."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import LUNA_CRDS, programs
from tests.operator.operating import HOST, Operator, eventually
from tests.operator.resilience.calls import call
from tests.operator.resilience.exact import Exactness
from tests.operator.resilience.forked import ForkedOperator
from tests.operator.resilience.kube_api import KubeApi
from tests.operator.resilience.logs import errors
from tests.operator.resilience.stores import OwnStores, own_stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.kubernetes import Kubernetes
    from tests.operator.resilience.history import History

# Servers are killed and started again, with every pause that clients make: minutes.
pytestmark = pytest.mark.slow


@pytest.fixture
def stores(luna_cluster: Kubernetes, tmp_path: Path) -> Iterator[OwnStores]:
    with own_stores(luna_cluster, tmp_path) as made:
        yield made


@pytest.fixture
def exact(api: KubeApi, stores: OwnStores, history: History) -> Exactness:
    return Exactness(api, stores.around, history)


@pytest.fixture
def operator(stores: OwnStores, tmp_path: Path) -> Iterator[Operator]:
    """It lives from the beginning to the end, and writes of no mistake of its own."""
    with ForkedOperator(stores.around, tmp_path, sweep_s=2, usage_s=1, usage_max_age_s=1) as running:
        running.wait_leading()
        yield running
        assert running.process.poll() is None
        assert running.metric("luna_operator_reconciles_total", result="error") == 0
    assert errors(tmp_path) == []


def alive(operator: Operator) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{operator.health_port}/healthz", timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def ready(api: KubeApi, namespace: str, name: str) -> tuple[str, str]:
    """Status and reason of the condition Ready."""
    return condition(api.account(namespace, name), "Ready")


def condition(account: dict[str, Any], kind: str) -> tuple[str, str]:
    found = account.get("status", {}).get("conditions") or ()
    return next(((c["status"], c["reason"]) for c in found if c["type"] == kind), ("absent", ""))


def settled_and_amid(api: KubeApi, namespace: str, exact: Exactness, spec: dict[str, Any]) -> dict[str, Any]:
    """Ten Accounts that are as specified, and five on their way; returns the first."""
    for number in range(10):
        api.create_account(namespace, f"settled-{number}", spec)
    eventually(exact.require, 60)
    first = api.account(namespace, "settled-0")
    for number in range(5):
        api.create_account(namespace, f"amid-{number}", {})
    return first


def test_without_postgres_a_change_waits_and_says_so(
    stores: OwnStores, operator: Operator, api: KubeApi, namespace: str, exact: Exactness
) -> None:
    before = settled_and_amid(api, namespace, exact, {})
    stores.postgres.kill()
    api.create_account(namespace, "new", {})
    api.edit_account(namespace, "settled-1", {"quota": {"limit": 7}})
    for name in ("new", "settled-1"):
        eventually(lambda name=name: ready(api, namespace, name) == ("False", "DatabaseUnavailable"))
    eventually(lambda: not operator.ready())
    # The longer it lasts, the same.
    time.sleep(5)
    api.create_account(namespace, "late", {})
    eventually(lambda: ready(api, namespace, "late") == ("False", "DatabaseUnavailable"))
    assert condition(api.account(namespace, "late"), "DatabaseSynced")[1] == "DatabaseUnavailable"
    # What was known of an account is no less true.
    waiting = api.account(namespace, "settled-1")["status"]
    assert waiting["accountId"] > 0
    assert len(waiting["keys"]) == 1
    assert api.account(namespace, "settled-0") == before
    assert alive(operator)
    stores.postgres.start()
    eventually(exact.require, 60)
    assert operator.ready()
    assert alive(operator)


def test_without_redis_a_change_waits_and_says_so(
    stores: OwnStores, operator: Operator, api: KubeApi, namespace: str, exact: Exactness, history: History
) -> None:
    before = settled_and_amid(api, namespace, exact, {"deletionPolicy": "Delete"})
    stores.valkey.kill()
    api.create_account(namespace, "new", {})
    api.edit_account(namespace, "settled-1", {"quota": {"limit": 7}})
    for name in ("new", "settled-1"):
        eventually(lambda name=name: ready(api, namespace, name) == ("False", "RedisUnavailable"))
    assert condition(api.account(namespace, "new"), "DatabaseSynced") == ("True", "Synced")
    assert condition(api.account(namespace, "new"), "QuotaSynced") == ("False", "RedisUnavailable")
    history.deleted(api.delete_account(namespace, "settled-2"))
    time.sleep(5)
    assert api.account(namespace, "settled-0") == before
    # Its keys in Redis cannot be taken away yet: it stays.
    assert "deletionTimestamp" in api.account(namespace, "settled-2")["metadata"]
    assert alive(operator)
    # Postgres answers, and so the operator works.
    assert operator.ready()
    stores.valkey.start()
    eventually(exact.require, 60)


def test_without_either_store_it_waits_and_a_redis_that_lost_everything_is_filled(
    stores: OwnStores, operator: Operator, api: KubeApi, namespace: str, exact: Exactness, tmp_path: Path
) -> None:
    for number in range(10):
        api.create_account(namespace, f"settled-{number}", {})
    eventually(exact.require, 60)
    assert call(stores.around, api, api.account(namespace, "settled-3"), 7).admitted
    eventually(exact.require)
    stores.valkey.kill()
    stores.postgres.kill()
    shutil.rmtree(tmp_path / "valkey" / "appendonlydir")
    api.create_account(namespace, "new", {})
    eventually(lambda: ready(api, namespace, "new") == ("False", "DatabaseUnavailable"))
    assert alive(operator)
    stores.postgres.start()
    stores.valkey.start()
    eventually(exact.require, 60)
    # What was used stays used.
    assert call(stores.around, api, api.account(namespace, "settled-3"), 494).outcome == "quota"


def test_without_the_api_server_it_waits_and_hears_of_everything_afterwards(tmp_path: Path, history: History) -> None:
    with (
        Cluster(tmp_path / "cluster", programs(), LUNA_CRDS) as cluster,
        own_stores(cluster, tmp_path) as stores,
        # No sweep helps here: what changes is heard by the watch, or not at all.
        ForkedOperator(stores.around, tmp_path, sweep_s=600) as operator,
    ):
        api = KubeApi(cluster.kubeconfig)
        exact = Exactness(api, stores.around, history)
        operator.wait_swept()
        for number in range(30):
            api.create_account("default", f"team-{number}", {"deletionPolicy": "Delete"})
        with no_api_server(cluster):
            for _ in range(5):
                time.sleep(1)
                assert alive(operator)
                assert operator.ready()
        for number in range(0, 30, 2):
            api.edit_account("default", f"team-{number}", {"quota": {"limit": number}})
        history.deleted(api.delete_account("default", "team-7"))
        api.create_account("default", "late", {})
        eventually(exact.require, 60)
        assert operator.metric("luna_operator_sweep_seconds_count") == 1
        assert operator.metric("luna_operator_reconciles_total", result="error") == 0
        assert operator.stop() == 0


@contextmanager
def no_api_server(cluster: Cluster) -> Iterator[None]:
    """Kill it; afterwards start it again on its port, with what etcd kept."""
    process = cluster._running["kube-apiserver"]
    _, *flags = psutil.Process(process.pid).cmdline()
    process.kill()
    yield
    cluster._launch("kube-apiserver", *flags)
    eventually(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok", 60)
