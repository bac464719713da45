"""The arguments of periodic work: the stores, without anything that serves calls."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.objects.client import ObjectStore


@dataclass(frozen=True, slots=True)
class Background:
    """The stores of a worker."""

    engine: AsyncEngine
    redis: Redis
    objects: ObjectStore | None = None
    """None without S3_ENDPOINT."""
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """Of the process; what it counts is added to /metrics."""
