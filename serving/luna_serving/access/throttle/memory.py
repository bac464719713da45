"""Buckets in this process, which take over while Redis is gone."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from luna_serving.access.throttle.policy import Bucket, Refused, Taken, microseconds

# Buckets in memory, about 300 bytes each. Beyond these the oldest are forgotten.
MAX_BUCKETS: Final = 100_000


@dataclass(slots=True)
class _State:
    """In microseconds of the clock, as in `take.lua`: sums of floats would not be exact."""

    full_at: int
    """When the bucket is full again: GCRA's theoretical arrival time."""
    until: int = 0
    """When its block ends."""


class MemoryBuckets:
    """The algorithm of `take.lua`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MAX_BUCKETS) -> None:
        self._clock = clock
        self._most = most
        self._states: dict[str, _State] = {}

    async def take(self, buckets: tuple[Bucket, ...]) -> Taken | Refused:
        """Take one attempt from each bucket, or none."""
        now = microseconds(self._clock())
        states = [self._state(bucket, now) for bucket in buckets]
        for bucket, state in zip(buckets, states, strict=True):
            policy = bucket.policy
            most, refill, block = policy.attempts * policy.refill_us, policy.refill_us, policy.block_us
            state.full_at = min(max(state.full_at, now), now + most)
            state.until = min(state.until, now + block)
            if state.until <= now and state.full_at + refill > now + most:
                state.until = now + block
                self._keep(bucket, state, now)
        wait = max(state.until - now for state in states)
        if wait > 0:
            return Refused(wait / 1e6)
        used = 0
        for bucket, state in zip(buckets, states, strict=True):
            refill = bucket.policy.refill_us
            state.full_at += refill
            used = max(used, -(-(state.full_at - now) // refill))
            self._keep(bucket, state, now)
        return Taken(used)

    async def give_back(self, buckets: tuple[Bucket, ...]) -> None:
        """Give one attempt back to each bucket, and end its block."""
        now = microseconds(self._clock())
        for bucket in buckets:
            state = self._state(bucket, now)
            state.full_at -= bucket.policy.refill_us
            state.until = 0

    def _state(self, bucket: Bucket, now: int) -> _State:
        return self._states.get(bucket.key) or _State(now)

    def _keep(self, bucket: Bucket, state: _State, now: int) -> None:
        if bucket.key not in self._states and len(self._states) >= self._most:
            kept = {k: s for k, s in self._states.items() if max(s.full_at, s.until) > now}
            # A twentieth at once: looking for those that are over must not be done for every new one.
            for key in list(kept)[: max(0, len(kept) - self._most * 19 // 20)]:
                del kept[key]
            self._states = kept
        self._states[bucket.key] = state
