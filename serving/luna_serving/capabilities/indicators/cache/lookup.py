"""Finds histories: in memory, in Redis, or by computing them, once at a time across all replicas."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from luna_serving.capabilities.indicators.cache.breaker import Breaker
from luna_serving.capabilities.indicators.cache.lifetimes import Lifetimes
from luna_serving.capabilities.indicators.cache.memory import Kept, Memory
from luna_serving.capabilities.indicators.cache.shared import CacheGone, SharedCache, Write
from luna_serving.capabilities.indicators.cache.status import Outcome, Status
from luna_serving.capabilities.indicators.jobs.histories import History, NotAHistory, unpacked
from luna_serving.capabilities.indicators.jobs.tasks import Task
from luna_serving.capabilities.indicators.metrics import CacheMetrics
from luna_serving.dispatch.outcomes import Failed, Refused, Unavailable

log = logging.getLogger("luna.indicators")

T = TypeVar("T")
Computed = bytes | Refused | Failed | Unavailable
Compute = Callable[[Sequence[Task]], Awaitable[Sequence[Computed]]]
# Seconds between two looks for a value that another replica computes: first, and at most.
LOOK_S: Final = 0.01
LOOK_MOST_S: Final = 0.1
# Longer values are unpacked in a thread: 1 MB takes 10 ms.
ASIDE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A history, and how it was found."""

    key: str
    kept: Kept
    status: Status


Result = Found | Refused | Failed | Unavailable


class FlightEnded(Exception):
    """The call that computed a history for others was cancelled; ask again."""


