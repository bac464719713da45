"""`POST /indicators`: small requests through the cache, large ones at once on a replica."""

import asyncio
import logging
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from luna_serving.access.charges import Charges
from luna_serving.access.denials import Charge
from luna_serving.capabilities.indicators.cache.lookup import Found, Lookup
from luna_serving.capabilities.indicators.cache.status import BYPASSED, Outcome, combined
from luna_serving.capabilities.indicators.calls.computing import Computing
from luna_serving.capabilities.indicators.calls.resolving import Resolving
from luna_serving.capabilities.indicators.calls.single import respond
from luna_serving.capabilities.indicators.compute import label_of
from luna_serving.capabilities.indicators.jobs.batches import Batch, InlineBars, Instrument, Order, length
from luna_serving.capabilities.indicators.jobs.tasks import Task
from luna_serving.capabilities.indicators.metrics import CacheMetrics
from luna_serving.capabilities.indicators.rendering.answers import FORMS, tag_of, tagged
from luna_serving.capabilities.indicators.rendering.pieces import Piece
from luna_serving.capabilities.indicators.wire.batch import BatchLimits, parse_batch
from luna_serving.dispatch.call import Call
from luna_serving.dispatch.gate import Gate
from luna_serving.dispatch.outcomes import Failed, Refused, Unavailable
from luna_serving.dispatch.pieces import Body
from luna_serving.edge.bodies import hang_up_detector
from luna_serving.edge.operation import Answer, Asked
from luna_serving.jobs.routes.wire import matches
from luna_serving.prices.located import Located
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_serving.wire.tabular import JSON, acceptable
from luna_store.quota.debits import Debit, Decision, Grant, StoreUnavailable
from luna_store.quota.debits import Outcome as Decided

log = logging.getLogger("luna.indicators")

ROUTE: Final = "indicators"
# Bodies above this size are parsed off the event loop.
ASIDE_BYTES: Final = 64 * 1024
# Items whose errors the header lists.
LISTED: Final = 20
# Names of limits that an account may have.
MAX_SERIES_LENGTH: Final = "max_series_length"
MAX_SERIES_PER_REQUEST: Final = "max_series_per_request"
HISTORY_DAYS: Final = "history_days"


Answered = tuple[bytes | Body, str, bytes] | Failed | Refused | Unavailable
"""The body, its entity tag and the value of Cache-Status, or why there are none."""


@dataclass(frozen=True, slots=True)
class BatchJob:
    """What the gate sends on."""

    batch: Batch
    cached: bool
    """Whether its histories are looked for in the cache."""
    if_none_match: str | None = None
    """Of the request."""


class BatchAnswering:
    """The replica of the gate: looks up or computes, and renders."""

    def __init__(self, lookup: Lookup, computing: Computing, metrics: CacheMetrics) -> None:
        self._lookup = lookup
        self._computing = computing
        self._metrics = metrics

    async def answer(self, jobs: Sequence[BatchJob]) -> Sequence[Answered]:
        """What jobs are answered with, in order.

        Raises:
            ReplicaUnavailable: none could compute.
        """
        return await asyncio.gather(*(self._answered(job) for job in jobs))

    async def _answered(self, job: BatchJob) -> Answered:
        batch = job.batch
        if not job.cached:
            return await self._computed(job)
        # One task per pair, by key: two indicators of a request may be the same.
        tasks = {(place, order.id): _task(batch, place, order) for place, order in _pairs(batch)}
        by_key = {task.key: task for task in tasks.values()}
        found = dict(zip(by_key, await self._lookup.find(list(by_key.values())), strict=True))
        pieces: list[Piece] = []
        statuses = []
        for place, order in _pairs(batch):
            result = found[tasks[place, order.id].key]
            if not isinstance(result, Found):
                return result
            statuses.append(result.status)
            instrument = batch.instruments[place]
            history = result.kept.history
            shown = batch.window.cut(history, _located(instrument))
            pieces.append(Piece(label_of(order, instrument, batch.adjust), history, shown))
        answer, tag = await asyncio.to_thread(tagged, pieces, batch.errors, batch.form)
        return answer, tag, combined(statuses).header()

    async def _computed(self, job: BatchJob) -> Answered:
        batch, status = job.batch, BYPASSED.header()
        self._metrics.requests[Outcome.BYPASS].inc(batch.pairs)
        tag = await asyncio.to_thread(tag_of, batch)
        if matches(job.if_none_match, tag):
            return b"", tag, status
        body = await self._computing.batch(batch)
        return (body, tag, status) if isinstance(body, bytes | Body) else body


def _pairs(batch: Batch) -> list[tuple[int, Order]]:
    return [(place, order) for place in range(len(batch.instruments)) for order in batch.orders]


def _task(batch: Batch, place: int, order: Order) -> Task:
    located, benchmark = batch.instruments[place], order.benchmark
    assert isinstance(located, Located)  # noqa: S101  inline bars are not cached
    assert benchmark is None or isinstance(benchmark, Located)  # noqa: S101  likewise
    return Task(located, batch.adjust, order.formula, benchmark)


