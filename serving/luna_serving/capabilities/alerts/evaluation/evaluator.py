"""Evaluates all rules of an installation at their times, in one worker under the lease of its loop."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.alerts.evaluation.batch import Batches, Done, Item, items_of
from luna_serving.capabilities.alerts.evaluation.rule_cache import RuleCache
from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.alerts.store.due import Due, due, until_due_s
from luna_serving.capabilities.alerts.store.writing import Committed
from luna_store.platform.leases import Lease, LeaseLost
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.alerts")

# Seconds between two looks for rules that are due, at least and at most: the next look is when the next rule is due, or
# a new one may be.
LOOK_S: Final = 0.1
IDLE_S: Final = 0.5
# Seconds of one run of the loop. Batches under way go on in the next run.
RUN_S: Final = 30.0
# Seconds before Postgres is asked again after an outage.
RETRY_S: Final = 1.0

Announce = Callable[[int, Committed], Awaitable[None]]
"""Publishes committed events of an account; must not raise."""


class Evaluator:
    """Looks for rules that are due, and evaluates them in batches of one account each."""

    def __init__(
        self,
        engine: AsyncEngine,
        batches: Batches,
        metrics: AlertMetrics,
        announce: Announce,
        *,
        at_once: int,
        batch_rules: int,
        slow_s: float,
    ) -> None:
        """Wire it.

        Args:
            engine: of the worker.
            batches: evaluates one.
            metrics: counts.
            announce: publishes events.
            at_once: rules under way.
            batch_rules: rules of one batch.
            slow_s: seconds after which the rules of a batch are asked one by one.
        """
        self._engine = engine
        self._batches = batches
        self._metrics = metrics
        self._announce = announce
        self._at_once = at_once
        self._batch_rules = batch_rules
        self._slow_s = slow_s
        self._rules = RuleCache()
        self._under_way: set[uuid.UUID] = set()
        self._alone: set[uuid.UUID] = set()
        """Rules that are asked by themselves: they were in a slow batch, and have not been quick since."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost: LeaseLost | None = None

    async def run(self, lease: Lease) -> None:
        """Evaluate for a while; batches that are slow go on beyond it.

        Raises:
            LeaseLost: another worker evaluates.
        """
        self._lost = None
        self._rules.unreadable.clear()
        ends_at = time.monotonic() + RUN_S
        try:
            while time.monotonic() < ends_at:
                began = await self.look(lease)
                await asyncio.sleep(LOOK_S if began else await self._pause_s())
        except (asyncio.CancelledError, LeaseLost):
            self.stop()
            raise

    async def look(self, lease: Lease, now: str | None = None) -> int:
        """Begin what is due; returns how many rules.

        Args:
            lease: of the loop.
            now: instead of Postgres' clock.
        """
        if self._lost is not None:
            raise self._lost
        free = self._at_once - len(self._under_way)
        if free <= 0:
            return 0
        try:
            found = await due(self._engine, at_most=free, under_way=self._under_way | self._rules.unreadable, now=now)
            loaded = await self._rules.load(self._engine, found)
        except POSTGRES_GONE as e:
            log.warning("rules that are due cannot be read: %s", e)
            await asyncio.sleep(RETRY_S)
            return 0
        items = items_of(found, loaded)
        for batch in self._grouped(items):
            ids = {each.due.rule_id for each in batch}
            self._under_way |= ids
            task = asyncio.create_task(self._evaluate(batch, lease), name=f"rules of {batch[0].due.account_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(items)

    async def _pause_s(self) -> float:
        try:
            return min(max(await until_due_s(self._engine), LOOK_S), IDLE_S)
        except POSTGRES_GONE:
            return RETRY_S

    async def finished(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._lost is not None:
            raise self._lost

    def stop(self) -> None:
        """Stop what is under way; nothing of it is written."""
        for task in self._tasks:
            task.cancel()

    def _grouped(self, items: Iterable[Item]) -> Iterable[list[Item]]:
        together: list[Item] = []
        for each in items:
            if each.due.rule_id in self._alone:
                yield [each]
            else:
                together.append(each)
        together.sort(key=lambda each: each.due.account_id)
        for _, of_account in groupby(together, key=lambda each: each.due.account_id):
            rules = list(of_account)
            for first in range(0, len(rules), self._batch_rules):
                yield rules[first : first + self._batch_rules]

    async def _evaluate(self, items: Sequence[Item], lease: Lease) -> None:
        ids = {each.due.rule_id for each in items}
        account_id = items[0].due.account_id
        try:
            done = await self._batches.evaluate(account_id, items, lease)
            self._judge(ids, done)
            self._count([each.due for each in items], done)
            if done.committed.events:
                await self._announce(account_id, done.committed)
        except LeaseLost as e:
            self._lost = e
        except POSTGRES_GONE as e:
            log.warning("rules of account %d are evaluated again, for the outcome is not stored: %s", account_id, e)
            await asyncio.sleep(RETRY_S)
        except Exception:
            # A fault of ours in one batch must not end the others; alone, the rule that causes it is found.
            log.exception("rules of account %d could not be evaluated", account_id)
            self._metrics.evaluated("error", len(items))
            self._alone |= ids
            await asyncio.sleep(RETRY_S)
        finally:
            self._under_way -= ids

    def _judge(self, ids: set[uuid.UUID], done: Done) -> None:
        if done.seconds > self._slow_s:
            self._alone |= ids
        elif len(ids) == 1:
            self._alone -= ids

    def _count(self, rules: Sequence[Due], done: Done) -> None:
        now = time.time()
        dropped = done.committed.dropped
        self._metrics.evaluated("dropped", len(dropped))
        self._metrics.unsent(done.unsent)
        for each, outcome in zip(rules, done.outcomes, strict=True):
            turn = outcome.turn
            if turn is None or each.rule_id in dropped:
                continue
            self._metrics.evaluated("ok" if turn.error is None else "error")
            self._metrics.missed(turn.missed)
            self._metrics.committed(now - turn.last_at_ms / 1000)
        for event in done.committed.events:
            self._metrics.changed(event.alert["state"])
