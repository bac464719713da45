"""One event under a constant load: what became of the calls, and what the ledger says of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.cluster.node import luna
from tests.cluster_node import ledger
from tests.cluster_node.load import Call, Load
from tests.cluster_node.pods import HERE, WORKER, ready, serves, until
from tests.cluster_node.report import Row

if TYPE_CHECKING:
    from tests.cluster.kubernetes import Kubernetes
    from tests.cluster_node.events import Event

# Before the event, and after it is over: an outage at its edges would be seen.
_CALM_S = 8.0
_ANSWERS_AGAIN_S = 120.0
# What the event before left to do.
_SETTLED_S = 300.0


def make_account(cluster: Kubernetes, name: str) -> tuple[str, str]:
    """Make an Account that no load exhausts; return its id and key."""
    spec = {"quota": {"limit": 1_000_000}, "rateLimit": {"requestsPerSecond": 1000, "burst": 2000}}
    meta = {"name": name, "namespace": luna.NAMESPACE}
    cluster.apply({"apiVersion": "luna.dev/v1", "kind": "Account", "metadata": meta, "spec": spec})
    cluster.kubectl("wait", f"account/{name}", "--for=condition=Ready", "--timeout=60s", *HERE)
    return luna.key(cluster, name)


def measure(cluster: Kubernetes, event: Event, account: str) -> tuple[Row, list[Call]]:
    """Let an event happen to a release that serves, while a fresh Account calls it.

    Raises:
        TimeoutError: it is not over in time, or calls are not answered afterwards.
    """
    until(lambda: serves(cluster), _SETTLED_S, "replicas for all deployments before the event")
    workers, address = ready(cluster, WORKER), luna.service_address(cluster)
    account_id, api_key = make_account(cluster, account)
    with Load(address, account_id, api_key) as load:
        time.sleep(_CALM_S)
        is_over = event.happen(cluster, account)
        until(is_over, event.within_s, f"end of: {event.name}")
        until(lambda: _answers_again(load.calls), _ANSWERS_AGAIN_S, "answers without a gap")
    calls = load.calls
    answered = sum(call.outcome == "answered" for call in calls)
    # A key that was rotated works for a day more.
    return Row.of(event.name, workers, calls, ledger.settled(address, api_key, answered)), calls


def _answers_again(calls: list[Call]) -> bool:
    """Whether all calls of the last seconds were answered."""
    last = [call for call in calls if call.ended > time.monotonic() - _CALM_S]
    return len(last) > _CALM_S and all(call.outcome == "answered" for call in last)
