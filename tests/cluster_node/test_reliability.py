"""Claims about Luna when pods go while it is called: every answer is right and debited once, nothing hangs.

Each event has an account of its own. The run writes docs/reliability.md.
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
from tests.cluster_node import ledger, report
from tests.cluster_node.events import EVENTS, WORKER, Event, ready, until
from tests.cluster_node.load import PATIENCE_S, Call, Load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
# Before the event, and after it is over: an outage at its edges would be seen.
_CALM_S = 8.0
# Of what keeps its data on a volume: the node has some.
_PERSISTENT = [f"--set={store}.persistence.enabled=true" for store in ("postgres", "valkey")]
TIMES: dict[str, float] = {}
ROWS: list[report.Row] = []


@pytest.fixture(scope="module")
def luna_on_a_node() -> Iterator[Kubernetes]:
    """A node of its own, fresh, with Luna; it ends after the module. At the end the report is written."""
    layout = Layout(assets_folder())
    assert command.main(["down"]) == 0
    begun = time.monotonic()
    assert command.main(["up", *_PERSISTENT]) == 0
    TIMES["cluster-up, warm caches"] = time.monotonic() - begun
    yield node.kubernetes(layout)
    begun = time.monotonic()
    assert command.main(["down"]) == 0
    TIMES["cluster-down"] = time.monotonic() - begun
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{dt.datetime.now(dt.UTC):%d %B %Y}, {os.cpu_count()} cores, {memory:.0f} GiB."
    report.write(ROOT / "docs" / "reliability.md", machine, TIMES, ROWS)


def make_account(cluster: Kubernetes, name: str) -> tuple[str, str]:
    spec = {"quota": {"limit": 1_000_000}, "rateLimit": {"requestsPerSecond": 1000, "burst": 2000}}
    meta = {"name": name, "namespace": luna.NAMESPACE}
    cluster.apply({"apiVersion": "luna.dev/v1", "kind": "Account", "metadata": meta, "spec": spec})
    cluster.kubectl("wait", f"account/{name}", "--for=condition=Ready", "--timeout=60s", "--namespace", luna.NAMESPACE)
    return luna.key(cluster, name)


def test_the_charts_own_test_passes(luna_on_a_node):
    begun = time.monotonic()
    assert "Succeeded" in luna_on_a_node.helm("test", luna.RELEASE, "--namespace", luna.NAMESPACE)
    TIMES["helm test"] = time.monotonic() - begun


def test_a_new_account_answers_its_first_call_within_seconds(luna_on_a_node):
    address = luna.service_address(luna_on_a_node)
    begun = time.monotonic()
    account_id, api_key = make_account(luna_on_a_node, "first")
    with Load(address, account_id, api_key, threads=1):
        took = time.monotonic() - begun
    TIMES["Account to first call"] = took
    assert took < 10


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_what_goes_comes_back_and_the_ledger_equals_the_answers(luna_on_a_node, event: Event):
    cluster, address = luna_on_a_node, luna.service_address(luna_on_a_node)
    workers = ready(cluster, WORKER)
    account_id, api_key = make_account(cluster, f"event-{EVENTS.index(event)}")
    before = ready(cluster, event.component)
    assert before >= 1

    with Load(address, account_id, api_key) as load:
        time.sleep(_CALM_S)
        event.happen(cluster)
        event.wait_until_it_is_over(cluster, before)
        until(lambda: answers_again(load.calls), 120, "answers without a gap")

    calls = load.calls
    answered = sum(call.outcome == "answered" for call in calls)
    row = report.Row.of(event.name, workers, calls, ledger.settled(address, api_key, answered))
    ROWS.append(row)
    assert row.ledger_is_right, row
    hung = [call for call in calls if call.ended - call.begun >= PATIENCE_S]
    assert hung == [], json.dumps([call.detail for call in hung[:3]])
    if event.component != WORKER or workers > 1:
        assert row.lost == 0, [call.detail for call in calls if call.outcome == "lost"][:3]


def answers_again(calls: list[Call]) -> bool:
    """Whether all calls of the last seconds were answered."""
    last = [call for call in calls if call.ended > time.monotonic() - _CALM_S]
    return len(last) > _CALM_S and all(call.outcome == "answered" for call in last)
