"""Group commit: one fenced transaction at a time, for all writes that have come meanwhile, of all accounts."""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.metrics.metrics import ShardMetrics
from luna_serving.capabilities.metrics.shard.account import AccountState
from luna_serving.capabilities.metrics.shard.accounts import Accounts, UnknownAccountError
from luna_serving.capabilities.metrics.shard.admitting import Admitted
from luna_serving.capabilities.metrics.shard.encoding import encode_write
from luna_serving.capabilities.metrics.shard.runs import Floats, Ints, Run, groups, merged, times_of
from luna_serving.capabilities.metrics.store import accounts as rows
from luna_serving.capabilities.metrics.store import writes
from luna_store.platform.leases import Lease, LeaseLost, fenced
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.metrics.shard")

# Samples of one transaction: bounds its time and the memory of its payloads.
SAMPLES_AT_ONCE: Final = 500_000
# Samples of a payload that is compressed on the event loop.
INLINE: Final = 50_000
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 0.5


class Publish(Protocol):
    """Takes the samples that were committed, for those who watch; returns at once."""

    def __call__(self, account_id: int, keys: Sequence[bytes], timestamps: Ints, values: Floats) -> None:
        """Publish the last sample of each series that has changed, as `luna_serving.live.publishing.Publisher.changed`.

        Args:
            account_id: whose.
            keys: of the series.
            timestamps: shape (series,), ms.
            values: shape (series,).
        """


@dataclass(slots=True, eq=False)
class Pending:
    """A write that waits to be committed."""

    state: AccountState
    admitted: Admitted
    done: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Group:
    """The writes of an account in one transaction."""

    state: AccountState
    seq: int
    pending: list[Pending] = field(default_factory=list)
    run: Run | None = None
    payload: bytes = b""


