"""Batches calls, charges them, sends them to a replica, and refunds those that fail on the server's side."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from luna_serving.access.charges import Charges
from luna_serving.dispatch.call import Call
from luna_serving.dispatch.coalescer import Coalescer, QueueFull
from luna_serving.dispatch.estimates import Estimate, too_long
from luna_serving.dispatch.outcomes import Failed, Refused, ReplicaUnavailable, TimedOut, Unavailable
from luna_serving.dispatch.payers import Payers
from luna_serving.telemetry.metrics import GateMetrics
from luna_serving.telemetry.propagation import TRACEPARENT
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.platform.logs import CONTEXT
from luna_store.quota.debits import Decision, StoreUnavailable

if TYPE_CHECKING:
    from luna_store.platform.traces import Traces

log = logging.getLogger("luna.gate")

# How often a gate checks whether a caller still waits for a batch in computation.
LOOK_EVERY_S: Final = 0.05
# Of a batch that fails, a log line names so many requests.
NAMED_REQUESTS: Final = 20


class _Abandoned(Exception):
    """No caller waits for an answer of the batch any more."""


@dataclass(frozen=True, slots=True)
class GateLimits:
    """See `luna_serving.settings.Settings` for units and reasons."""

    max_batch: int
    max_batch_points: int
    max_queued: int
    batches_in_flight: int
    request_timeout_s: float


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the calls of a gate share the replicas; the defaults are those of light calls."""

    weight: Callable[[Call], float] | None = None
    """A call's share of `max_weight`; None: its points, of `GateLimits.max_batch_points`."""
    max_weight: float = 0.0
    per_account: int | None = None
    """Batches in flight at once with a call of the same account; None: `GateLimits.batches_in_flight`."""


