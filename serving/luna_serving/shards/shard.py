"""What a capability provides: the state of some accounts, while this process holds their lease."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.platform.leases import Lease

M = TypeVar("M")

# Of the multiplicative hash: 2**64 divided by the golden ratio, so that consecutive accounts spread evenly.
_FACTOR: Final = 0x9E3779B97F4A7C15
_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Which shard of how many."""

    capability: str
    index: int
    count: int

    @property
    def deployment(self) -> str:
        """The name of its Serve deployment, which the title of its process shows: `metrics-shard-0`."""
        return f"{self.capability}-shard-{self.index}"

    @property
    def layout(self) -> str:
        """The prefix of the leases of all shards of the capability, however many there are."""
        return f"shard:{self.capability}:"

    @property
    def lease(self) -> str:
        """The name of its lease."""
        return f"{self.layout}{self.index}/{self.count}"

    def has(self, account_id: int) -> bool:
        """Whether this shard keeps the state of an account."""
        return shard_of(account_id, self.count) == self.index


def shard_of(account_id: int, count: int) -> int:
    """The index of the shard that keeps the state of an account (Knuth, TAOCP 3, section 6.4, multiplicative hash)."""
    mixed: int = (account_id * _FACTOR) % (1 << _BITS)
    return (mixed * count) >> _BITS


@dataclass(frozen=True, slots=True)
class ShardStores:
    """The stores of a shard's process."""

    engine: AsyncEngine
    redis: Redis
    registry: CollectorRegistry
    """Of the process; what it counts is added to /metrics."""
    _made: dict[Callable[[CollectorRegistry], Any], Any] = field(default_factory=dict)

    def once(self, make: Callable[[CollectorRegistry], M]) -> M:
        """What `make` returns for the registry, made once per process, though shards may be constructed again."""
        if make not in self._made:
            self._made[make] = make(self.registry)
        made: M = self._made[make]
        return made


@dataclass(frozen=True, slots=True)
class NotOpen:
    """The shard cannot answer yet, or no longer: its lease is not held here, or its state is being read."""


class Shard(Protocol):
    """The state of a shard's accounts. One object for each time that the lease is acquired."""

    def __init__(self, settings: Any, stores: ShardStores, place: Place, lease: Lease) -> None:  # noqa: ANN401
        """Construct it; the event loop is running and the lease is held.

        Args:
            settings: the capability's own.
            stores: of the process. Metrics are registered once, though shards may be constructed again.
            place: which accounts it has.
            lease: fences its transactions (`luna_store.platform.leases.fenced`).
        """

    async def open(self) -> None:
        """Read the state; calls are served afterwards. Raises what the stores raise; it is tried again."""

    async def ask(self, account_id: int, request: Any) -> Any:  # noqa: ANN401  of the capability's own types
        """Answer a request; a refusal is a value of the answer.

        Raises:
            LeaseLost: the lease is gone; nothing was written.
        """

    async def close(self) -> None:
        """End its tasks. The lease may be lost already: whatever is written must be fenced."""