class Committer:
    """Writes samples to the write-ahead table, then shows them."""

    def __init__(
        self, engine: AsyncEngine, lease: Lease, accounts: Accounts, metrics: ShardMetrics, publish: Publish
    ) -> None:
        """Wire it.

        Args:
            engine: of the stores.
            lease: fences each transaction.
            accounts: forgets the states of accounts whose commit failed, which are read again then.
            metrics: counts.
            publish: is called after each commit.
        """
        self._engine = engine
        self._lease = lease
        self._accounts = accounts
        self._metrics = metrics
        self._publish = publish
        self._queue: list[Pending] = []
        self._woken = asyncio.Event()
        self.waiting = 0
        """Samples in the queue and in the transaction under way."""

    async def commit(self, state: AccountState, admitted: Admitted) -> None:
        """Make samples durable, and then part of every answer. Goes on if the caller leaves.

        Raises:
            LeaseLost: the lease is gone. The samples may have been written.
            UnknownAccountError: the account was deleted, or its state is being read again.
        """
        if state.gone:
            raise UnknownAccountError(state.account_id)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(Pending(state, admitted, done))
        self.waiting += len(admitted.run)
        self._woken.set()
        await asyncio.shield(done)

    async def run(self) -> None:
        """Run until cancelled, or until the lease is lost; then no write is acknowledged any more.

        Raises:
            LeaseLost: it is.
        """
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._queue:
                    if groups_taken := self._take():
                        await self._commit(groups_taken)
        finally:
            lost = LeaseLost(self._lease.name, self._lease.token)
            for each in self._queue:
                _fail(each.done, lost)
            self._queue.clear()

    def _take(self) -> list[_Group]:
        """The next writes, by account in the order in which they came."""
        of: dict[int, _Group] = {}
        taken = samples = 0
        for each in self._queue:
            taken += 1
            if each.state.gone:
                # Another state of the account gives sequence numbers and ids of series now.
                self.waiting -= len(each.admitted.run)
                _fail(each.done, UnknownAccountError(each.state.account_id))
                continue
            group = of.get(each.state.account_id)
            if group is None:
                each.state.asked_seq += 1
                group = of[each.state.account_id] = _Group(each.state, each.state.asked_seq)
            group.pending.append(each)
            samples += len(each.admitted.run)
            if samples >= SAMPLES_AT_ONCE:
                break
        del self._queue[:taken]
        return list(of.values())

    async def _commit(self, all_groups: Sequence[_Group]) -> None:
        began = time.monotonic()
        total = sum(len(each.admitted.run) for group in all_groups for each in group.pending)
        try:
            for group in all_groups:
                group.run = merged([each.admitted.run for each in group.pending])
                if len(group.run) > INLINE:
                    group.payload = await asyncio.to_thread(_payload, group.run, group.state.origin_ms)
                else:
                    group.payload = _payload(group.run, group.state.origin_ms)
            groups_written = await self._write(all_groups)
            for group in groups_written:
                if group.state.gone:
                    # It was dropped meanwhile, and what was read in its place may lack these samples.
                    self._accounts.drop(group.state.account_id)
                self._show(group)
        except (LeaseLost, asyncio.CancelledError):
            lost = LeaseLost(self._lease.name, self._lease.token)
            for group in all_groups:
                for each in group.pending:
                    _fail(each.done, lost)
            raise
        except writes.SequenceTakenError as e:
            log.warning("a commit of samples is refused: %s", e)
            self._drop(all_groups, UnknownAccountError(str(e)))
            return
        except Exception as e:
            # A fault of ours. Whether the samples were written is not known here: Postgres says it.
            log.exception("a commit of samples failed")
            self._drop(all_groups, e)
            return
        finally:
            self.waiting -= total
        self._metrics.committed(time.monotonic() - began, len(all_groups), total)

    def _drop(self, groups: Sequence[_Group], why: Exception) -> None:
        """Fail the writes of accounts, those that wait too, and have their states read again."""
        states = {group.state for group in groups}
        failed = [each for group in groups for each in group.pending]
        waiting = [each for each in self._queue if each.state in states]
        self.waiting -= sum(len(each.admitted.run) for each in waiting)
        self._queue = [each for each in self._queue if each.state not in states]
        for state in states:
            self._accounts.drop(state.account_id)
        for each in (*failed, *waiting):
            _fail(each.done, why)

    async def _write(self, wanted: Sequence[_Group]) -> list[_Group]:
        """Write the groups of accounts that exist. An outcome that is not known is resolved by writing again.

        Raises:
            LeaseLost: the lease is gone.
        """
        left = list(wanted)
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with fenced(self._engine, self._lease) as connection:
                    there = await rows.living(connection, [group.state.account_id for group in left])
                    gone = [group for group in left if group.state.account_id not in there]
                    left = [group for group in left if group.state.account_id in there]
                    if left:
                        new = [row for group in left for each in group.pending for row in each.admitted.new]
                        await rows.ensure(connection, [group.state.account_id for group in left])
                        if new:
                            await rows.add_series(connection, new)
                        await writes.add(
                            connection, [writes.WriteRow(g.state.account_id, g.seq, g.payload) for g in left]
                        )
            except IntegrityError:
                # An account was deleted in between.
                log.warning("a commit of samples is repeated", exc_info=True)
            except POSTGRES_GONE as e:
                log.warning("a commit of samples failed and is repeated: %s", e)
                self._metrics.commit_failed()
            else:
                for group in gone:
                    _refuse(group)
                return left
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  jitter
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _show(self, group: _Group) -> None:
        """From here on the samples of a group are in every answer."""
        state = group.state
        assert group.run is not None  # noqa: S101  set before it was written
        for each in group.pending:
            for series in each.admitted.new:
                state.index.add(series.key, series.series_id)
                state.assigned.pop(series.key, None)
        state.apply(group.seq, group.run)
        changed = state.latest.add(group.run, state.origin_ms, time.monotonic())
        for each in group.pending:
            if not each.done.done():
                each.done.set_result(None)
        keys = [state.index.key(each) for each in changed.tolist()]
        self._publish(state.account_id, keys, *state.latest.of(changed))


def _payload(run: Run, origin_ms: int) -> bytes:
    ids, starts = groups(run)
    return encode_write(ids, np.diff(starts), times_of(run.keys, origin_ms), run.values)


def _refuse(group: _Group) -> None:
    group.state.gone = True
    for each in group.pending:
        _fail(each.done, UnknownAccountError(group.state.account_id))


def _fail(done: asyncio.Future[None], why: Exception) -> None:
    if not done.done():
        done.set_exception(why)
        # The caller may have left.
        done.exception()
