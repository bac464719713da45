"""The Serve deployments that an application is made of."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ray import serve

from luna_serving.dispatch.host import ComputeHost
from luna_serving.edge.deployment import IngressReplica
from luna_serving.jobs.background import Background
from luna_serving.jobs.connecting import connect_workers
from luna_serving.jobs.kinds import JobKind
from luna_serving.jobs.loops import Loop
from luna_serving.jobs.workers import STOP_S, WorkersReplica
from luna_serving.settings import (
    ONGOING_PER_INGRESS,
    PlatformSettings,
    ReplicaSettings,
    Scaled,
    ShardSettings,
    WorkersSettings,
)
from luna_serving.shards.replica import STOP_S as SHARD_STOP_S
from luna_serving.shards.replica import ShardReplica
from luna_serving.shards.shard import Place, Shard
from luna_serving.telemetry.board_deployment import MetricsReplica

# Serve's queue is not where calls wait: the gates' queues are, which know deadlines and refunds.
UNBOUNDED = 100_000
# Serve's default looks every 2 s whether calls are still under way: a stop would take that long at least.
SHUTDOWN_LOOK_S = 0.1
# Seconds over which Serve's autoscaler averages the demand for workers; each of them reports it every ten seconds.
LOOK_BACK_S = 20.0
POLICY = "luna_serving.jobs.scaling:BacklogPolicy"
OTHERS = "*"
# Deployments of other kinds.
RESERVED = ("ingress", "metrics", "workers")


def metrics_board(platform: PlatformSettings) -> Any:  # noqa: ANN401  Serve's Application is generic
    """The process that adds the metrics of all others up."""
    return serve.deployment(
        name="metrics",
        graceful_shutdown_wait_loop_s=SHUTDOWN_LOOK_S,
        num_replicas=1,
        max_ongoing_requests=100,
        ray_actor_options={"num_cpus": 0},
    )(MetricsReplica).bind(platform.log)


def compute_host(
    board: Any,  # noqa: ANN401  a bound deployment
    name: str,
    members: Mapping[str, tuple[Any, ReplicaSettings]],
    platform: PlatformSettings,
) -> Any:  # noqa: ANN401
    """A host of the replicas of one or more capabilities.

    It has as many replicas as the most demanding of them, and reserves what the most demanding of them needs.

    Args:
        board: the metrics board.
        name: the deployment's.
        members: by capability, the class that computes and its settings.
        platform: the settings of the rest.
    """
    settings = [each for _, each in members.values()]
    return serve.deployment(
        name=name,
        graceful_shutdown_wait_loop_s=SHUTDOWN_LOOK_S,
        max_ongoing_requests=sum(each.ongoing(platform) for each in settings),
        ray_actor_options={
            "num_cpus": max(each.cpus for each in settings),
            "num_gpus": max(each.gpus for each in settings),
        },
        graceful_shutdown_timeout_s=platform.edge.request_timeout_s,
        **_spread([each.replicas_per_node for each in settings]),
        **_replicas(
            max(each.replicas_min for each in settings),
            max(each.replicas_max for each in settings),
            platform.dispatch.batches_in_flight,
        ),
    )(ComputeHost).bind(board, name, dict(members), platform.log, platform.trace)


def shards(
    board: Any,  # noqa: ANN401  a bound deployment
    capability: str,
    kind: type[Shard],
    settings: ShardSettings,
    platform: PlatformSettings,
) -> tuple[Any, ...]:
    """The shards of a capability: each a deployment with one replica, so that callers can address it.

    Serve's limit of replicas per node holds within a deployment: it cannot keep shards apart.

    Args:
        board: the metrics board.
        capability: the name.
        kind: the class that keeps the state.
        settings: the capability's.
        platform: the settings of the rest.
    """
    places = [Place(capability, index, settings.shards) for index in range(settings.shards)]
    return tuple(
        serve.deployment(
            name=place.deployment,
            num_replicas=1,
            max_ongoing_requests=UNBOUNDED,
            graceful_shutdown_wait_loop_s=SHUTDOWN_LOOK_S,
            graceful_shutdown_timeout_s=SHARD_STOP_S + 2,
            # Calls wait while it is replaced.
            health_check_period_s=1.0,
            health_check_timeout_s=5.0,
            ray_actor_options={"num_cpus": settings.shard_cpus},
        )(ShardReplica).bind(board, kind, settings, place, platform)
        for place in places
    )


def workers(
    loops: Sequence[Loop[Background]],
    kinds: Sequence[JobKind],
    platform: PlatformSettings,
    board: Any,  # noqa: ANN401  a bound deployment
    hosts: Mapping[str, Any],
    shards_of: Mapping[str, Sequence[Any]],
) -> Any:  # noqa: ANN401
    """The processes of background work: jobs, and loops, each of which runs on one of them at a time."""
    settings = platform.workers
    return serve.deployment(
        name="workers",
        graceful_shutdown_wait_loop_s=SHUTDOWN_LOOK_S,
        graceful_shutdown_timeout_s=STOP_S + 2,
        health_check_period_s=5.0,
        ray_actor_options={"num_cpus": settings.cpus},
        **_spread([settings.replicas_per_node]),
        **worker_replicas(settings),
    )(WorkersReplica).bind(
        partial(connect_workers, tuple(loops), tuple(kinds), platform), board, dict(hosts), dict(shards_of)
    )


def worker_replicas(settings: WorkersSettings) -> dict[str, Any]:
    """How many workers there are: a number, or by the jobs that could run."""
    if settings.replicas_max <= settings.replicas:
        return {"num_replicas": settings.replicas}
    policy = {"policy_function": POLICY, "policy_kwargs": {"slots": settings.job_slots}}
    config = {
        "min_replicas": settings.replicas,
        "max_replicas": settings.replicas_max,
        "policy": policy,
        "look_back_period_s": LOOK_BACK_S,
        "upscale_delay_s": settings.scale_up_s,
        "downscale_delay_s": settings.scale_down_s,
    }
    return {"autoscaling_config": config}


def ingress(edge: Scaled, timeout_s: float, *arguments: Any) -> serve.Application:  # noqa: ANN401
    """The HTTP edge. `arguments` are those of `IngressReplica`."""
    deployment = serve.deployment(
        name="ingress",
        max_ongoing_requests=UNBOUNDED,
        ray_actor_options={"num_cpus": edge.cpus},
        graceful_shutdown_timeout_s=timeout_s,
        **_spread([edge.replicas_per_node]),
        **_replicas(edge.replicas_min, edge.replicas_max, ONGOING_PER_INGRESS),
    )(serve.ingress()(IngressReplica))
    application: serve.Application = deployment.bind(*arguments)
    return application


def _spread(per_node: Sequence[int]) -> dict[str, Any]:
    """The most replicas on one node: the least strict of the members' limits, of which 0 is none."""
    return {} if 0 in per_node else {"max_replicas_per_node": max(per_node)}


