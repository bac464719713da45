"""After any failure on the server's side, every call of the batch is answered and none is charged."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.stopping import stopped
from tests.store.stores import PEPPERS, Caller, Store

from luna_serving.access.charges import Charges
from luna_serving.access.credentials import Authenticator, Credential
from luna_serving.access.denials import Charge
from luna_serving.access.denied import Denied
from luna_serving.access.tokens import Tokens
from luna_serving.access.wiring import Access, access
from luna_serving.dispatch.call import Call
from luna_serving.dispatch.estimates import Estimate
from luna_serving.dispatch.gate import Gate, GateLimits, Sharing
from luna_serving.dispatch.outcomes import Refused, ReplicaUnavailable, TimedOut
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.telemetry.metrics import AccessMetrics, DispatchMetrics
from luna_serving.wire.problems import Problem
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.api_keys import ApiKey
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate
from luna_store.quota.debits import Outcome

Compute = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]

GATE_METRICS = DispatchMetrics(CollectorRegistry()).of("kalman")


def access_of(store: Store, timeout_s: float = 4.0) -> Access:
    authenticator = Authenticator(PEPPERS, Tokens(PEPPERS, 900))
    return access(
        store.redis,
        store.quota,
        store.fallback,
        store.cache,
        store.accounts,
        authenticator,
        AccessMetrics(CollectorRegistry()),
        timeout_s=timeout_s,
    )


def gate(store: Store, compute: Compute, **limits: Any) -> tuple[Gate, Charges]:
    charges = access_of(store).charges
    defaults = {"max_batch": 100, "max_batch_points": 1000, "max_queued": 100, "batches_in_flight": 1}
    return Gate(charges, compute, GateLimits(**(defaults | {"request_timeout_s": 5.0} | limits)), GATE_METRICS), charges


def call(caller: Caller, units: int = 1, *, gone: bool = False) -> Call:
    return Call(caller.debit(units), f"job {units}", 1, lambda: gone)


async def outcomes(gate: Gate, *calls: Call, seconds: float = 5.0) -> list[Any]:
    return await asyncio.gather(*(gate.serve(c, seconds, seconds) for c in calls), return_exceptions=True)


async def used_after_refunds(store: Store, charges: Charges, account_id: int) -> int:
    await charges.settle_refunds()
    for _ in range(2):
        await store.settler.settle()
    assert await store.left(account_id) == 500 - await store.used(account_id)
    return await store.used(account_id)


async def echo(jobs: Sequence[Any]) -> Sequence[Any]:
    return jobs


async def test_every_call_of_a_batch_gets_its_own_answer(store: Store) -> None:
    first, second = await store.account(), await store.account()
    served, charges = gate(store, echo)
    answers = await outcomes(served, call(first, 1), call(second, 2), call(first, 3))
    assert [answer for answer, _ in answers] == ["job 1", "job 2", "job 3"]
    assert await used_after_refunds(store, charges, first.account_id) == 4


async def failing(jobs: Sequence[Any]) -> Sequence[Any]:
    raise ZeroDivisionError


async def unavailable(jobs: Sequence[Any]) -> Sequence[Any]:
    raise ReplicaUnavailable("gone")


async def cancelled(jobs: Sequence[Any]) -> Sequence[Any]:
    raise asyncio.CancelledError


async def miscounting(jobs: Sequence[Any]) -> Sequence[Any]:
    return jobs[:1]


async def hanging(jobs: Sequence[Any]) -> Sequence[Any]:
    await asyncio.sleep(60)
    return jobs


@pytest.mark.parametrize(
    ("compute", "status"),
    [(failing, 500), (unavailable, 503), (cancelled, 500), (miscounting, 500), (hanging, 503)],
)
async def test_a_model_that_fails_costs_nobody_anything(store: Store, compute: Compute, status: int) -> None:
    caller = await store.account()
    served, charges = gate(store, compute, request_timeout_s=0.5)
    problems = await outcomes(served, call(caller, 1), call(caller, 2))
    assert [p.status for p in problems] == [status, status]
    assert await used_after_refunds(store, charges, caller.account_id) == 0
    served._compute = echo
    assert (await outcomes(served, call(caller)))[0][0] == "job 1", "the next batch is served"


async def test_a_refused_job_is_named_and_given_back_and_its_neighbour_served(store: Store) -> None:
    caller = await store.account()

    async def refuse_first(jobs: Sequence[Any]) -> Sequence[Any]:
        return [Refused("/results", "Overflows."), *jobs[1:]]

    served, charges = gate(store, refuse_first)
    refused, good = await outcomes(served, call(caller, 2), call(caller, 3))
    assert isinstance(refused, Problem)
    assert (refused.status, refused.extra["errors"][0]["pointer"]) == (422, "/results")
    assert good[0] == "job 3"
    assert await used_after_refunds(store, charges, caller.account_id) == 3


async def test_a_caller_who_hung_up_before_the_debit_is_not_charged(store: Store) -> None:
    caller = await store.account()
    served, charges = gate(store, echo)
    left, stayed = await outcomes(served, call(caller, 2, gone=True), call(caller, 1))
    assert isinstance(left, asyncio.CancelledError)
    assert stayed[0] == "job 1"
    assert await used_after_refunds(store, charges, caller.account_id) == 1


async def test_a_deadline_that_passes_while_computing_is_given_back(store: Store) -> None:
    caller = await store.account()

    async def slow(jobs: Sequence[Any]) -> Sequence[Any]:
        await asyncio.sleep(0.3)
        return jobs

    served, charges = gate(store, slow)
    (late,) = await outcomes(served, call(caller), seconds=0.1)
    assert isinstance(late, Problem)
    assert late.status == 408
    await asyncio.sleep(0.4)
    assert await used_after_refunds(store, charges, caller.account_id) == 0


class Stoppable:
    """A model that computes until it is stopped."""

    def __init__(self) -> None:
        self.stopped: list[Sequence[Any]] = []

    async def compute(self, jobs: Sequence[Any]) -> Sequence[Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.stopped.append(jobs)
            raise
        return jobs


async def test_a_batch_whose_last_caller_has_gone_is_stopped_and_the_next_one_served(store: Store) -> None:
    caller = await store.account()
    model = Stoppable()
    served, charges = gate(store, model.compute)
    here = True
    patient = Call(caller.debit(2), "patient", 1, lambda: not here)
    waiting = asyncio.create_task(outcomes(served, patient, call(caller, 1), seconds=3.0))
    await asyncio.sleep(0.2)
    assert not model.stopped
    here = False
    await asyncio.sleep(0.3)
    assert not model.stopped, "the other caller still waits"
    started = time.monotonic()
    left, late = await waiting
    assert isinstance(left, asyncio.CancelledError)
    assert isinstance(late, Problem)
    assert late.status == 408
    while not model.stopped:
        # It computes for a minute unless it is stopped.
        assert time.monotonic() - started < 30
        await asyncio.sleep(0.01)
    assert [list(jobs) for jobs in model.stopped] == [["patient", "job 1"]]
    served._compute = echo
    assert (await outcomes(served, call(caller, 3)))[0][0] == "job 3"
    assert await used_after_refunds(store, charges, caller.account_id) == 3


async def test_a_job_whose_time_was_over_is_a_deadline_and_its_neighbour_is_served(store: Store) -> None:
    caller = await store.account()

    async def too_late_for_the_first(jobs: Sequence[Any]) -> Sequence[Any]:
        return [TimedOut(), *jobs[1:]]

    served, charges = gate(store, too_late_for_the_first)
    late, good = await outcomes(served, call(caller, 2), call(caller, 3))
    assert isinstance(late, Problem)
    assert (late.status, late.slug) == (408, "deadline")
    assert "after 5 s and not charged" in late.detail
    assert good[0] == "job 3"
    assert await used_after_refunds(store, charges, caller.account_id) == 3


@pytest.mark.parametrize(("seconds", "served"), [(9.9, True), (10.1, False), (1000.0, False)])
async def test_what_takes_more_than_twice_its_time_is_refused_before_it_is_charged(
    store: Store, seconds: float, served: bool
) -> None:
    caller = await store.account()
    charges = access_of(store).charges
    limits = GateLimits(100, 1000, 100, 1, 5.0)
    estimated = Gate(
        charges,
        echo,
        limits,
        GATE_METRICS,
        estimate=lambda job: Estimate(seconds, "/draws", 200, "draws") if job else None,
    )
    (answer,) = await outcomes(estimated, call(caller, 1), seconds=5.0)
    if served:
        assert answer[0] == "job 1"
    else:
        assert isinstance(answer, Problem)
        assert (answer.status, answer.extra["errors"][0]["pointer"]) == (422, "/draws")
        fit = int(200 * 5 / seconds)
        assert f"enough for about {fit} draws of its 200" in answer.extra["errors"][0]["detail"]
    assert await used_after_refunds(store, charges, caller.account_id) == (1 if served else 0)


async def test_calls_of_another_account_do_not_wait_for_a_whole_queue(store: Store) -> None:
    many, one = await store.account(), await store.account()
    batches: list[Sequence[Any]] = []

    async def slow(jobs: Sequence[Any]) -> Sequence[Any]:
        batches.append(jobs)
        await asyncio.sleep(0.01)
        return jobs

    served, _ = gate(store, slow, max_batch=1)
    calls = [Call(many.debit(1), f"many {i}", 1, lambda: False) for i in range(20)]
    await outcomes(served, *calls, Call(one.debit(1), "one", 1, lambda: False))
    assert ["one"] in [list(batch) for batch in batches[:3]]


async def test_an_admission_that_breaks_charges_nobody(store: Store) -> None:
    caller = await store.account()
    served, charges = gate(store, echo)
    debit = store.quota.debit

    async def takes_and_breaks(debits: Sequence[Any]) -> Any:
        await debit(debits)
        raise OverflowError

    store.quota.debit = takes_and_breaks  # type: ignore[method-assign]
    (broken,) = await outcomes(served, call(caller, 2))
    assert isinstance(broken, Problem)
    assert broken.status == 500
    assert await used_after_refunds(store, charges, caller.account_id) == 0


async def test_strangers_stop_nobody_while_postgres_hangs(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two well-formed keys that were never issued, for an account that Redis does not know."""
    folder = tmp_path_factory.mktemp("hanging")
    with PostgresServer(folder / "data", folder) as server:
        migrate(server.url)
        engine = async_engine(server.url)
        store.engine, store.accounts = engine, Accounts(engine, PEPPERS)
        store.cache, store.fallback = AccountCache(engine, store.redis), PostgresQuota(engine)
        caller = await store.account()
        charges = access_of(store, timeout_s=3.0).charges
        limits = GateLimits(
            max_batch=100, max_batch_points=1000, max_queued=100, batches_in_flight=2, request_timeout_s=5.0
        )
        served = Gate(charges, echo, limits, GATE_METRICS)
        assert (await outcomes(served, call(caller)))[0][0] == "job 1"
        with stopped(server.pid, children=True):
            strangers = [asyncio.create_task(stranger(served, charges)) for _ in range(4)]
            await asyncio.sleep(0.2)
            for _ in range(5):
                assert (await outcomes(served, call(caller)))[0][0] == "job 1"
            assert not any(task.done() for task in strangers), "Redis alone decides for an account that it knows"
            assert {await task for task in strangers} == {503}
        await engine.dispose()


