"""The arguments of periodic work: the stores, without anything that serves calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.objects.client import ObjectStore
from luna_serving.shards.client import ShardClient


@dataclass(frozen=True, slots=True)
class Background:
    """The stores of a worker."""

    engine: AsyncEngine
    redis: Redis
    objects: ObjectStore | None = None
    """None without S3_ENDPOINT."""
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """Of the process; what it counts is added to /metrics."""
    shards: Mapping[str, ShardClient] = field(default_factory=dict)
    """By the capability's name; only those that are served and have shards."""
