"""The composition root: the only place that knows which parts Luna is made of.

Ray Serve imports `luna_serving.app:build`, in a cluster and in `luna up` alike. An application with capabilities of
its own calls `application` with its list (docs/capabilities.md).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

from ray import serve

from luna_serving import deployments
from luna_serving.capabilities.account.capability import ACCOUNT
from luna_serving.capabilities.alerts.capability import ALERTS
from luna_serving.capabilities.blackscholes.capability import BLACKSCHOLES
from luna_serving.capabilities.contract import Capability
from luna_serving.capabilities.datasets.capability import DATASETS
from luna_serving.capabilities.indicators.capability import INDICATORS
from luna_serving.capabilities.kalman.capability import KALMAN
from luna_serving.capabilities.market.capability import MARKET
from luna_serving.capabilities.markowitz.capability import MARKOWITZ
from luna_serving.capabilities.metrics.capability import METRICS
from luna_serving.capabilities.montecarlo.capability import MONTECARLO
from luna_serving.capabilities.people.capability import PEOPLE
from luna_serving.jobs.forgetting import forgetting
from luna_serving.jobs.sweeping import forget as forget_jobs
from luna_serving.settings import ReplicaSettings, Settings, ShardSettings, read_settings
from luna_serving.wiring import connect

CAPABILITIES: Final[tuple[Capability, ...]] = (
    ACCOUNT,
    KALMAN,
    PEOPLE,
    DATASETS,
    MARKET,
    INDICATORS,
    MARKOWITZ,
    MONTECARLO,
    BLACKSCHOLES,
    METRICS,
    ALERTS,
)
# Served whatever `only` says: without them nobody could call the others.
ALWAYS: Final = frozenset({ACCOUNT.name, PEOPLE.name})


def build(args: Mapping[str, Any] | None = None) -> serve.Application:
    """Build the application.

    Args:
        args: groups of settings with their fields, which win over the environment's LUNA_ variables.

    Raises:
        ValidationError: a setting is unknown or out of its range; names it.
        ValueError: `only` or `hosts` names no capability.
    """
    return application(CAPABILITIES, args)


def application(capabilities: Sequence[Capability], args: Mapping[str, Any] | None = None) -> serve.Application:
    """Build an application of these capabilities, `account` among them; arguments and errors as of `build`."""
    settings = read_settings({each.name: each.settings for each in capabilities}, args)
    served = chosen(capabilities, settings.platform.only)
    board = deployments.metrics_board(settings.platform)
    handles: dict[str, Any] = {}
    for host, members in hosts(capabilities, settings).items():
        computing = {each.name: (each.replica, _replica_settings(settings, each)) for each in members}
        bound = deployments.compute_host(board, host, computing, settings.platform)
        handles |= {each.name: bound for each in members}
    edge = settings.platform.edge
    loops = [loop for each in served for loop in each.loops(settings.platform, settings.capabilities[each.name])]
    forgets = {each.name: each.forget for each in capabilities if each.forget is not None}
    loops.append(forgetting({"jobs": forget_jobs, **forgets}))
    kinds = [kind for each in served for kind in each.job_kinds(settings.capabilities[each.name])]
    shards = {
        each.name: deployments.shards(board, each.name, each.shard, _shard_settings(settings, each), settings.platform)
        for each in served
        if each.shard is not None
    }
    workers = deployments.workers(loops, kinds, settings.platform, board, handles, shards)
    wire = partial(connect, served, settings)
    return deployments.ingress(edge, edge.request_timeout_s, wire, board, handles, shards, workers)


def chosen(capabilities: Sequence[Capability], only: Sequence[str]) -> tuple[Capability, ...]:
    """The capabilities that are served: those of `only`, and those that every application serves.

    Raises:
        ValueError: `only` names one that there is not.
    """
    names = [each.name for each in capabilities]
    for name in only:
        if name not in names:
            raise ValueError(f"There is no capability {name!r}: choose from {', '.join(names)}.")
    return tuple(each for each in capabilities if not only or each.name in {*only, *ALWAYS})


def hosts(capabilities: Sequence[Capability], settings: Settings) -> dict[str, tuple[Capability, ...]]:
    """The served capabilities that compute, by the deployment that hosts them."""
    computing = {each.name: each for each in capabilities if each.replica is not None}
    served = [each.name for each in chosen(capabilities, settings.platform.only) if each.name in computing]
    assigned = deployments.assigned(served, settings.platform.hosts, [*computing])
    return {host: tuple(computing[name] for name in members) for host, members in assigned.items()}


def cores_reserved(capabilities: Sequence[Capability], settings: Settings) -> float:
    """CPU cores that the replicas reserve at most."""
    scaled = [[_replica_settings(settings, each) for each in host] for host in hosts(capabilities, settings).values()]
    sharded = [
        _shard_settings(settings, each)
        for each in chosen(capabilities, settings.platform.only)
        if each.shard is not None
    ]
    return deployments.cores_reserved(settings.platform, scaled, sharded)


def _replica_settings(settings: Settings, capability: Capability) -> ReplicaSettings:
    return cast("ReplicaSettings", settings.capabilities[capability.name])


def _shard_settings(settings: Settings, capability: Capability) -> ShardSettings:
    return cast("ShardSettings", settings.capabilities[capability.name])
