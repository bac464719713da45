"""`GET /indicators/{name}`: the hot route. A hit costs one round trip, the debit, which concurrent calls share."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from luna_serving.access.charges import Charges
from luna_serving.access.denied import Denied
from luna_serving.capabilities.indicators.cache.lookup import Found, Lookup, Result
from luna_serving.capabilities.indicators.cache.memory import Memory
from luna_serving.capabilities.indicators.calls.definitions import Definitions
from luna_serving.capabilities.indicators.calls.places import Places, mixed
from luna_serving.capabilities.indicators.compute import label_of
from luna_serving.capabilities.indicators.jobs.batches import Order
from luna_serving.capabilities.indicators.jobs.tasks import Task
from luna_serving.capabilities.indicators.jobs.windows import Window
from luna_serving.capabilities.indicators.metrics import CacheMetrics
from luna_serving.capabilities.indicators.rendering.answers import tagged
from luna_serving.capabilities.indicators.rendering.pieces import Piece
from luna_serving.capabilities.indicators.wire.formulas import (
    BENCHMARK,
    CAPABILITY,
    Asked,
    asked_for,
    benchmark_missing,
    custom_name,
)
from luna_serving.capabilities.indicators.wire.items import ItemInvalid, unknown_symbol
from luna_serving.capabilities.indicators.wire.query import Wanted, parse_query
from luna_serving.capabilities.indicators.wire.work import SingleJob, SingleWork
from luna_serving.dispatch.call import Call
from luna_serving.dispatch.lanes import Gateway
from luna_serving.dispatch.work import Rendered, Unresolved
from luna_serving.edge.query import Parameters
from luna_serving.jobs.routes.wire import matches
from luna_serving.prices.located import Located
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.quota.debits import Decision, Grant, Outcome, StoreUnavailable

# Answers with more bars are rendered in a thread: 100,000 take 20 ms.
ASIDE_BARS = 20_000


@dataclass(frozen=True, slots=True)
class Parsing:
    """Parses calls; what memory lacks, it looks up."""

    places: Places
    definitions: Definitions

    def parse(self, parameters: Parameters) -> Unresolved:
        """Read path, query and headers; names are looked up when the caller has been recognised.

        Raises:
            Problem: 406 or 422.
        """
        wanted = parse_query(parameters)

        def at_hand(account_id: int) -> SingleWork | None:
            if wanted.frame.as_of is not None or custom_name(wanted.name) is not None:
                return None
            located = self.places.at_hand(account_id, wanted.symbol, wanted.frame.interval)
            if located is None:
                return None
            try:
                asked = asked_for(wanted.name, wanted.params, wanted.frame.gaps.value)
            except ItemInvalid:
                return None  # `look_up` says so, to a caller who has been recognised
            if not asked.needs_benchmark:
                return work_of(wanted, asked, located, None)
            symbol = asked.benchmark or ""
            benchmark = self.places.at_hand(account_id, symbol, wanted.frame.interval)
            if benchmark is None or mixed((located, benchmark)):
                return None
            return work_of(wanted, asked, located, benchmark)

        async def look_up(account_id: int) -> SingleWork:
            try:
                return await self._looked_up(account_id, wanted)
            except ItemInvalid as e:
                raise problem_of(e) from e

        return Unresolved(at_hand, look_up)

    async def _looked_up(self, account_id: int, wanted: Wanted) -> SingleWork:
        frame = wanted.frame
        asked = await self.definitions.asked(account_id, wanted.name, wanted.params, frame.gaps.value)
        if asked.needs_benchmark and asked.benchmark is None:
            raise benchmark_missing(wanted.name)
        symbols = [wanted.symbol, *([asked.benchmark] if asked.benchmark else [])]
        found = await self.places.find(account_id, symbols, frame.interval, frame.as_of)
        if wanted.symbol not in found:
            near = await self.places.near(account_id, [wanted.symbol], frame.interval, frame.as_of)
            raise unknown_symbol(wanted.symbol, frame.interval.value, frame.as_of, near.get(wanted.symbol))
        if asked.benchmark and asked.benchmark not in found:
            raise ItemInvalid("invalid", 422, f"There are no prices of {asked.benchmark[:64]!r}.", "params", BENCHMARK)
        return work_of(wanted, asked, found[wanted.symbol], found[asked.benchmark] if asked.benchmark else None)


def problem_of(error: ItemInvalid) -> Problem:
    """The answer to a call of one indicator: its parameters are those of the query."""
    steps = tuple(step for step in error.steps if step != "params")
    return ItemInvalid(error.slug, error.status, error.detail, *steps).problem("/query")


def work_of(wanted: Wanted, asked: Asked, located: Located, benchmark: Located | None) -> SingleWork:
    """The whole call."""
    task = Task(located, wanted.frame.adjust, asked.formula, benchmark)
    order = Order(wanted.name, asked.formula, asked.params, benchmark)
    return SingleWork(SingleJob(task, order, wanted, asked.grants))


class SingleCalls:
    """Charges and answers calls. Implements `luna_serving.dispatch.lanes.Gateway`.

    Calls whose history is in memory have a gate of their own: they never wait for one that is computed.
    """

    def __init__(
        self, hits: Gateway, others: Gateway, charges: Charges, lookup: Lookup, memory: Memory, metrics: CacheMetrics
    ) -> None:
        """Wire it.

        Args:
            hits: a gate whose replica is `answer_hits`.
            others: a gate whose replica is `Looking.answer`.
            charges: asks for grants of which a call needs several.
            lookup: finds histories.
            memory: keeps rendered answers.
            metrics: counts hits.
        """
        self._hits = hits
        self._others = others
        self._charges = charges
        self._lookup = lookup
        self._memory = memory
        self._metrics = metrics

    async def serve(self, call: Call, left_s: float, asked_s: float) -> tuple[Rendered | None, Decision]:
        """Admit and answer a call; as `Gate.serve`."""
        job: SingleJob = call.job
        if len(job.grants) > 1:
            await self._require(call, job.grants[1:])
        found = self._lookup.at_hand(job.task)
        if found is not None:
            self._metrics.requests[found.status.outcome].inc()
            call.job = replace(job, found=found)
        result, decision = await (self._others if found is None else self._hits).serve(call, left_s, asked_s)
        if result is None or decision.standing is None:
            return None, decision
        days = decision.standing.limits.get("history_days")
        return await self._rendered(job, result, days), decision

    async def _require(self, call: Call, names: Sequence[str]) -> None:
        """Check further grants of an expression; one is the debit's own."""
        await require_grants(self._charges, call, names)

    async def _rendered(self, job: SingleJob, found: Found, days: int | None) -> Rendered:
        wanted, kept = job.wanted, found.kept
        window = Window(wanted.frame.window.start, wanted.frame.window.end, days)
        # All that the bytes depend on beside the history. Not the account: those of one tier share an answer.
        of = (wanted.name, wanted.form, window, job.task.located.last_bar_closed, tuple(job.order.params.items()))
        known = kept.answers.get(of)
        if known is None:
            shown = window.cut(kept.history, job.task.located)
            piece = Piece(label_of(job.order, job.task.located, job.task.adjust), kept.history, shown)
            if shown.stop - shown.start > ASIDE_BARS:
                body, tag = await asyncio.to_thread(tagged, [piece], (), wanted.form)
            else:
                body, tag = tagged([piece], (), wanted.form)
            known = (body, tag), len(body)
            self._memory.answer(found.key, kept, of, *known)
        (body, tag), _ = known
        return respond(body, tag, found.status.header(), wanted.form, wanted.if_none_match)