class Gate:
    """Admits and computes calls of one capability, in batches."""

    def __init__(
        self,
        charges: Charges,
        compute: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]],
        limits: GateLimits,
        metrics: GateMetrics,
        within: Callable[[Any, float], Any] = lambda job, _: job,
        estimate: Callable[[Any], Estimate | None] = lambda _: None,
        sharing: Sharing = Sharing(),
        *,
        ahead: bool = False,
    ) -> None:
        """Wire a gate.

        Args:
            charges: takes the debits of a batch, and refunds calls that fail on the server's side.
            compute: answers jobs in order, each with a result or an outcome; raises ReplicaUnavailable.
            limits: batch and queue sizes.
            metrics: of the capability; its gates share them.
            within: adapts a job to the seconds that its call has left; by default unchanged.
            estimate: how long a job takes; a call that cannot end in time is refused before it is charged.
            sharing: how its calls share the replicas.
            ahead: its jobs are quick and have no effects: a batch whose callers all paid for their last call is
                computed while its charges are under way. An answer is given for a charge alone.
        """
        self._charges = charges
        self._payers = Payers() if ahead else None
        self._within = within
        self._compute = compute
        self._limits = limits
        self._metrics = metrics
        self._estimate = estimate
        self._counted = 0
        self._coalescer: Coalescer[Call] = Coalescer(
            self._send,
            weight=sharing.weight or (lambda call: call.points),
            max_items=limits.max_batch,
            max_weight=sharing.max_weight if sharing.weight else limits.max_batch_points,
            max_queued=limits.max_queued,
            in_flight=limits.batches_in_flight,
            owner=lambda call: call.debit.account_id,
            in_flight_per_owner=sharing.per_account,
            displaced=lambda call: _fail([call], problems.overloaded),
        )

    async def serve(self, call: Call, left_s: float, asked_s: float) -> tuple[Any, Decision]:
        """Admit and compute a call.

        Args:
            call: the call.
            left_s: seconds until its deadline.
            asked_s: seconds that it had when it arrived.

        Returns:
            The result, or None if the decision is a denial; and the decision.

        Raises:
            Problem: 408, 422, 500 or 503; nothing is charged. 422 also for a call that would take too long.
        """
        estimate = self._estimate(call.job)
        refusal = None if estimate is None else too_long(estimate, asked_s)
        if refusal is not None:
            raise refusal
        call.until, call.asked_s = time.monotonic() + left_s, asked_s
        timer = asyncio.get_running_loop().call_later(left_s, self._give_up, call, asked_s)
        try:
            self._coalescer.submit(call)
            return await call.answer
        except QueueFull as e:
            raise problems.overloaded() from e
        finally:
            timer.cancel()
            # Several gates share the gauge.
            if change := self._coalescer.queued - self._counted:
                self._metrics.queued.inc(change)
                self._counted += change

    @staticmethod
    def _give_up(call: Call, seconds: float) -> None:
        if not call.answer.done():
            call.answer.set_exception(problems.deadline(seconds))

    async def _send(self, batch: Sequence[Call]) -> None:
        calls = [call for call in batch if not call.answer.done() and not _hung_up(call)]
        if not calls:
            return
        self._metrics.batch_calls.observe(len(calls))
        # The task that sends batches was begun by a call that may be of none of them.
        CONTEXT.set(calls[0].context if len(calls) == 1 else None)
        traces = self._metrics.traces
        if traces is None:
            await self._charge(calls)
        else:
            await self._traced(traces, calls)

    async def _traced(self, traces: "Traces", calls: Sequence[Call]) -> None:
        with traces.batch(
            f"batch {self._metrics.capability}",
            [call.debit.traceparent for call in calls if call.debit.traceparent],
            {"luna.capability": self._metrics.capability, "luna.calls": len(calls)},
        ) as traceparent:
            TRACEPARENT.set(traceparent)
            await self._charge(calls)

    async def _charge(self, calls: Sequence[Call]) -> None:
        ahead = self._ahead(calls)
        try:
            decisions = await self._charges.admit([call.debit for call in calls])
        except Exception:
            log.exception("charging failed", extra=self._facts(calls))
            await _dropped(ahead)
            for call in calls:
                self._charges.void_later(call.debit)
            _fail(calls, problems.internal)
            return
        except BaseException:
            await _dropped(ahead)
            raise
        admitted: dict[Call, Decision] = {}
        for call, decision in zip(calls, decisions, strict=True):
            if isinstance(decision, StoreUnavailable):
                _fail([call], lambda: problems.dependencies_gone("The quota store"))
                continue
            if self._payers is not None:
                self._payers.note(call.debit, decision)
            if not decision.admitted:
                _answer(call, None, decision)
            elif call.answer.done() or _hung_up(call):
                self._charges.refund_later(call.debit)
            else:
                admitted[call] = decision
        if not admitted:
            await _dropped(ahead)
        elif ahead is None:
            await self._run(admitted, list(admitted), self._computed(list(admitted)))
        else:
            await self._run(admitted, calls, ahead)

    def _ahead(self, calls: Sequence[Call]) -> asyncio.Task[Sequence[Any]] | None:
        """The computation of calls that are not charged yet; None where it waits for their charges."""
        payers = self._payers
        if payers is None or not all(payers.paid(call.debit) for call in calls):
            return None
        return asyncio.get_running_loop().create_task(self._computed(calls))

    async def _run(
        self, admitted: Mapping[Call, Decision], computed: Sequence[Call], computing: Awaitable[Sequence[Any]]
    ) -> None:
        """Answer the calls that were charged, of those that are computed."""
        calls = list(admitted)
        try:
            answers = await computing
        except _Abandoned:
            self._undo(calls, problems.internal)
            return
        except (ReplicaUnavailable, TimeoutError) as e:
            log.warning("no replica answers: %r", e, extra=self._facts(calls))
            self._undo(calls, problems.overloaded)
            return
        except BaseException as e:  # every caller gets an answer and a refund after any error
            self._undo(calls, problems.internal)
            # Serve raises CancelledError for a call that it cancelled itself: treat it as a failure.
            if not isinstance(e, Exception | asyncio.CancelledError) or _being_cancelled():
                raise
            log.exception("the replica failed", extra=self._facts(calls))
            return
        if len(answers) != len(computed):
            log.error("the replica answered %d of %d jobs", len(answers), len(computed), extra=self._facts(calls))
            self._undo(calls, problems.internal)
            return
        served: dict[str, int] = {}
        for call, answer in zip(computed, answers, strict=True):
            decision = admitted.get(call)
            if decision is None:
                continue
            if isinstance(answer, Failed | Unavailable | TimedOut | Refused):
                self._undo([call], self._problem(call, answer))
            elif call.answer.done():
                self._charges.refund_later(call.debit)
            else:
                self._charges.served(call.debit)
                served[call.debit.route] = served.get(call.debit.route, 0) + call.debit.units
                _answer(call, answer, decision)
        for route, units in served.items():
            self._metrics.units[route,].inc(units)

    def _problem(self, call: Call, answer: Failed | Unavailable | TimedOut | Refused) -> Callable[[], Problem]:
        match answer:
            case Failed():
                log.error("a job failed in the replica", extra=self._facts([call]))
                return problems.internal
            case Unavailable():
                log.warning("a job cannot be answered now: %s", answer.reason, extra=self._facts([call]))
                return problems.overloaded
            case TimedOut():
                return partial(problems.deadline, call.asked_s)
            case Refused():
                return partial(_refusal, answer)

    async def _computed(self, calls: Sequence[Call]) -> Sequence[Any]:
        """The replica's answers; the computation is cancelled once no caller waits.

        Raises:
            _Abandoned: no caller waits any more.
            TimeoutError: the replica took too long.
        """
        jobs = [self._within(call.job, call.until - time.monotonic()) for call in calls]
        started = time.perf_counter()
        computing = asyncio.ensure_future(self._compute(jobs))
        until = time.monotonic() + self._limits.request_timeout_s
        try:
            while not computing.done():
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                await asyncio.wait({computing}, timeout=min(left, LOOK_EVERY_S))
                if not computing.done() and all(call.answer.done() or _hung_up(call) for call in calls):
                    raise _Abandoned
            return computing.result()
        finally:
            computing.cancel()
            self._metrics.replica_seconds.observe(time.perf_counter() - started)

    def _facts(self, calls: Sequence[Call]) -> dict[str, Any]:
        """Members of a log line about calls."""
        named = [call.context for call in calls[:NAMED_REQUESTS] if call.context]
        return {
            "facts": {
                "capability": self._metrics.capability,
                "calls": len(calls),
                "account_ids": sorted({call.debit.account_id for call in calls})[:NAMED_REQUESTS],
                "request_ids": [each["request_id"] for each in named if "request_id" in each],
            }
        }

    def _undo(self, calls: Sequence[Call], problem: Callable[[], Problem]) -> None:
        for call in calls:
            self._charges.refund_later(call.debit)
        _fail(calls, problem)


async def _dropped(computing: asyncio.Task[Sequence[Any]] | None) -> None:
    """Stop a computation that nobody waits for; how it ends does not matter."""
    if computing is not None:
        computing.cancel()
        await asyncio.wait({computing})
        if not computing.cancelled():
            computing.exception()


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _refusal(answer: Refused) -> Problem:
    wrong = [(answer.pointer, answer.detail), *answer.others]
    return problems.invalid(*(problems.FieldError(*each) for each in wrong), facts=answer.facts)


def _hung_up(call: Call) -> bool:
    if call.gone():
        call.answer.cancel()
        return True
    return False


def _answer(call: Call, result: Any, decision: Decision) -> None:  # noqa: ANN401  opaque here
    if not call.answer.done():
        call.answer.set_result((result, decision))


def _fail(calls: Sequence[Call], problem: Callable[[], Problem]) -> None:
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(problem())
