"""Claims about Luna when pods go while it is called: every answer is right and debited once, nothing hangs.

Each event has an Account of its own. The run writes docs/reliability.md.
"""

import datetime as dt
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.folders import assets_folder
from tests.cluster.kubernetes import Kubernetes
from tests.cluster.node import __main__ as command
from tests.cluster.node import luna, node
from tests.cluster.node.layout import Layout
from tests.cluster_node import report
from tests.cluster_node.events import ONE_WORKER, TWO_WORKERS, Event
from tests.cluster_node.load import PATIENCE_S, Load
from tests.cluster_node.measuring import make_account, measure
from tests.cluster_node.pods import HERE, OPERATOR, serves, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
_TWO_WORKERS = ("--values", str(Path(__file__).parent / "two-workers.yaml"))
# Volumes of a StatefulSet do not change: the stores keep those that they had with two workers.
_ONE_WORKER = [f"--set={store}.persistence.enabled=true" for store in ("postgres", "valkey")]
TIMES: dict[str, float] = {}
ROWS: list[report.Row] = []
LEFT: list[str] = []


@pytest.fixture(scope="module")
def fresh_node() -> Iterator[Kubernetes]:
    """A node of its own, fresh, with Luna on two workers; it ends after the module, and the report is written."""
    layout = Layout(assets_folder())
    assert command.main(["down"]) == 0
    begun = time.monotonic()
    assert command.main(["up", *_TWO_WORKERS]) == 0
    TIMES["cluster-up with two workers, warm caches"] = time.monotonic() - begun
    yield node.kubernetes(layout)
    begun = time.monotonic()
    assert command.main(["down"]) == 0
    TIMES["cluster-down"] = time.monotonic() - begun
    report.write(ROOT / "docs" / "reliability.md", machine(), TIMES, ROWS, LEFT)


@pytest.fixture(scope="module")
def one_worker(fresh_node: Kubernetes) -> Kubernetes:
    """The same node with the values for development: one of everything, no state of Ray in Valkey."""
    begun = time.monotonic()
    assert command.main(["up", *_ONE_WORKER]) == 0
    TIMES["from two workers to one, a new Ray cluster"] = time.monotonic() - begun
    return fresh_node


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[2]
    return (
        f"{dt.datetime.now(dt.UTC):%d %B %Y}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"load of the last 15 minutes {load:.1f}."
    )


def check(cluster: Kubernetes, event: Event, account: str) -> None:
    row, calls = measure(cluster, event, account)
    ROWS.append(row)
    assert row.ledger_is_right, row
    hung = [call for call in calls if call.ended - call.begun >= PATIENCE_S]
    assert hung == [], json.dumps([call.detail for call in hung[:3]])
    if not event.may_lose_calls:
        assert row.lost == 0, [call.detail for call in calls if call.outcome == "lost"][:3]


def test_the_charts_own_test_passes(fresh_node):
    begun = time.monotonic()
    assert "Succeeded" in fresh_node.helm("test", luna.RELEASE, *HERE)
    TIMES["helm test"] = time.monotonic() - begun


def test_a_new_account_answers_its_first_call_within_seconds(fresh_node):
    address = luna.service_address(fresh_node)
    begun = time.monotonic()
    account_id, api_key = make_account(fresh_node, "first")
    with Load(address, account_id, api_key, threads=1):
        took = time.monotonic() - begun
    TIMES["Account to first call"] = took
    assert took < 10


@pytest.mark.parametrize("event", TWO_WORKERS, ids=lambda event: event.name)
def test_two_workers_lose_no_call_and_the_ledger_equals_the_answers(fresh_node, event: Event):
    check(fresh_node, event, f"two-{TWO_WORKERS.index(event)}")


@pytest.mark.parametrize("event", ONE_WORKER, ids=lambda event: event.name)
def test_one_worker_comes_back_and_the_ledger_equals_the_answers(one_worker, event: Event):
    check(one_worker, event, f"one-{ONE_WORKER.index(event)}")


def test_uninstalling_ends_all_pods_and_leaves_what_cannot_be_made_again(one_worker):
    until(lambda: serves(one_worker), 300, "release that serves")
    begun = time.monotonic()
    luna.uninstall(one_worker)
    until(lambda: one_worker.get("pods", *HERE)["items"] == [], 400, "namespace without pods")
    TIMES["uninstall, until the last pod is gone"] = time.monotonic() - begun
    kinds = "secrets,persistentvolumeclaims,accounts.luna.dev,rayclusters.ray.io,services,jobs"
    LEFT.extend(one_worker.kubectl("get", kinds, *HERE, "--output", "name").split())
    # The peppers, the passwords of the stores, whose volumes stay, and the keys of teams.
    assert not [name for name in LEFT if name.split("/")[0] in ("raycluster.ray.io", "service", "job.batch")]
    assert one_worker.get("deployments", *HERE, "--selector", f"app.kubernetes.io/component={OPERATOR}")["items"] == []
