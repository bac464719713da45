"""Reads the samples of series: from memory, from decoded chunks, from Postgres; a later write wins."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.metrics.shard.account import DAY_MS, AccountState
from luna_serving.capabilities.metrics.shard.budget import Hold
from luna_serving.capabilities.metrics.shard.chunk_cache import CachedChunk, ChunkCache
from luna_serving.capabilities.metrics.shard.encoding import decode_chunk
from luna_serving.capabilities.metrics.shard.flushing import number_of
from luna_serving.capabilities.metrics.shard.runs import Floats, Ints, latest_written, spans, times_of
from luna_serving.capabilities.metrics.store import chunks

# Series and days of one statement: at a sample per second 20 MB of chunks.
PLACES_AT_ONCE: Final = 128
# Chunks that are decoded on the event loop: a millisecond or two.
INLINE: Final = 32

Columns = tuple[Ints, Floats]
_Source = tuple[int, Ints, Floats]
"""A generation, timestamps, values."""


class TooManySamplesError(Exception):
    """A selection holds more samples than the query may read."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The query would read more than {most} samples.")
        self.most = most


class Selector:
    """Reads samples of an account."""

    def __init__(self, engine: AsyncEngine, cache: ChunkCache) -> None:
        self._engine = engine
        self._cache = cache

    async def columns(
        self, state: AccountState, series: Ints, first_ms: int, last_ms: int, most_samples: int, held: Hold
    ) -> list[Columns]:
        """For each series its samples by time, without duplicates; bounds inclusive, and within the retention.

        All that was acknowledged before the call is there; of what is committed meanwhile, no write is there in part.

        Args:
            state: of the account.
            series: ids, ascending.
            first_ms: of the period.
            last_ms: of the period.
            most_samples: more are refused.
            held: takes them.

        Raises:
            TooManySamplesError: there are more.
            TooBusyError: other queries hold too many.
            SQLAlchemyError: Postgres did not answer.
        """
        first_ms = max(first_ms, state.oldest_ms())
        sources: list[list[_Source]] = [[] for _ in range(len(series))]
        if first_ms > last_ms or not len(series):
            return [latest_written([]) for _ in sources]
        # Before Postgres is asked: what is flushed meanwhile is in both, and its generations say which is later.
        count = self._in_memory(state, series, first_ms, last_ms, sources)
        left = most_samples - count
        if left < 0:
            raise TooManySamplesError(most_samples)
        await held.take(count)
        if first_ms <= state.old_latest_ms:
            await self._in_chunks(state, series, first_ms, last_ms, sources, left, most_samples, held)
        return [_merged(each) for each in sources]

    async def stored(self, state: AccountState, series: Ints, first_ms: int, last_ms: int) -> list[Columns]:
        """For each series the samples that are in chunks, whatever is in memory.

        Raises:
            SQLAlchemyError: Postgres did not answer.
        """
        days = list(range(first_ms // DAY_MS, last_ms // DAY_MS + 1))
        found = await self._read(state, series.tolist(), days, first_ms, last_ms)
        sources: list[list[_Source]] = [[] for _ in range(len(series))]
        for place, each in enumerate(series.tolist()):
            self._take(found.get(each, ()), first_ms, last_ms, sources[place])
        return [_merged(each) for each in sources]

    @staticmethod
    def _in_memory(state: AccountState, series: Ints, first_ms: int, last_ms: int, sources: list[list[_Source]]) -> int:
        total = 0
        for generation, run in state.runs():
            low, high = spans(run, series, first_ms, last_ms, state.origin_ms)
            for place in np.flatnonzero(high > low).tolist():
                of = slice(int(low[place]), int(high[place]))
                sources[place].append((generation, times_of(run.keys[of], state.origin_ms), run.values[of]))
            total += int((high - low).sum())
        return total

    async def _in_chunks(
        self,
        state: AccountState,
        series: Ints,
        first_ms: int,
        last_ms: int,
        sources: list[list[_Source]],
        left: int,
        most: int,
        held: Hold,
    ) -> None:
        # Later samples are in memory, all of them.
        last_ms = min(last_ms, state.old_latest_ms)
        days = [number for number in map(number_of, state.days) if first_ms // DAY_MS <= number <= last_ms // DAY_MS]
        ids = series.tolist()
        missing: list[int] = []
        count = 0
        for place, series_id in enumerate(ids):
            known = [self._cache.get((state.account_id, series_id, day), first_ms, last_ms) for day in days]
            if any(each is None for each in known):
                missing.append(place)
                continue
            for each in known:
                count += self._take(each or (), first_ms, last_ms, sources[place])
        left -= count
        if left < 0:
            raise TooManySamplesError(most)
        await held.take(count)
        at_once = max(1, PLACES_AT_ONCE // max(1, len(days)))
        for begin in range(0, len(missing), at_once):
            part = missing[begin : begin + at_once]
            found = await self._read(state, [ids[place] for place in part], days, first_ms, last_ms)
            count = sum(self._take(found.get(ids[place], ()), first_ms, last_ms, sources[place]) for place in part)
            left -= count
            if left < 0:
                raise TooManySamplesError(most)
            await held.take(count)

    async def _read(
        self, state: AccountState, series: Sequence[int], days: Sequence[int], first_ms: int, last_ms: int
    ) -> dict[int, list[CachedChunk]]:
        """The chunks of series on days, read and decoded, by series; they are kept in the cache."""
        if not days:
            return {}
        changes = state.changes
        async with self._engine.connect() as connection:
            stored = await chunks.read(connection, state.account_id, series, first_ms, last_ms)
        of: dict[tuple[int, int], list[CachedChunk]] = {(each, day): [] for each in series for day in days}
        decoded = _decoded(stored) if len(stored) <= INLINE else await asyncio.to_thread(_decoded, stored)
        for each, columns in zip(stored, decoded, strict=True):
            end_ms = each.start_ms + each.span_ms
            chunk = CachedChunk(each.start_ms, end_ms, each.generation, columns)
            of.setdefault((each.series_id, each.start_ms // DAY_MS), []).append(chunk)
        # A flush or compaction may have been committed after the statement. One that ends later drops what it changes.
        if state.changes == changes:
            for (series_id, day), of_day in of.items():
                self._cache.put((state.account_id, series_id, day), of_day)
        found: dict[int, list[CachedChunk]] = {}
        for (series_id, _), of_day in of.items():
            found.setdefault(series_id, []).extend(of_day)
        return found

    @staticmethod
    def _take(found: Sequence[CachedChunk], first_ms: int, last_ms: int, sources: list[_Source]) -> int:
        """Add the samples within the period; returns how many."""
        total = 0
        for each in found:
            if each.columns is None or each.first_ms > last_ms or each.last_ms < first_ms:
                continue
            times, values = each.columns
            if each.first_ms < first_ms or each.last_ms > last_ms:
                low, high = np.searchsorted(times, first_ms, "left"), np.searchsorted(times, last_ms, "right")
                times, values = times[low:high], values[low:high]
            sources.append((each.generation, times, values))
            total += len(times)
        return total


def _decoded(stored: Sequence[chunks.StoredChunk]) -> list[Columns | None]:
    return [None if each.data is None else decode_chunk(each.data, each.start_ms) for each in stored]


def _merged(sources: list[_Source]) -> Columns:
    """One column of several. Chunks of one series are usually one after the other: then no sort is needed."""
    sources = [each for each in sources if len(each[1])]
    if len(sources) > 1:
        by_time = sorted(sources, key=lambda each: int(each[1][0]))
        if all(one[1][-1] < two[1][0] for one, two in itertools.pairwise(by_time)):
            sources = by_time
        else:
            sources.sort(key=lambda each: each[0])
    return latest_written([(times, values) for _, times, values in sources])
