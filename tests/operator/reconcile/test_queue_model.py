"""The work queue against a naive one, on a clock that the test moves."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from luna_operator.reconcile.queue import BACKOFF_FIRST_S, BACKOFF_MAX_S, Turn, WorkQueue
from luna_operator.resources.names import Key

KEYS = [Key("team", name) for name in "abc"]
keys = st.sampled_from(KEYS)
# Few and round, so that instants meet; negative ones are in the past.
seconds = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0, 400.0])


class Naive:
    """What the queue promises, in lists that are searched from one end to the other."""

    def __init__(self) -> None:
        self.ready: list[tuple[Key, float]] = []
        self.later: list[tuple[float, Key]] = []
        self.at_work: set[Key] = set()
        self.again: set[Key] = set()
        self.failures = dict.fromkeys(KEYS, 0)
        self.handled: set[Key] = set()

    def busy_with(self, key: Key) -> bool:
        waits = key in [waiting for waiting, _ in self.ready]
        return waits or key in self.at_work or key in self.handled or self.failures[key] > 0

    def add(self, key: Key, since: float) -> None:
        if key in self.at_work:
            self.again.add(key)
        elif key not in [waiting for waiting, _ in self.ready]:
            self.ready.append((key, since))

    def add_at(self, key: Key, due: float) -> None:
        earliest = min([due, *(other for other, waiting in self.later if waiting == key)])
        self.later = sorted([*(entry for entry in self.later if entry[1] != key), (earliest, key)])

    def drop(self, key: Key) -> None:
        self.ready = [entry for entry in self.ready if entry[0] != key]
        self.later = [entry for entry in self.later if entry[1] != key]
        self.again.discard(key)
        self.failures[key] = 0

    def take(self, now: float) -> Turn | None:
        for due, key in [entry for entry in self.later if entry[0] <= now]:
            self.later.remove((due, key))
            self.add(key, due)
        if not self.ready:
            return None
        key, since = self.ready.pop(0)
        self.at_work.add(key)
        return Turn(key, now - since)

    def done(self, key: Key, now: float) -> None:
        self.at_work.discard(key)
        self.handled.add(key)
        if key in self.again:
            self.again.discard(key)
            self.add(key, now)


class QueueMachine(RuleBasedStateMachine):
    """Every call, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.loop = asyncio.new_event_loop()
        self.queue = WorkQueue(lambda: self.now)
        self.naive = Naive()

    def teardown(self) -> None:
        self.loop.close()

    @rule(key=keys)
    def add(self, key: Key) -> None:
        self.queue.add(key)
        self.naive.add(key, self.now)

    @rule(key=keys, after=seconds)
    def add_after(self, key: Key, after: float) -> None:
        self.queue.add_after(key, after)
        self.naive.add_at(key, self.now + max(0.0, after))

    @rule(key=keys)
    def retry(self, key: Key) -> None:
        pause = self.queue.retry(key)
        expected = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** self.naive.failures[key])
        assert 0.75 * expected <= pause <= 1.25 * expected
        self.naive.failures[key] += 1
        self.naive.add_at(key, self.now + pause)

    @rule(key=keys)
    def forget_failures(self, key: Key) -> None:
        self.queue.forget_failures(key)
        self.naive.failures[key] = 0

    @rule(key=keys)
    def drop(self, key: Key) -> None:
        self.queue.drop(key)
        self.naive.drop(key)

    @rule()
    def begin_look(self) -> None:
        self.queue.begin_look()
        self.naive.handled.clear()

    @rule(after=seconds.filter(lambda s: s > 0))
    def wait(self, after: float) -> None:
        self.now += after

    @rule()
    def take(self) -> None:
        turn = self.loop.run_until_complete(self._take())
        expected = self.naive.take(self.now)
        assert turn == expected

    async def _take(self) -> Turn | None:
        """A turn, if there is one now; a worker that would have to wait goes away again."""
        worker = asyncio.create_task(self.queue.take())
        for _ in range(3):
            await asyncio.sleep(0)
        if worker.done():
            return worker.result()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return None

    @precondition(lambda self: self.naive.at_work)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.naive.at_work)))
        self.queue.done(key)
        self.naive.done(key, self.now)

    @invariant()
    def as_many_wait(self) -> None:
        assert len(self.queue) == len(self.naive.ready)

    @invariant()
    def busy_with_the_same(self) -> None:
        assert [self.queue.busy_with(key) for key in KEYS] == [self.naive.busy_with(key) for key in KEYS]


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def test_the_pause_grows_to_its_bound_and_no_further() -> None:
    queue = WorkQueue(lambda: 0.0)
    pauses = [queue.retry(KEYS[0]) for _ in range(2000)]
    for number, pause in enumerate(pauses):
        assert pause == pytest.approx(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(number, 60)), rel=0.25)
    assert len(set(pauses[20:])) > 1900, "after an outage not everybody comes back at once"
    queue.forget_failures(KEYS[0])
    assert queue.retry(KEYS[0]) == pytest.approx(BACKOFF_FIRST_S, rel=0.25)