class Lookup:
    """For one event loop."""

    def __init__(
        self,
        memory: Memory,
        shared: SharedCache,
        compute: Compute,
        breaker: Breaker,
        lifetimes: Lifetimes,
        metrics: CacheMetrics,
        *,
        timeout_s: float,
        lease_s: float,
        most_value_bytes: int,
    ) -> None:
        """Wire it.

        Args:
            memory: of this replica.
            shared: in Redis.
            compute: answers tasks in order; may raise, and so does `find` then.
            breaker: of Redis.
            lifetimes: how long a history stays fresh.
            metrics: what is counted.
            timeout_s: seconds that Redis has for a round trip before histories are computed instead.
            lease_s: seconds after which the lock of a replica that died ends.
            most_value_bytes: a larger value is not kept in Redis.
        """
        self._memory = memory
        self._shared = shared
        self._compute = compute
        self._breaker = breaker
        self._lifetimes = lifetimes
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._lease_s = lease_s
        self._most_value_bytes = most_value_bytes
        self._flights: dict[str, asyncio.Future[Result]] = {}
        self._background: set[asyncio.Task[None]] = set()

    def at_hand(self, task: Task) -> Found | None:
        """The history of a task if memory has it; a stale one is computed again in the background."""
        key = task.key
        kept = self._memory.get(key)
        if kept is None:
            return None
        ttl = self._memory.ttl_s(kept)
        if ttl > 0:
            return Found(key, kept, Status(Outcome.HIT, int(ttl)))
        if ttl <= -self._lifetimes.stale_s:
            self._memory.drop(key)
            return None
        if self._memory.due(kept):
            self._revalidate(task)
        return Found(key, kept, Status(Outcome.STALE, int(ttl)))

    async def find(self, tasks: Sequence[Task]) -> list[Result]:
        """The histories of tasks, in order; each task at most once.

        Raises:
            ReplicaUnavailable: from `compute`; and whatever else it raises.
        """
        found: dict[str, Result] = {}
        joined: dict[str, asyncio.Future[Result]] = {}
        wanted = {task.key: task for task in tasks}
        own: dict[str, Task] = {}
        for key, task in wanted.items():
            if (present := self.at_hand(task)) is not None:
                found[key] = present
            elif (flight := self._flights.get(key)) is not None:
                joined[key] = flight
            else:
                own[key] = task
        if own:
            found |= await self._fly(own)
        for key, flight in joined.items():
            found[key] = await self._landed(key, flight, wanted[key])
        results = [found[task.key] for task in tasks]
        for result in results:
            if isinstance(result, Found):
                self._metrics.requests[result.status.outcome].inc()
        return results

    async def _landed(self, key: str, flight: asyncio.Future[Result], task: Task) -> Result:
        """What a flight of another call finds; one of its own where that was cancelled, for all who waited for it."""
        while True:
            try:
                return _collapsed(await asyncio.shield(flight))
            except FlightEnded:
                next_flight = self._flights.get(key)
                if next_flight is None:
                    return (await self._fly({key: task}))[key]
                flight = next_flight

    def _revalidate(self, task: Task) -> None:
        if task.key in self._flights:
            return

        async def again() -> None:
            try:
                await self._fly({task.key: task}, revalidate=True)
            except Exception:
                log.exception("a stale history could not be computed again; it is served until it ends")

        self._later(again())

    async def _fly(self, tasks: Mapping[str, Task], *, revalidate: bool = False) -> dict[str, Result]:
        """Find histories that memory lacks, while others of this replica that want the same wait for this one."""
        loop = asyncio.get_running_loop()
        flights: dict[str, asyncio.Future[Result]] = {key: loop.create_future() for key in tasks}
        self._flights |= flights
        try:
            found = await self._from_redis(tasks, revalidate=revalidate)
        except BaseException as e:
            for flight in flights.values():
                if not flight.done():
                    # A call that waits does not share the fate of one whose caller hung up.
                    cause = e if isinstance(e, Exception) else FlightEnded()
                    flight.set_exception(cause)
                    flight.exception()  # nobody may be waiting
            raise
        finally:
            for key in flights:
                self._flights.pop(key, None)
        for key, flight in flights.items():
            flight.set_result(found[key])
        return found

    async def _from_redis(self, tasks: Mapping[str, Task], *, revalidate: bool) -> dict[str, Result]:
        if not self._breaker.admits():
            return await self._computed(tasks, Outcome.BYPASS, {})
        found: dict[str, Result] = {}
        try:
            if not revalidate:
                found = await self._read(tasks)
            tokens = await self._asked(self._shared.lock([k for k in tasks if k not in found], self._lease_s))
        except (CacheGone, TimeoutError) as e:
            self._gone(e)
            missing = {key: task for key, task in tasks.items() if key not in found}
            return found | await self._computed(missing, Outcome.BYPASS, {})
        mine = {key: tasks[key] for key in tokens}
        others = {key: task for key, task in tasks.items() if key not in found and key not in tokens}
        if mine:
            found |= await self._computed(mine, Outcome.MISS, tokens)
        if others:
            found |= await self._awaited(others)
        return found

    async def _awaited(self, tasks: Mapping[str, Task]) -> dict[str, Result]:
        """Histories that other replicas compute; computed here after their lease, should they have died."""
        found: dict[str, Result] = {}
        missing = dict(tasks)
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._lease_s, LOOK_S
        while missing and loop.time() < until:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LOOK_MOST_S)
            try:
                read = await self._read(missing)
            except (CacheGone, TimeoutError) as e:
                self._gone(e)
                break
            found |= {key: _collapsed(each) for key, each in read.items()}
            missing = {key: task for key, task in missing.items() if key not in found}
            if missing:
                found |= await self._inherited(missing)
                missing = {key: task for key, task in missing.items() if key not in found}
        return found | (await self._computed(missing, Outcome.MISS, {}) if missing else {})

    async def _inherited(self, tasks: Mapping[str, Task]) -> dict[str, Result]:
        """Histories whose locks were given back: their holder has stored them, failed, or found them too large."""
        try:
            tokens = await self._asked(self._shared.lock(list(tasks), self._lease_s))
            # A holder stores before it unlocks: what it has stored is there now.
            read = await self._read({key: tasks[key] for key in tokens}) if tokens else {}
        except (CacheGone, TimeoutError) as e:
            self._gone(e)
            return {}
        found = {key: _collapsed(each) for key, each in read.items()}
        if found:
            self._keep_later((), {key: tokens[key] for key in found})
        mine = {key: token for key, token in tokens.items() if key not in found}
        return found | await self._computed({key: tasks[key] for key in mine}, Outcome.MISS, mine)

    async def _read(self, tasks: Mapping[str, Task]) -> dict[str, Result]:
        keys = list(tasks)
        found: dict[str, Result] = {}
        for key, stored in zip(keys, await self._asked(self._shared.get(keys)), strict=True):
            if stored is None:
                continue
            try:
                history = await _unpacked(stored.data)
            except NotAHistory as e:
                log.warning("a value of the cache is not used: %s", e)
                continue
            ttl = stored.left_s - self._lifetimes.stale_s
            kept = self._memory.put(key, history, ttl)
            found[key] = Found(key, kept, Status(Outcome.HIT if ttl > 0 else Outcome.STALE, int(ttl)))
        return found

    async def _computed(
        self, tasks: Mapping[str, Task], outcome: Outcome, tokens: Mapping[str, str]
    ) -> dict[str, Result]:
        """Compute histories, and keep them if Redis answers.

        Args:
            tasks: by key.
            outcome: how they are counted.
            tokens: of the locks that are held for them.
        """
        if not tasks:
            return {}
        try:
            answers = await self._compute(list(tasks.values()))
        except BaseException:
            with suppress(CacheGone, TimeoutError):
                await asyncio.shield(self._asked(self._shared.unlock(tokens)))
            raise
        found: dict[str, Result] = {}
        writes = []
        for (key, task), answer in zip(tasks.items(), answers, strict=True):
            if not isinstance(answer, bytes):
                found[key] = answer
                continue
            fresh = self._lifetimes.of(task)
            kept = self._memory.put(key, await _unpacked(answer), fresh)
            stored = outcome is Outcome.MISS and len(answer) <= self._most_value_bytes
            if stored:
                writes.append(Write(key, answer, fresh + self._lifetimes.stale_s))
            found[key] = Found(key, kept, Status(outcome, stored=stored))
        self._metrics.memory_bytes.set(self._memory.nbytes)
        if writes or tokens:
            self._keep_later(writes, tokens)
        return found

    def _keep_later(self, writes: Sequence[Write], tokens: Mapping[str, str]) -> None:
        """Store values while their callers get their answers."""

        async def keep() -> None:
            try:
                await self._asked(self._shared.put(writes, tokens))
            except (CacheGone, TimeoutError) as e:
                self._gone(e)

        self._later(keep())

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        background = asyncio.get_running_loop().create_task(work)
        self._background.add(background)
        background.add_done_callback(self._background.discard)

    async def _asked(self, question: Awaitable[T]) -> T:
        async with asyncio.timeout(self._timeout_s):
            answer = await question
        self._breaker.succeeded()
        self._metrics.breaker_open.set(0)
        return answer

    def _gone(self, reason: Exception) -> None:
        self._metrics.errors.inc()
        self._breaker.failed()
        if self._breaker.is_open:
            log.warning("the cache is left alone for a while: %s", reason)
            self._metrics.breaker_open.set(1)


async def _unpacked(data: bytes) -> History:
    return unpacked(data) if len(data) <= ASIDE_BYTES else await asyncio.to_thread(unpacked, data)


def _collapsed(result: Result) -> Result:
    if isinstance(result, Found):
        return Found(result.key, result.kept, Status(Outcome.COLLAPSED))
    return result