class BatchCalls:
    """Serves the route."""

    def __init__(
        self, gate: Gate, charges: Charges, resolving: Resolving, limits: BatchLimits, *, cached_pairs: int
    ) -> None:
        """Wire it.

        Args:
            gate: whose replica is `BatchAnswering.answer`.
            charges: takes the units.
            resolving: looks names up.
            limits: of a request.
            cached_pairs: larger requests are not looked for in the cache.
        """
        self._gate = gate
        self._charges = charges
        self._resolving = resolving
        self._limits = limits
        self._cached_pairs = cached_pairs

    async def serve(self, asked: Asked) -> Answer:
        """Answer a call."""
        form = acceptable(asked.headers.get(b"accept", b"*/*").decode("latin-1") or "*/*", FORMS)
        body = await asked.json()
        if len(body) > ASIDE_BYTES:
            loop = asyncio.get_running_loop()
            call = await loop.run_in_executor(asked.aside, parse_batch, body, self._limits)
        else:
            call = parse_batch(body, self._limits)

        async def granted(grants: Sequence[Grant]) -> Mapping[Grant, bool]:
            return await self._granted(asked, grants)

        days = asked.standing.limits.get(HISTORY_DAYS)
        batch = await self._resolving.batch(asked.account_id, call, form, days, granted)
        self._check_size(batch)
        cached = batch.pairs <= self._cached_pairs and call.bars is None
        header = asked.headers.get(b"if-none-match")
        known = None if header is None else header.decode("latin-1")
        (answer, tag, status), standing = await self._charged(asked, BatchJob(batch, cached, known))
        asked.standing = standing
        missed = _missed(batch) if form != JSON else ()
        if isinstance(answer, Body):
            shown = respond(b"", tag, status, form, None)
            length = (b"content-length", str(answer.size).encode())
            return Answer(aiter(answer), shown.status, [*shown.headers, *missed, length])
        shown = respond(answer, tag, status, form, known)
        return Answer(shown.body, shown.status, [*shown.headers, *missed])

    async def _charged(self, asked: Asked, job: BatchJob) -> tuple[tuple[bytes | Body, str, bytes], Any]:
        batch = job.batch
        debit = Debit(
            account_id=asked.account_id,
            key_prefix=asked.credential.key_prefix,
            key_digests=asked.credential.key_digests,
            units=batch.pairs,
            debit_id=uuid.UUID(bytes=secrets.token_bytes(16), version=4),
            route=ROUTE,
            amounts=amounts_of(batch),
        )

        def attempt() -> Any:  # noqa: ANN401  an awaitable of the gate's answer
            gate_call = Call(debit, job, max(1, batch.bars), hang_up_detector(asked.receive))
            return self._gate.serve(gate_call, asked.seconds, asked.seconds)

        return await self._charges.charge(Charge(asked.credential, debit, _limit_error), attempt)

    async def _granted(self, asked: Asked, grants: Sequence[Grant]) -> Mapping[Grant, bool]:
        nothing = Charge.nothing(asked.credential, asked.account_id, ROUTE).debit
        debits = [replace(nothing, debit_id=uuid.uuid4(), grant=grant) for grant in grants]
        may: dict[Grant, bool] = {}
        for grant, decision in zip(grants, await self._charges.admit(debits), strict=True):
            if isinstance(decision, StoreUnavailable):
                raise problems.dependencies_gone("The quota store")
            may[grant] = _is_granted(decision)
        return may

    def _check_size(self, batch: Batch) -> None:
        if len(batch.instruments) > self._limits.max_symbols:
            # Of a data set: the body has named no more.
            wrong = (
                f"Holds {len(batch.instruments)} instruments; an answer may hold {self._limits.max_symbols}. Name some "
                "of them in `symbols`, or create a job of kind indicators."
            )
            raise problems.invalid(FieldError("/dataset", wrong))
        numbers = sum(batch.window.about(length(each), _located(each)) for each in batch.instruments) * len(
            batch.orders
        )
        most = self._limits.max_answer_numbers
        if numbers > most:
            wrong = (
                f"Asks for about {numbers} numbers; an answer may hold {most}. Give a later `start`, split the call, "
                "or create a job of kind indicators."
            )
            raise problems.invalid(FieldError("/indicators", wrong))


def _located(instrument: Instrument) -> Located | None:
    return instrument if isinstance(instrument, Located) else None


def _missed(batch: Batch) -> Sequence[tuple[bytes, bytes]]:
    """Luna-Errors: the items without an answer, for forms that have no place for them."""
    if not batch.errors:
        return ()
    listed = ", ".join(
        f"{quote(each.symbol or '-')}/{quote(each.id)}={each.type.rpartition('/')[2]}" for each in batch.errors[:LISTED]
    )
    return [(b"luna-errors", listed.encode())]


def amounts_of(batch: Batch) -> Mapping[str, int]:
    """What limits of the account apply to: instruments, and the length of inline bars."""
    inline = [len(each) for each in batch.instruments if isinstance(each, InlineBars)]
    amounts = {MAX_SERIES_PER_REQUEST: len(batch.instruments)}
    return amounts | ({MAX_SERIES_LENGTH: max(inline)} if inline else {})


def _is_granted(decision: Decision) -> bool:
    # Whatever else a decision says, the debit says again, with its reason.
    return decision.outcome is not Decided.GRANT


def _limit_error(limit: str, most: int) -> FieldError:
    if limit == MAX_SERIES_LENGTH:
        return FieldError("/bars/timestamp", f"This account may send {most} bars. Send fewer.")
    return FieldError("/symbols", f"This account may ask for {most} instruments per request. Split the call.")