async def stranger(served: Gate, charges: Charges) -> int:
    key = ApiKey.issue()
    debit = Caller(999_999, key).debit()
    outcomes = []

    async def attempt() -> Any:
        result, decision = await served.serve(Call(debit, "job 1", 1, lambda: False), 5, 5)
        outcomes.append(decision.outcome)
        return result, decision

    credential = Credential(key.prefix, (PEPPERS.digest(key),), key=key)
    with pytest.raises((Problem, Denied)) as refused:
        await charges.charge(Charge(credential, debit), attempt)
    assert outcomes == [Outcome.UNKNOWN]
    refusal = refused.value
    return refusal.problem.status if isinstance(refusal, Denied) else refusal.status


async def test_an_account_leaves_a_place_for_others_whatever_its_calls_take(store: Store) -> None:
    slow_one, other = await store.account(), await store.account()

    begun, done = asyncio.Event(), asyncio.Event()

    async def compute(jobs: Sequence[Any]) -> Sequence[Any]:
        if "slow" in jobs:
            begun.set()
            await done.wait()
        return jobs

    limits = GateLimits(1, 1000, 100, 2, 30.0)
    served = Gate(access_of(store).charges, compute, limits, GATE_METRICS, sharing=Sharing(per_account=1))
    slow = [asyncio.create_task(outcomes(served, Call(slow_one.debit(1), "slow", 1, lambda: False))) for _ in range(3)]
    await begun.wait()
    assert (await outcomes(served, call(other)))[0][0] == "job 1"
    assert not any(task.done() for task in slow)
    done.set()
    assert [(await task)[0][0] for task in slow] == ["slow"] * 3
