"""A batch is computed while its charges are under way, for callers who paid for their last call, and for no others."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.dispatch.test_gate import GATE_METRICS, access_of, call, echo, outcomes, used_after_refunds
from tests.store.stores import Caller, Store

from luna_serving.access.charges import Charges
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.dispatch.payers import REMEMBERED, Payers
from luna_serving.wire.problems import Problem
from luna_store.quota.debits import Decision, Outcome

LIMITS = GateLimits(max_batch=100, max_batch_points=1000, max_queued=100, batches_in_flight=2, request_timeout_s=5.0)


class Model:
    """Notes what it computes."""

    def __init__(self) -> None:
        self.computed: list[Any] = []
        self.broken = False

    async def compute(self, jobs: Sequence[Any]) -> Sequence[Any]:
        self.computed += jobs
        if self.broken:
            raise ZeroDivisionError
        return await echo(jobs)


class HeldCharges:
    """Lets debits pass to Redis while it is open."""

    def __init__(self, store: Store) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = asyncio.Event()
        self._debit = store.quota.debit
        store.quota.debit = self  # type: ignore[assignment, method-assign]

    async def __call__(self, debits: Sequence[Any]) -> Any:
        self.waiting.set()
        await self.open.wait()
        return await self._debit(debits)


def served(store: Store, model: Model) -> tuple[Gate, Charges]:
    charges = access_of(store).charges
    return Gate(charges, model.compute, LIMITS, GATE_METRICS, ahead=True), charges


async def held(gate: Gate, charges: HeldCharges, *calls: Any) -> "asyncio.Task[list[Any]]":
    """Serve calls up to their charge."""
    charges.open.clear()
    charges.waiting.clear()
    task = asyncio.create_task(outcomes(gate, *calls))
    await charges.waiting.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    return task


async def test_the_first_call_waits_for_its_charge_and_the_next_does_not(store: Store) -> None:
    caller, model = await store.account(), Model()
    gate, charges = served(store, model)
    held_charges = HeldCharges(store)
    first = await held(gate, held_charges, call(caller, 1))
    assert model.computed == []
    held_charges.open.set()
    assert (await first)[0][0] == "job 1"
    second = await held(gate, held_charges, call(caller, 2))
    assert model.computed == ["job 1", "job 2"]
    assert not second.done(), "an answer waits for its charge"
    held_charges.open.set()
    assert (await second)[0][0] == "job 2"
    assert model.computed == ["job 1", "job 2"]
    assert await used_after_refunds(store, charges, caller.account_id) == 3


async def test_a_stranger_in_the_batch_has_all_wait(store: Store) -> None:
    caller, stranger, model = await store.account(), await store.account(), Model()
    gate, _ = served(store, model)
    held_charges = HeldCharges(store)
    await outcomes(gate, call(caller, 1))
    both = await held(gate, held_charges, call(caller, 2), call(stranger, 3))
    assert model.computed == ["job 1"]
    held_charges.open.set()
    assert [answer for answer, _ in await both] == ["job 2", "job 3"]


async def test_who_has_no_quota_left_gets_no_answer_and_is_computed_ahead_once(store: Store) -> None:
    caller, payer, model = await store.account(), await store.account(), Model()
    gate, charges = served(store, model)
    await outcomes(gate, call(caller, 400), call(payer, 1))
    (nothing, decision), (answer, _) = await outcomes(gate, call(caller, 101), call(payer, 2))
    assert (nothing, decision.outcome, answer) == (None, Outcome.QUOTA, "job 2")
    assert "job 101" in model.computed
    (nothing, decision) = (await outcomes(gate, call(caller, 102)))[0]
    assert (nothing, decision.outcome) == (None, Outcome.QUOTA)
    assert "job 102" not in model.computed
    assert await used_after_refunds(store, charges, caller.account_id) == 400
    assert await used_after_refunds(store, charges, payer.account_id) == 3


async def test_a_wrong_key_is_not_computed_ahead_whoever_paid_for_the_account(store: Store) -> None:
    caller, other, model = await store.account(), await store.account(), Model()
    gate, _ = served(store, model)
    await outcomes(gate, call(caller, 1))
    (nothing, decision) = (await outcomes(gate, call(Caller(caller.account_id, other.key), 2)))[0]
    assert (nothing, decision.admitted) == (None, False)
    assert model.computed == ["job 1"]


async def test_a_model_that_fails_ahead_of_the_charge_costs_nothing(store: Store) -> None:
    caller, model = await store.account(), Model()
    gate, charges = served(store, model)
    await outcomes(gate, call(caller, 1))
    model.broken = True
    (problem,) = await outcomes(gate, call(caller, 2))
    assert isinstance(problem, Problem)
    assert problem.status == 500
    assert model.computed == ["job 1", "job 2"]
    assert await used_after_refunds(store, charges, caller.account_id) == 1


async def test_a_charge_that_breaks_stops_the_computation(store: Store) -> None:
    caller = await store.account()
    stopped = asyncio.Event()

    async def endless(jobs: Sequence[Any]) -> Sequence[Any]:
        if jobs == ["job 1"]:
            return jobs
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.set()
            raise
        return jobs

    charges = access_of(store).charges
    gate = Gate(charges, endless, LIMITS, GATE_METRICS, ahead=True)
    await outcomes(gate, call(caller, 1))
    debit = store.quota.debit

    async def takes_and_breaks(debits: Sequence[Any]) -> Any:
        await debit(debits)
        await asyncio.sleep(0.05)
        raise OverflowError

    store.quota.debit = takes_and_breaks  # type: ignore[method-assign]
    (broken,) = await outcomes(gate, call(caller, 2))
    assert isinstance(broken, Problem)
    assert broken.status == 500
    assert stopped.is_set()
    assert await used_after_refunds(store, charges, caller.account_id) == 1


async def test_it_remembers_those_who_paid_last(store: Store) -> None:
    caller, payers = await store.account(), Payers()
    taken = Decision(Outcome.OK)
    payers.note(caller.debit(), taken)
    for i in range(REMEMBERED - 1):
        payers.note(Caller(-1 - i, caller.key).debit(), taken)
    assert payers.paid(caller.debit())
    payers.note(Caller(-REMEMBERED, caller.key).debit(), taken)
    assert not payers.paid(caller.debit())
