"""The pods of a release on the node, and whether what they are made for works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.cluster.kubernetes import CommandFailedError
from tests.cluster.node import luna

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.kubernetes import Kubernetes

# Labels of the chart.
HEAD, WORKER, OPERATOR, VALKEY, POSTGRES = "ray-head", "ray-worker", "operator", "valkey", "postgres"
HERE = ("--namespace", luna.NAMESPACE)


def pods(cluster: Kubernetes, component: str) -> list[dict[str, Any]]:
    """Return the pods of a component, the oldest first."""
    found = cluster.get("pods", *HERE, "--selector", f"app.kubernetes.io/component={component}")["items"]
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def ready(cluster: Kubernetes, component: str) -> int:
    """Return how many pods of a component are Ready; -1 while one of them ends."""
    found = pods(cluster, component)
    if any("deletionTimestamp" in pod["metadata"] for pod in found):
        return -1
    return sum(
        any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
        for pod in found
    )


def replicas(cluster: Kubernetes, pod: str) -> int:
    """Return how many replicas of Serve run in a worker."""
    count = "grep --files-with-matches 'Serve[R]eplica' /proc/[0-9]*/cmdline 2>/dev/null | wc -l"
    return int(cluster.kubectl("exec", pod, *HERE, "--container", "ray-worker", "--", "bash", "-c", count) or 0)


def serves(cluster: Kubernetes) -> bool:
    """Whether the release is Ready, and Serve has all replicas that it wants."""
    if luna.not_ready(cluster):
        return False
    try:
        status = cluster.get("rayservice", luna.RELEASE, *HERE)["status"]
    except CommandFailedError:
        return False
    applications = status.get("activeServiceStatus", {}).get("applicationStatuses", {})
    deployments = [
        deployment["status"]
        for application in applications.values()
        for deployment in application.get("serveDeploymentStatuses", {}).values()
    ]
    running = [application["status"] == "RUNNING" for application in applications.values()]
    return bool(running) and all(running) and set(deployments) == {"HEALTHY"}


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
