"""The accounts of a shard, read from Postgres when they are first asked for."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.metrics.shard.account import AccountState, now_ms
from luna_serving.capabilities.metrics.shard.encoding import decode_write
from luna_serving.capabilities.metrics.shard.runs import run_of
from luna_serving.capabilities.metrics.store import accounts as rows
from luna_serving.capabilities.metrics.store import chunks, writes

# Write-ahead rows read at once: a row holds up to some megabytes.
ROWS_AT_ONCE: Final = 100


class UnknownAccountError(LookupError):
    """The account does not exist, or was deleted."""


class Accounts:
    """The state of accounts by id."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._states: dict[int, AccountState] = {}
        self._loading: dict[int, asyncio.Task[AccountState]] = {}

    def __iter__(self) -> Iterator[AccountState]:
        return iter(list(self._states.values()))

    async def open(self, has: Callable[[int], bool]) -> None:
        """Read the accounts that have write-ahead rows."""
        async with self._engine.connect() as connection:
            found = await rows.with_writes(connection)
        for account_id in found:
            if has(account_id):
                await self.get(account_id)

    def loaded(self, account_id: int) -> AccountState | None:
        """The state, if it was read already."""
        return self._states.get(account_id)

    async def get(self, account_id: int) -> AccountState:
        """The state of an account.

        Raises:
            UnknownAccountError: it does not exist.
            SQLAlchemyError: Postgres did not answer.
        """
        state = self._states.get(account_id)
        if state is not None:
            state.used_s = time.monotonic()
            return state
        task = self._loading.get(account_id)
        if task is None:
            task = self._loading[account_id] = asyncio.create_task(self._load(account_id), name="metrics.load")
            task.add_done_callback(lambda _: self._loading.pop(account_id, None))
        return await asyncio.shield(task)

    def drop(self, account_id: int) -> None:
        """Forget an account; holders of its state see that it is gone."""
        state = self._states.pop(account_id, None)
        if state is not None:
            state.gone = True

    def unload(self, unused_since_s: float) -> None:
        """Forget accounts that nobody has asked for since, and that have no samples but in chunks."""
        for state in self:
            if state.used_s < unused_since_s and not state.unflushed and not state.writing.locked():
                self.drop(state.account_id)

    async def _load(self, account_id: int) -> AccountState:
        state = AccountState.empty(account_id)
        async with self._engine.connect() as connection:
            # One snapshot: a flush under an earlier state may be under way.
            await connection.execution_options(isolation_level="REPEATABLE READ")
            row = await rows.read_account(connection, account_id)
            if row is None:
                raise UnknownAccountError(account_id)
            state.limit(row.limits)
            state.seq = state.asked_seq = state.flushed = row.flushed
            state.old_latest_ms = row.latest_ms
            for number, (series_id, key) in enumerate(await rows.read_series(connection, account_id)):
                state.index.add(key, series_id)
                state.next_series = series_id + 1
                if number % 10_000 == 0:
                    await asyncio.sleep(0)
            state.latest.reserve(state.next_series)
            now_s = time.monotonic()
            state.latest.load(await rows.read_latest(connection, account_id), now_ms(), now_s)
            state.days = await chunks.days_of(connection, account_id)
            state.metadata = await rows.read_metadata(connection, account_id)
            while replayed := await writes.read(connection, account_id, state.seq, ROWS_AT_ONCE):
                for seq, payload in replayed:
                    run = run_of(*decode_write(payload), state.origin_ms)
                    state.asked_seq = seq
                    state.apply(seq, run)
                    state.latest.add(run, state.origin_ms, now_s)
                await asyncio.sleep(0)
        # Ids of series that were removed are not used again: chunks may hold samples of them.
        state.next_series = max(state.next_series, state.latest.highest + 1)
        state.used_s = time.monotonic()
        self._states[account_id] = state
        return state
