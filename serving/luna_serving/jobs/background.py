"""The arguments of periodic work: the stores, without anything that serves calls."""

from dataclasses import dataclass

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True, slots=True)
class Background:
    """The stores of a worker."""

    engine: AsyncEngine
    redis: Redis
