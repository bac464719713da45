"""A call that HAProxy sent twice is charged once, for its last attempt, whatever became of each and in any order."""

import itertools
import random
import uuid
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from tests.store.stores import Caller, Store

from luna_store.ledger.attempts import FIND
from luna_store.ledger.booking import book
from luna_store.ledger.event_streams import read_events
from luna_store.quota.attempts import call_of, debit_id, first_and_last
from luna_store.quota.debits import Debit

Attempt = Callable[[Store, Debit], Awaitable[None]]


async def died(store: Store, debit: Debit) -> None:
    """The replica took the debit, and was killed."""
    assert (await store.quota.debit([debit]))[0].admitted


async def refused(store: Store, debit: Debit) -> None:
    """The replica took the debit, failed and gave it back."""
    await died(store, debit)
    assert await store.quota.refund(debit)


async def voided(store: Store, debit: Debit) -> None:
    """Redis took the debit, its answer was lost, and so the replica voided it in Postgres."""
    await died(store, debit)
    assert await store.fallback.void(debit)


async def in_postgres(store: Store, debit: Debit) -> None:
    """Redis was away, so Postgres took the debit."""
    assert (await store.fallback.debit(debit, uncertain=False)).admitted


async def in_both(store: Store, debit: Debit) -> None:
    """Redis took the debit, its answer was lost, and so Postgres was asked, too."""
    await died(store, debit)
    assert (await store.fallback.debit(debit, uncertain=True)).admitted


def units_of(attempt: Attempt) -> int:
    """What the attempt leaves charged, if it is the last one."""
    return 0 if attempt in (refused, voided) else 4


def call() -> bytes:
    return str(uuid.uuid4()).encode()


def test_debits_of_a_call_differ_and_are_known_as_its_own() -> None:
    of_call = call()
    first, second, other = debit_id(of_call), debit_id(of_call), debit_id(call())
    assert first != second
    assert call_of(first) == call_of(second) != call_of(other)
    low, high = first_and_last(first)
    assert low <= second <= high
    assert not low <= other <= high
    assert (first.version, first.variant) == (4, uuid.RFC_4122)


@pytest.mark.parametrize("given", [None, b"", b"x" * 36, b"1" * 35])
def test_without_an_id_of_haproxy_a_debit_is_of_a_call_of_its_own(given: bytes | None) -> None:
    assert call_of(debit_id(given)) != call_of(debit_id(given))


async def test_what_the_last_attempt_leaves_is_charged(store: Store) -> None:
    callers = {}
    for first, last in itertools.product([died, refused, voided, in_postgres, in_both], repeat=2):
        for settled_between in (True, False):
            caller = await store.account(quota_limit=100)
            callers[first.__name__, last.__name__, settled_between] = caller, 1 + units_of(last)
            of_call = call()
            await died(store, caller.debit(1))
            for attempt in (first, last):
                await attempt(store, caller.debit(4, debit_id=debit_id(of_call)))
                if settled_between:
                    await store.settler.settle()
    for _ in range(3):
        await store.settler.settle()
    found = {
        case: (await store.used(caller.account_id), await store.left(caller.account_id), await booked(store, caller))
        for case, (caller, _) in callers.items()
    }
    assert found == {case: (charged, 100 - charged, charged) for case, (_, charged) in callers.items()}


async def booked(store: Store, caller: Caller) -> object:
    """The sum of the account's events in the ledger."""
    return await store.scalar("SELECT sum(units) FROM usage_events WHERE account_id = :id", id=caller.account_id)


@pytest.mark.parametrize("settled_between", [True, False])
async def test_a_refund_of_the_first_attempt_that_comes_last_gives_nothing(store: Store, settled_between: bool) -> None:
    # The first replica lives, but its connection to HAProxy was lost: it takes the caller for gone.
    caller = await store.account(quota_limit=100)
    of_call = call()
    first, last = (caller.debit(4, debit_id=debit_id(of_call)) for _ in range(2))
    await store.quota.debit([first])
    await store.quota.debit([last])
    if settled_between:
        await store.settler.settle()
    await store.quota.refund(first)
    for _ in range(3):
        await store.settler.settle()
    assert await store.used(caller.account_id) == 4
    assert await store.left(caller.account_id) == 96


async def test_attempts_that_are_read_twice_are_booked_once(store: Store) -> None:
    caller = await store.account(quota_limit=100)
    of_call = call()
    for _ in range(3):
        await store.quota.debit([caller.debit(4, debit_id=debit_id(of_call))])
    events = await read_events(store.redis, caller.account_id)
    for expected in (3, 0, 0):  # killed after the commit, before the delete: the same events again
        async with store.engine.begin() as connection:
            assert await book(connection, events) == expected
        assert await store.used(caller.account_id) == 4
    for _ in range(2):
        await store.settler.settle()
    assert await store.used(caller.account_id) == 4
    assert await store.left(caller.account_id) == 96


async def test_another_account_with_the_same_id_is_charged_for_itself(store: Store) -> None:
    of_call = call()
    callers = [await store.account(quota_limit=100) for _ in range(2)]
    for caller in callers:
        await store.quota.debit([caller.debit(4, debit_id=debit_id(of_call))])
        await store.settler.settle()
    assert [await store.used(caller.account_id) for caller in callers] == [4, 4]


async def test_calls_at_random_are_charged_for_their_last_attempts(store: Store) -> None:
    drawn = random.Random(7)
    caller = await store.account(quota_limit=1000)
    charged = 0
    waiting: list[tuple[bytes, list[Attempt]]] = [
        (call(), [drawn.choice([died, refused, voided, in_both]) for _ in range(drawn.randint(1, 4))])
        for _ in range(20)
    ]
    while waiting:
        of_call, attempts = drawn.choice(waiting)
        attempt = attempts.pop(0)
        await attempt(store, caller.debit(4, debit_id=debit_id(of_call)))
        if not attempts:
            waiting.remove((of_call, attempts))
            charged += units_of(attempt)
        if drawn.random() < 0.2:
            await store.settler.settle()
    for _ in range(3):
        await store.settler.settle()
    assert await store.used(caller.account_id) == charged
    assert await store.left(caller.account_id) == 1000 - charged


async def test_attempts_are_looked_for_in_the_index(store: Store) -> None:
    caller = await store.account()
    await store.execute(
        "INSERT INTO usage_events (stream_id, occurred_at, debit_id, account_id, units, route) "
        "SELECT 'x' || n, now(), gen_random_uuid(), :id, 1, 'kalman' FROM generate_series(1, 20000) n",
        id=caller.account_id,
    )
    await store.execute("ANALYZE usage_events")
    ranges = [first_and_last(debit_id(call())) for _ in range(500)]
    async with store.engine.connect() as connection:
        plan = await connection.scalars(
            text(f"EXPLAIN {FIND.text}"),
            {
                "firsts": [low for low, _ in ranges],
                "lasts": [high for _, high in ranges],
                "account_ids": [caller.account_id] * len(ranges),
                "since": await store.scalar("SELECT now() - interval '1 hour'"),
                "at_most": 16,
            },
        )
        assert "Seq Scan on usage_events" not in "\n".join(plan)
