"""What a shard keeps in memory of one account."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from luna_serving.capabilities.metrics.shard.index import SeriesIndex
from luna_serving.capabilities.metrics.shard.latest import Latest
from luna_serving.capabilities.metrics.shard.memtable import Layer, Memtable
from luna_serving.capabilities.metrics.shard.rates import Bucket
from luna_serving.capabilities.metrics.shard.runs import BEFORE_MS, Run, times_of

DAY_MS: Final = 86_400_000
RETENTION_DAYS: Final = "metrics.retention_days"
DEFAULT_RETENTION_DAYS: Final = 90


@dataclass(slots=True, eq=False)
class AccountState:
    """One account. Changed on the event loop only; the arrays in it are never written to once others can see them."""

    account_id: int
    origin_ms: int
    """Of the keys of its runs."""
    retention_days: int = DEFAULT_RETENTION_DAYS
    index: SeriesIndex = field(default_factory=SeriesIndex)
    assigned: dict[bytes, int] = field(default_factory=dict)
    """Series whose first samples are not committed yet."""
    next_series: int = 1
    latest: Latest = field(default_factory=Latest)
    head: Memtable = field(default_factory=Memtable)
    head_since: float | None = None
    """When the oldest sample of the head came, on the monotonic clock; None while it is empty."""
    layers: deque[Layer] = field(default_factory=deque)
    """By generation: what is being put into chunks, and what was put there lately."""
    seq: int = 0
    """Of the last write that was committed."""
    asked_seq: int = 0
    """Of the last write that was sent to Postgres."""
    flushed: int = 0
    """Of the last write that is in chunks."""
    old_latest_ms: int = 0
    """The largest timestamp in chunks that are in no layer: queries of later times need no chunks."""
    changes: int = 0
    """Counts changes of chunks in Postgres: what was read before one may not be kept."""
    days: dict[date, bool] = field(default_factory=dict)
    """The days that have chunks, and whether they are dirty."""
    metadata: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    bucket: Bucket = field(default_factory=Bucket)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whatever changes chunks: a flush, compaction, retention."""
    active: int = 0
    active_at: float = 0.0
    used_s: float = 0.0
    """When it was last asked for, on the monotonic clock."""
    gone: bool = False
    """Whether the account was deleted, or its state must be read again."""

    @classmethod
    def empty(cls, account_id: int) -> "AccountState":
        """An account of which nothing is known yet."""
        return cls(account_id, now_ms() - BEFORE_MS)

    def limit(self, limits: Mapping[str, int]) -> None:
        """Take the limits that are set for it."""
        self.retention_days = limits.get(RETENTION_DAYS, DEFAULT_RETENTION_DAYS)

    def oldest_ms(self) -> int:
        """The first timestamp within the retention."""
        return now_ms() - self.retention_days * DAY_MS

    def apply(self, seq: int, run: Run) -> None:
        """Show a write that was committed."""
        self.seq = seq
        self.head.add(run)
        if self.head_since is None:
            self.head_since = time.monotonic()

    def freeze(self) -> None:
        """Turn the head into a layer, if it has samples."""
        runs = tuple(self.head.runs)
        if runs:
            latest = max(int(times_of(run.keys, self.origin_ms).max()) for run in runs)
            self.layers.append(Layer(self.seq, runs, latest))
        self.head, self.head_since = Memtable(), None

    def runs(self) -> list[tuple[int, Run]]:
        """The samples in memory with their generations, the earliest written first."""
        of_layers = [(layer.generation, run) for layer in self.layers for run in layer.runs]
        return of_layers + [(self.seq, run) for run in self.head.runs]

    @property
    def unflushed(self) -> int:
        """Samples that are in no chunk yet."""
        return self.head.samples + sum(layer.samples for layer in self.layers if not layer.flushed)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