def respond(body: bytes, tag: str, cache_status: bytes, form: str, if_none_match: str | None) -> Rendered:
    """An answer with its validator, or 304 to a caller who has it."""
    headers = [(b"etag", tag.encode()), (b"vary", b"accept"), (b"cache-status", cache_status)]
    if matches(if_none_match, tag):
        return Rendered(b"", headers, 304)
    return Rendered(body, [(b"content-type", form.encode()), *headers])


async def require_grants(charges: Charges, call: Call, names: Sequence[str]) -> None:
    """Check grants in one round trip, without a charge.

    Raises:
        Denied: 403, one is missing.
        Problem: 503.
    """
    asked = [
        replace(call.debit, units=0, debit_id=uuid.uuid4(), grant=Grant(CAPABILITY, name), amounts={}) for name in names
    ]
    for name, decision in zip(names, await charges.admit(asked), strict=True):
        if isinstance(decision, StoreUnavailable):
            raise problems.dependencies_gone("The quota store")
        if decision.outcome is Outcome.GRANT:
            raise Denied(problems.not_allowed(CAPABILITY, name), decision.standing)
        # Anything else the debit itself will meet, and explain.


async def answer_hits(jobs: Sequence[SingleJob]) -> Sequence[Found | None]:
    """The replica of the gate of hits: the histories are there."""
    return [job.found for job in jobs]


@dataclass(frozen=True, slots=True)
class Looking:
    """The replica of the gate of other calls."""

    lookup: Lookup

    async def answer(self, jobs: Sequence[SingleJob]) -> Sequence[Result]:
        """The histories of calls, in order; calls of the same one share it."""
        tasks = {job.task.key: job.task for job in jobs}
        found = dict(zip(tasks, await self.lookup.find(list(tasks.values())), strict=True))
        return [found[job.task.key] for job in jobs]