def _replicas(low: int, high: int, target: float) -> dict[str, Any]:
    if low == high:
        return {"num_replicas": low}
    return {"autoscaling_config": {"min_replicas": low, "max_replicas": high, "target_ongoing_requests": target}}


def cores_reserved(
    platform: PlatformSettings, hosts: Sequence[Sequence[ReplicaSettings]], sharded: Sequence[ShardSettings] = ()
) -> float:
    """CPU cores that all deployments reserve at most, with every replica running."""
    workers = platform.workers
    scaled = [(platform.edge.replicas_max, platform.edge.cpus)]
    scaled.append((max(workers.replicas, workers.replicas_max), workers.cpus))
    scaled += [(max(m.replicas_max for m in host), max(m.cpus for m in host)) for host in hosts]
    scaled += [(each.shards, each.shard_cpus) for each in sharded]
    return sum(count * cpus for count, cpus in scaled)


def assigned(
    served: Sequence[str], hosts: Mapping[str, Sequence[str]], known: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The capabilities of each host, by the host's name; a capability that no host names has one of its own.

    Args:
        served: the capabilities that compute and are served.
        hosts: what the settings say; "*" is every capability that no host names.
        known: all capabilities that compute; a host may name one that is not served.

    Raises:
        ValueError: a capability is unknown or named twice.
    """
    for host in hosts:
        if not re.fullmatch("[a-z][-a-z0-9]*", host) or host in RESERVED:
            raise ValueError(
                f"LUNA_HOSTS: {host!r} cannot name a host; use a-z, 0-9 and '-', and none of {_names(RESERVED)}."
            )
        if host in known and host not in hosts[host]:
            raise ValueError(
                f"LUNA_HOSTS: the host {host!r} is the name of a capability that this host has not: rename it."
            )
    named = [name for members in hosts.values() for name in members]
    for name in named:
        if named.count(name) > 1:
            raise ValueError(f"LUNA_HOSTS names {name!r} twice: a capability has one host.")
        if name not in {*known, OTHERS}:
            raise ValueError(
                f"LUNA_HOSTS names {name!r}, but no capability that computes has that name: use {_names(known)}."
            )
    left = [name for name in served if name not in named]
    found = {
        host: tuple(m for member in members for m in (left if member == OTHERS else [member]) if m in served)
        for host, members in hosts.items()
    }
    if OTHERS not in named:
        found |= {name: (name,) for name in left}
    return {host: members for host, members in found.items() if members}


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)
