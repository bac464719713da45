"""What a capability is: one declaration, from which the application, the chart's checks and the tests are built."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.access.charges import Charges
from luna_serving.access.credentials import Authenticator
from luna_serving.access.throttle.attempts import Attempts
from luna_serving.access.tokens import Tokens
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.dispatch.host import Replica
from luna_serving.dispatch.series import SeriesSources
from luna_serving.edge.client_address import TrustedProxies
from luna_serving.edge.operation import Exchange, Operation, Query
from luna_serving.edge.refused_credentials import RefusedCredentials
from luna_serving.edge.sockets import SocketRoute
from luna_serving.jobs.background import Background
from luna_serving.jobs.doors.call import DoorParts
from luna_serving.jobs.doors.doors import Doors
from luna_serving.jobs.kinds import Extension, JobKind, Prepare
from luna_serving.jobs.loops import Loop
from luna_serving.jobs.routes.watching import Watching
from luna_serving.jobs.service import JobService
from luna_serving.live.provided import ProvidedAlertLog
from luna_serving.objects.client import ObjectStore
from luna_serving.prices.sources import PriceSources
from luna_serving.settings import CapabilitySettings, PlatformSettings
from luna_serving.shards.client import ShardClient
from luna_serving.shards.shard import Shard
from luna_serving.telemetry.metrics import DispatchMetrics
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.own_keys import OwnKeys
from luna_store.platform.idempotency import IdempotencyKeys
from luna_store.platform.table import Table

Compute = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
"""Sends jobs to a replica and answers each, in order. Raises ReplicaUnavailable."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What the composition root has wired in an ingress replica, for its capabilities."""

    settings: PlatformSettings
    engine: AsyncEngine
    redis: Redis
    objects: ObjectStore | None
    """None without S3_ENDPOINT; `luna_serving.objects.wiring.needed` says the cure."""
    accounts: Accounts
    own_keys: OwnKeys
    charges: Charges
    jobs: JobService
    watching: Watching
    """Notices changes of jobs, for those who wait for them."""
    authorization: Authorization
    attempts: Attempts
    """Limits failed attempts to authenticate."""
    proxies: TrustedProxies
    """Tells the address of a caller."""
    refused: RefusedCredentials
    """Answers callers whose API key or token is not valid."""
    authenticator: Authenticator
    tokens: Tokens
    client_secrets: Mapping[str, str]
    """Of OpenID providers, by name. Not in `settings`, which Serve stores."""
    registry: CollectorRegistry
    ceilings: Mapping[str, int]
    """The server's own limits, of all capabilities, by the limit's name."""
    compute: Mapping[str, Compute]
    """By the capability's name; only those that have replicas."""
    shards: Mapping[str, ShardClient]
    """By the capability's name; only those that are served and have shards."""
    series: SeriesSources
    """Series that requests name; a capability that keeps series provides the source."""
    prices: PriceSources
    """Where bars are; a capability that stores prices provides the source."""
    alert_log: ProvidedAlertLog
    """The changes of alerts; a capability that keeps alerts provides the log."""
    gate_limits: GateLimits
    dispatch_metrics: DispatchMetrics

    def gate(self, capability: str) -> Gate:
        """A gate to the replicas of a capability: its calls share batches, under the limits of the settings."""
        metrics = self.dispatch_metrics.of(capability)
        return Gate(self.charges, self.compute[capability], self.gate_limits, metrics)

    @property
    def doors(self) -> Doors:
        """Makes routes that answer at once, or by a job."""
        keys = IdempotencyKeys(self.engine)
        return Doors(
            DoorParts(self.jobs, self.engine, self.watching, self.charges, self.authorization, keys, self.objects)
        )


@dataclass(frozen=True, slots=True)
class Routes:
    """What a capability serves."""

    operations: Sequence[Operation | Query | Exchange] = ()
    """Hot routes, answered in front of FastAPI."""
    routers: Sequence[APIRouter] = ()
    sockets: Sequence[SocketRoute] = ()
    jobs: Mapping[str, Prepare] = field(default_factory=dict)
    """For each kind of job that callers may create, what checks its parameters."""
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    """For each kind of job that can be extended, how."""
    closing: Sequence[Callable[[], Awaitable[None]]] = ()
    """Called when the replica stops, while the stores are open: to end tasks."""


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability. Adding it to `app.CAPABILITIES` is all that makes it part of the application."""

    name: str
    """Settings group, metric label, chart key, route tag, docs page, test folder."""
    settings: type[CapabilitySettings]
    serve: Callable[[Platform, Any], Routes]
    """Called once in each ingress replica, with this capability's settings."""
    replica: type[Replica] | None = None
    """Computes; its module imports neither stores nor the edge."""
    shard: type[Shard] | None = None
    """Keeps state of accounts in memory, each account in one process; its settings derive from `ShardSettings`."""
    grants: frozenset[str] = frozenset()
    """The names that `allowed.<name>` of an Account or Tier may hold."""
    limits: tuple[str, ...] = ()
    """Names of the entries of `luna_store.limits` that its calls are held to."""
    tables: tuple[type[Table], ...] = ()
    """Its own tables, all declared in its `store/tables.py`."""
    loops: Callable[[PlatformSettings, Any], tuple[Loop[Background], ...]] = lambda _, __: ()
    """Periodic work under the settings of the platform and of the capability, each loop under a lease of its own; on
    the workers."""
    job_kinds: Callable[[Any], tuple[JobKind, ...]] = lambda _: ()
    """The kinds of jobs that it runs on the workers, under its settings."""
    local: Mapping[str, str] = field(default_factory=dict)
    """Its settings in `luna up`, where nobody sets others: what one machine wants instead of the defaults."""
    forget: Callable[[Background, int], Awaitable[None]] | None = None
    """Removes what the deletion of an account leaves: what is outside Postgres, or too much for one transaction. May be
    called again."""
