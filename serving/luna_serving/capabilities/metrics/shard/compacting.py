"""Merges the chunks of a day, and computes the roll-ups of days that are over."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.metrics.metrics import ShardMetrics
from luna_serving.capabilities.metrics.shard.account import DAY_MS, AccountState
from luna_serving.capabilities.metrics.shard.chunk_cache import ChunkCache
from luna_serving.capabilities.metrics.shard.encoding import CHUNK_SAMPLES, encode_chunk, pieces
from luna_serving.capabilities.metrics.shard.flushing import number_of
from luna_serving.capabilities.metrics.shard.partials import HOUR_MS, pack, partials_of
from luna_serving.capabilities.metrics.shard.selecting import Columns, Selector
from luna_serving.capabilities.metrics.store import chunks, rollups
from luna_store.platform.leases import Lease, fenced

# Series of one transaction: at a sample per second, 9 million samples.
SERIES_AT_ONCE: Final = 100
# Chunks of a series on a day that is not over, beyond those that it needs, before they are merged.
FRAGMENTS: Final = 8


class Compactor:
    """Compacts days of accounts."""

    def __init__(
        self, engine: AsyncEngine, lease: Lease, cache: ChunkCache, metrics: ShardMetrics, selector: Selector
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._cache = cache
        self._metrics = metrics
        self._selector = selector
        self._looked: dict[tuple[int, date], int] = {}

    async def day(self, state: AccountState, day: date, *, over: bool) -> None:
        """Compact a day of an account. A flush waits for each part of it only.

        Args:
            state: of the account.
            day: which.
            over: whether the day is over, so that its roll-ups are worth computing.

        Raises:
            LeaseLost: the lease is gone.
            SQLAlchemyError: Postgres did not answer; the next call goes on.
        """
        changes = state.changes
        if not over and self._looked.get((state.account_id, day)) == changes:
            return
        async with self._engine.connect() as connection:
            found = await chunks.fragments(connection, state.account_id, day)
            clean = await rollups.clean(connection, state.account_id, day) if over else set()
        slack = 1 if over else FRAGMENTS
        merge = {each for each, count, samples in found if count >= -(-samples // CHUNK_SAMPLES) + slack}
        wanted = [each for each, _, _ in found if each in merge or (over and each not in clean)]
        ours = 0
        for first in range(0, len(wanted), SERIES_AT_ONCE):
            async with state.writing:
                if state.gone:
                    return
                await self._part(state, day, wanted[first : first + SERIES_AT_ONCE], merge, over=over)
                ours += 1
        if not over:
            self._looked[state.account_id, day] = state.changes
        else:
            self._looked.pop((state.account_id, day), None)
            async with state.writing:
                if state.changes == changes + ours and not state.gone:
                    async with fenced(self._engine, self._lease) as connection:
                        await chunks.clean_day(connection, state.account_id, day)
                    state.days[day] = False
                    self._metrics.compacted()

    async def _part(
        self, state: AccountState, day: date, series: Sequence[int], merge: set[int], *, over: bool
    ) -> None:
        number = number_of(day)
        first_ms = number * DAY_MS
        columns = await self._selector.stored(state, np.array(series, np.int64), first_ms, first_ms + DAY_MS - 1)
        merged_ids = [each for each in series if each in merge]
        of = dict(zip(series, columns, strict=True))
        made = await asyncio.to_thread(_chunks, {each: of[each] for each in merged_ids})
        partials = await asyncio.to_thread(_partials, of) if over else {}
        try:
            async with fenced(self._engine, self._lease) as connection:
                if merged_ids:
                    await chunks.remove(connection, state.account_id, day, merged_ids, state.flushed)
                    await chunks.add(connection, state.account_id, state.flushed, made)
                if partials:
                    await rollups.set_partials(connection, state.account_id, day, partials)
        finally:
            state.changes += 1
            self._cache.drop((state.account_id, each, number) for each in series)


def _chunks(of: dict[int, Columns]) -> list[chunks.NewChunk]:
    made = []
    for series_id, (times, values) in of.items():
        for piece in pieces(times):
            first, last = int(times[piece.start]), int(times[piece.stop - 1])
            data = encode_chunk(times[piece], values[piece])
            made.append(chunks.NewChunk(series_id, first, last - first, piece.stop - piece.start, data))
    return made


def _partials(of: dict[int, Columns]) -> dict[int, bytes]:
    return {each: pack(partials_of(times, values, HOUR_MS)) for each, (times, values) in of.items() if len(times)}
