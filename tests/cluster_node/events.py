"""What happens to Luna while it is called: pods that go, keys that change, upgrades. Each says when it is over."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.cluster.node import luna
from tests.cluster_node.pods import HEAD, HERE, OPERATOR, POSTGRES, VALKEY, WORKER, pods, ready, replicas, serves, until

if TYPE_CHECKING:
    from tests.cluster.kubernetes import Kubernetes

# Starts something; what it returns says whether it is over.
Happening = Callable[["Kubernetes", str], Callable[[], bool]]
_BEGINS_S = 60.0


@dataclass(frozen=True)
class Event:
    """One thing that happens.

    Attributes:
        name: as the report shows it.
        happen: what is done, to a cluster and the Account that is called.
        may_lose_calls: whether no other pod can answer meanwhile.
        within_s: how long it may take.
    """

    name: str
    happen: Happening
    may_lose_calls: bool = False
    within_s: float = 480.0


def deleted(component: str, *, force: bool = False) -> Happening:
    """The oldest pod of a component is asked to end, or killed at once, as on a node that dies."""
    how = ("--grace-period=0", "--force") if force else ()

    def delete(cluster: Kubernetes, pod: str) -> None:
        cluster.kubectl("delete", "pod", pod, *HERE, "--wait=false", *how)

    return partial(_pod_goes, component, delete)


def _evict(cluster: Kubernetes, pod: str) -> None:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": luna.NAMESPACE}}
    path = f"/api/v1/namespaces/{luna.NAMESPACE}/pods/{pod}/eviction"
    cluster.kubectl("create", "--raw", path, "--filename", "-", input=json.dumps(eviction))


def _pod_goes(
    component: str, end: Callable[[Kubernetes, str], object], cluster: Kubernetes, _account: str
) -> Callable[[], bool]:
    before = pods(cluster, component)
    if component == WORKER:
        before.sort(key=lambda pod: replicas(cluster, pod["metadata"]["name"]), reverse=True)
    gone = before[0]["metadata"]["name"]
    end(cluster, gone)

    def is_over() -> bool:
        names = [pod["metadata"]["name"] for pod in pods(cluster, component)]
        return gone not in names and ready(cluster, component) == len(before) and serves(cluster)

    # A store's pod keeps its name.
    if component in (VALKEY, POSTGRES):
        uid = before[0]["metadata"]["uid"]
        return lambda: pods(cluster, component)[0]["metadata"]["uid"] != uid and ready(cluster, component) == 1
    return is_over


def _key_rotated(cluster: Kubernetes, account: str) -> Callable[[], bool]:
    before = luna.key(cluster, account)
    now = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    patch = json.dumps({"spec": {"apiKey": {"rotationRequestedAt": now}}})
    cluster.kubectl("patch", "account", account, *HERE, "--type=merge", "--patch", patch)
    return lambda: luna.key(cluster, account) != before


def _secret_deleted(cluster: Kubernetes, account: str) -> Callable[[], bool]:
    name = luna.key_secret(account)
    cluster.kubectl("delete", "secret", name, *HERE)
    return lambda: bool(cluster.kubectl("get", "secret", name, *HERE, "--ignore-not-found"))


def _upgraded(cluster: Kubernetes, *options: str) -> None:
    cluster.helm("upgrade", luna.RELEASE, luna.CHART, *HERE, "--reuse-values", *options)


def _settings_changed(cluster: Kubernetes, _account: str) -> Callable[[], bool]:
    _upgraded(cluster, "--set=serving.settings.log.level=WARNING")
    # Serve starts all replicas again, and KubeRay looks every few seconds.
    until(lambda: not serves(cluster), _BEGINS_S, "change of the settings")
    return lambda: serves(cluster)


def _new_ray_cluster(cluster: Kubernetes, _account: str) -> Callable[[], bool]:
    def names() -> list[str]:
        return cluster.kubectl("get", "rayclusters.ray.io", *HERE, "--output", "name").split()

    before = names()
    _upgraded(cluster, f"--set-string=serving.podAnnotations.rolled={dt.datetime.now(dt.UTC):%H%M%S}")
    return lambda: len(after := names()) == 1 and after != before and serves(cluster)


def scaled(workers: int) -> Happening:
    """Another number of workers is asked for."""

    def happen(cluster: Kubernetes, _account: str) -> Callable[[], bool]:
        _upgraded(cluster, *(f"--set=serving.workers.cpu.{bound}={workers}" for bound in ("min", "max")))
        return lambda: ready(cluster, WORKER) == workers and serves(cluster)

    return happen


# In this order: a worker that is drained has a third one beside it, to which its replicas can go.
TWO_WORKERS = (
    Event("worker deleted", deleted(WORKER)),
    Event("worker killed", deleted(WORKER, force=True)),
    Event("head deleted, Ray's state in Valkey", deleted(HEAD)),
    Event("operator's pod deleted", deleted(OPERATOR)),
    Event("Valkey's pod deleted", deleted(VALKEY)),
    Event("Postgres' pod deleted", deleted(POSTGRES)),
    Event("settings changed in place", _settings_changed),
    Event("one worker more", scaled(3)),
    Event("loaded worker evicted, another one free", partial(_pod_goes, WORKER, _evict)),
    Event("one worker less", scaled(2)),
    Event("key rotated", _key_rotated),
    Event("Account's Secret deleted", _secret_deleted),
    Event("upgrade to a new Ray cluster", _new_ray_cluster),
)
ONE_WORKER = (
    Event("worker deleted", deleted(WORKER), may_lose_calls=True),
    Event("worker killed", deleted(WORKER, force=True), may_lose_calls=True),
    Event("head deleted", deleted(HEAD), may_lose_calls=True),
    Event("settings changed in place", _settings_changed, may_lose_calls=True),
)
