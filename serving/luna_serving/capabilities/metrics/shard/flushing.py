"""Puts the samples of an account into chunks."""

import asyncio
import logging
import time
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.metrics.metrics import ShardMetrics
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.account import DAY_MS, AccountState
from luna_serving.capabilities.metrics.shard.accounts import Accounts
from luna_serving.capabilities.metrics.shard.chunk_cache import ChunkCache
from luna_serving.capabilities.metrics.shard.encoding import encode_chunk, pieces
from luna_serving.capabilities.metrics.shard.memtable import Layer
from luna_serving.capabilities.metrics.shard.runs import Run, groups, merged, times_of
from luna_serving.capabilities.metrics.store import accounts as rows
from luna_serving.capabilities.metrics.store import chunks, rollups, writes
from luna_store.platform.leases import Lease, LeaseLost, fenced
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.metrics.shard")

# Seconds between two looks whether something must be put into chunks.
LOOK_S: Final = 1.0
# Chunks per statement, which must end within ten seconds.
CHUNKS_AT_ONCE: Final = 2_000


class Flusher:
    """Puts heads into chunks, by size and age, each account in a fenced transaction."""

    def __init__(
        self,
        settings: MetricsSettings,
        engine: AsyncEngine,
        lease: Lease,
        accounts: Accounts,
        cache: ChunkCache,
        metrics: ShardMetrics,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._lease = lease
        self._accounts = accounts
        self._cache = cache
        self._metrics = metrics
        self.woken = asyncio.Event()
        """Set to look at once."""

    async def run(self) -> None:
        """Run until cancelled, or until the lease is lost.

        Raises:
            LeaseLost: it is.
        """
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self.woken.wait()
            except TimeoutError:
                pass
            self.woken.clear()
            for state in self._due():
                try:
                    await self.flush(state)
                except POSTGRES_GONE as e:
                    log.warning("samples of account %d wait for their chunks: %s", state.account_id, e)
                except LeaseLost:
                    raise
                except Exception:
                    # A fault of ours in one account must not hold up the others.
                    log.exception("samples of account %d cannot be put into chunks", state.account_id)

    def _due(self) -> list[AccountState]:
        """The accounts to flush now, the largest first."""
        states = sorted(self._accounts, key=lambda state: state.unflushed, reverse=True)
        total = sum(state.unflushed for state in states)
        now_s = time.monotonic()
        due = []
        for state in states:
            size = state.unflushed
            old = state.head_since is not None and now_s - state.head_since >= self._settings.flush_s
            stuck = any(not layer.flushed for layer in state.layers)
            if size and (old or stuck or size >= self._settings.flush_samples or total > self._settings.head_samples):
                due.append(state)
                total -= size
        return due

    async def flush(self, state: AccountState) -> None:
        """Put all samples of an account that were committed by now into chunks.

        Raises:
            LeaseLost: the lease is gone.
            SQLAlchemyError: Postgres did not answer; the next call goes on.
        """
        async with state.writing:
            if state.gone:
                return
            state.freeze()
            for layer in [each for each in state.layers if not each.flushed]:
                if not await self._write(state, layer):
                    self._accounts.drop(state.account_id)
                    return
            self._trim(state)

    async def _write(self, state: AccountState, layer: Layer) -> bool:
        """Write the chunks of a layer; False if the account does not exist any more."""
        run = layer.runs[0] if len(layer.runs) == 1 else await asyncio.to_thread(merged, layer.runs)
        layer.runs = (run,)
        made, touched = await asyncio.to_thread(chunks_of, run, state.origin_ms)
        async with self._engine.begin() as connection:
            await chunks.make_partitions(connection, touched)
        blocks = state.latest.touched()
        try:
            async with fenced(self._engine, self._lease) as connection:
                if not await rows.set_flushed(connection, state.account_id, layer.generation, layer.latest_ms):
                    return False
                for first in range(0, len(made), CHUNKS_AT_ONCE):
                    part = made[first : first + CHUNKS_AT_ONCE]
                    await chunks.add(connection, state.account_id, layer.generation, part)
                for day, series in touched.items():
                    if day in state.days:
                        await rollups.mark(connection, state.account_id, day, series)
                await chunks.mark_days(connection, state.account_id, touched)
                await rows.set_latest(connection, state.account_id, blocks)
                await writes.remove(connection, state.account_id, layer.generation)
        except BaseException:
            state.latest.touch_again(blocks)
            raise
        finally:
            # Also if the outcome is not known.
            state.changes += 1
            state.days |= dict.fromkeys(touched, True)
            for day, series in touched.items():
                self._cache.drop((state.account_id, each, number_of(day)) for each in series)
        layer.flushed = True
        state.flushed = layer.generation
        self._metrics.flushed(len(run), sum(len(each.data) for each in made))
        return True

    def _trim(self, state: AccountState) -> None:
        """Forget recent samples that are in chunks, beyond the bound of memory."""
        total = sum(layer.samples for each in self._accounts for layer in each.layers if layer.flushed)
        while total > self._settings.recent_samples and state.layers and state.layers[0].flushed:
            layer = state.layers.popleft()
            total -= layer.samples
            state.old_latest_ms = max(state.old_latest_ms, layer.latest_ms)


def chunks_of(run: Run, origin_ms: int) -> tuple[list[chunks.NewChunk], dict[date, list[int]]]:
    """The chunks of a run, and the series that it has on each day. Takes a core for a while: call it in a thread."""
    ids, starts = groups(run)
    times = times_of(run.keys, origin_ms)
    made = []
    touched: dict[int, list[int]] = defaultdict(list)
    for series_id, begin, end in zip(ids.tolist(), starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        at, values = times[begin:end], run.values[begin:end]
        for piece in pieces(at):
            first, last = int(at[piece.start]), int(at[piece.stop - 1])
            data = encode_chunk(at[piece], values[piece])
            made.append(chunks.NewChunk(series_id, first, last - first, piece.stop - piece.start, data))
            of_day = touched[first // DAY_MS]
            if not of_day or of_day[-1] != series_id:
                of_day.append(series_id)
    return made, {day_of(number): series for number, series in touched.items()}


def day_of(number: int) -> date:
    """The day (UTC) from days since 1970."""
    return datetime.fromtimestamp(number * 86_400, UTC).date()


def number_of(day: date) -> int:
    """Days since 1970."""
    return day.toordinal() - _EPOCH


_EPOCH: Final = date(1970, 1, 1).toordinal()
