"""What happens to Luna while it is called: pods that go, by hand or by accident, and what has to come back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.cluster.node.luna import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.kubernetes import Kubernetes

# Of which pods: labels of the chart.
WORKER, OPERATOR, VALKEY, POSTGRES = "ray-worker", "operator", "valkey", "postgres"


@dataclass(frozen=True)
class Event:
    """One thing that happens.

    Attributes:
        name: as the report shows it.
        component: whose pod goes.
        force: whether the pod is killed at once (a node that dies), or asked to end (a drain).
        within_s: how long pods may need to be Ready again.
    """

    name: str
    component: str
    force: bool = False
    within_s: float = 240.0

    def happen(self, cluster: Kubernetes) -> None:
        """Delete the oldest pod of the component."""
        pod = _pods(cluster, self.component)[0]["metadata"]["name"]
        how = ("--grace-period=0", "--force") if self.force else ()
        cluster.kubectl("delete", "pod", pod, "--namespace", NAMESPACE, "--wait=false", *how)

    def wait_until_it_is_over(self, cluster: Kubernetes, before: int) -> None:
        """Wait until the component has as many Ready pods as `before`, none of them ending.

        Raises:
            TimeoutError: it has not.
        """
        until(
            lambda: ready(cluster, self.component) == before, self.within_s, f"{before} Ready pods of {self.component}"
        )


EVENTS = (
    Event("operator's pod deleted", OPERATOR),
    Event("worker deleted", WORKER),
    Event("worker killed", WORKER, force=True),
    Event("Valkey's pod deleted", VALKEY),
    Event("Postgres' pod deleted", POSTGRES),
)


def ready(cluster: Kubernetes, component: str) -> int:
    """Return how many pods of a component are Ready; -1 while one of them ends."""
    pods = _pods(cluster, component)
    if any("deletionTimestamp" in pod["metadata"] for pod in pods):
        return -1
    return sum(
        any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ())) for pod in pods
    )


def until(holds: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not within `within_s`.
    """
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"No {what} within {within_s:.0f} s")
        time.sleep(1.0)


def _pods(cluster: Kubernetes, component: str) -> list[dict[str, Any]]:
    selector = f"app.kubernetes.io/component={component}"
    pods: list[dict[str, Any]] = cluster.get("pods", "--namespace", NAMESPACE, "--selector", selector)["items"]
    return sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])
