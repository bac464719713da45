"""The debit script and its Postgres twin: one suite for both, then what only Redis does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.stores import PEPPERS, Store

from luna_store.limits import in_force
from luna_store.quota import gcra
from luna_store.quota.debits import Debit, Decision, Outcome, StoreUnavailable
from luna_store.quota.windows import QuotaWindow

type_debit = Callable[[Debit], Awaitable[Decision]]


@pytest.fixture(params=["redis", "postgres"])
def debit(request: pytest.FixtureRequest, store: Store) -> type_debit:
    async def in_redis(d: Debit) -> Decision:
        return (await store.quota.debit([d]))[0]

    async def in_postgres(d: Debit) -> Decision:
        return await store.fallback.debit(d, uncertain=False)

    return in_redis if request.param == "redis" else in_postgres


async def settled_used(store: Store, account_id: int) -> int:
    await store.settler.settle()
    return await store.used(account_id)


async def test_an_admitted_debit_takes_its_units_and_tells_the_standing(store: Store, debit: type_debit) -> None:
    caller = await store.account(quota_limit=10, rate_per_second=2.0, rate_burst=5)
    decision = await debit(caller.debit(3))
    assert decision.outcome is Outcome.OK
    assert decision.standing.quota_limit == 10
    assert decision.standing.quota_left == 7
    assert decision.standing.burst == 5
    assert decision.standing.tokens_left == 4
    assert decision.standing.interval_us == 500_000
    assert decision.standing.window_ends_at_ms == 0
    assert await settled_used(store, caller.account_id) == 3


async def test_quota_is_taken_whole_or_not_at_all(store: Store, debit: type_debit) -> None:
    caller = await store.account(quota_limit=5)
    assert (await debit(caller.debit(3))).admitted
    denied = await debit(caller.debit(3))
    assert (denied.outcome, denied.standing.quota_left) == (Outcome.QUOTA, 2)
    assert (await debit(caller.debit(2))).admitted
    assert (await debit(caller.debit(1))).outcome is Outcome.QUOTA
    assert await settled_used(store, caller.account_id) == 5


async def test_a_burst_is_admitted_and_the_next_call_waits_for_one_token(store: Store, debit: type_debit) -> None:
    caller = await store.account(rate_per_second=0.5, rate_burst=3)
    assert [(await debit(caller.debit())).admitted for _ in range(3)] == [True] * 3
    denied = await debit(caller.debit())
    assert denied.outcome is Outcome.RATE
    assert 0 < denied.standing.wait_us <= 2_000_000
    assert denied.standing.retry_after_s in {1, 2}
    assert denied.standing.quota_left == 497, "a denial consumes nothing"


async def test_a_raised_rate_holds_at_once_also_for_who_was_just_refused(store: Store, debit: type_debit) -> None:
    caller = await store.account(rate_per_second=0.001, rate_burst=1)
    assert (await debit(caller.debit())).admitted
    assert (await debit(caller.debit())).standing.wait_us > 900e6
    await store.accounts.update(caller.account_id, rate_per_second=50.0, rate_burst=3)
    await store.cache.rebuild(caller.account_id)
    assert [(await debit(caller.debit())).admitted for _ in range(3)] == [True] * 3


async def test_a_stranger_learns_nothing(store: Store, debit: type_debit) -> None:
    ours, other = await store.account(), await store.account()
    foreign = ours.debit(key_prefix=other.key.prefix, key_digests=(PEPPERS.digest(other.key),))
    forged = ours.debit(key_digests=("0" * 64,))
    assert await debit(foreign) == Decision(Outcome.KEY)
    assert await debit(forged) == Decision(Outcome.KEY)
    assert (await debit(ours.debit(account_id=999_999))).outcome is Outcome.UNKNOWN
    assert await settled_used(store, ours.account_id) == 0


async def test_a_token_vouches_for_a_key_until_it_is_revoked(store: Store, debit: type_debit) -> None:
    caller = await store.account()
    assert (await debit(caller.debit(key_digests=()))).admitted
    await store.accounts.revoke_key(caller.key.prefix)
    await store.cache.rebuild(caller.account_id)
    assert (await debit(caller.debit(key_digests=()))).outcome is Outcome.KEY
    assert (await debit(caller.debit())).outcome is Outcome.KEY


@pytest.mark.parametrize(
    ("changes", "model", "outcome"),
    [
        ({"state": "suspended"}, "", Outcome.SUSPENDED),
        ({"state": "revoked"}, "", Outcome.SUSPENDED),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "", Outcome.EXPIRED),
        ({"expires_at": datetime.now(UTC) + timedelta(days=1)}, "", Outcome.OK),
        ({"allowed_models": ["local_level"]}, "local_linear_trend", Outcome.GRANT),
        ({"allowed_models": ["local_level"]}, "local", Outcome.GRANT),
        ({"allowed_models": ["arima", "local_level"]}, "local_level", Outcome.OK),
        ({"allowed": {"kalman": ["local_level"]}}, "local_linear_trend", Outcome.GRANT),
        ({"allowed": {"kalman": ["*"]}}, "local_level", Outcome.OK),
        ({"allowed": {"kalman": [], "*": ["*"]}}, "local_level", Outcome.GRANT),
        ({"allowed": {"indicators": ["*"]}}, "local_level", Outcome.GRANT),
        ({"allowed": {"indicators": ["sma"], "*": ["*"]}}, "local_level", Outcome.OK),
    ],
)
async def test_a_changed_account_is_held_to_its_change_at_once(
    store: Store, debit: type_debit, changes: dict[str, object], model: str, outcome: Outcome
) -> None:
    caller = await store.account()
    await store.accounts.update(caller.account_id, **changes)
    await store.cache.rebuild(caller.account_id)
    assert (await debit(caller.debit(model=model))).outcome is outcome
    assert await settled_used(store, caller.account_id) == (outcome is Outcome.OK)


@pytest.mark.parametrize(
    ("limits", "units", "length", "exceeded"),
    [
        ({"max_series_per_request": 3}, 3, 10**6, None),
        ({"max_series_per_request": 3}, 4, 1, "max_series_per_request"),
        ({"max_series_length": 100}, 500, 100, None),
        ({"max_series_length": 100}, 1, 101, "max_series_length"),
        ({"max_series_length": 100, "max_series_per_request": 3}, 4, 101, "max_series_per_request"),
        ({}, 500, 10**6, None),
    ],
)
async def test_a_call_beyond_the_accounts_own_limits_is_denied_and_costs_nothing(
    store: Store, debit: type_debit, limits: dict[str, int], units: int, length: int, exceeded: str | None
) -> None:
    caller = await store.account(rate_per_second=0.01, rate_burst=1, **limits)
    decision = await debit(caller.debit(units, length=length))
    assert (decision.outcome, decision.exceeded) == (Outcome.LIMIT if exceeded else Outcome.OK, exceeded)
    if decision.admitted:
        return
    assert decision.standing.limits == in_force(limits)
    assert decision.standing.tokens_left == 1
    assert (await debit(caller.debit())).admitted, "the one token of the rate is still there"
    assert await settled_used(store, caller.account_id) == 1


async def test_limits_are_looked_at_after_the_model_and_before_the_quota(store: Store, debit: type_debit) -> None:
    caller = await store.account(max_series_length=5, allowed_models=["arima"], quota_limit=0)
    assert (await debit(caller.debit(length=6, model="local_level"))).outcome is Outcome.GRANT
    assert (await debit(caller.debit(length=6))).exceeded == "max_series_length"
    assert (await debit(caller.debit(length=5))).outcome is Outcome.QUOTA
    await store.accounts.update(caller.account_id, state="suspended")
    await store.cache.rebuild(caller.account_id)
    assert (await debit(caller.debit(length=6))).outcome is Outcome.SUSPENDED


async def test_the_standing_tells_the_limits_and_is_bound_by_none(store: Store, debit: type_debit) -> None:
    caller = await store.account(max_series_length=5, max_series_per_request=2)
    decision = await debit(caller.debit(0, length=6))
    assert decision.admitted
    assert decision.standing.limits == in_force({"max_series_per_request": 2, "max_series_length": 5})


async def test_limits_that_were_lifted_hold_no_more(store: Store, debit: type_debit) -> None:
    caller = await store.account(max_series_length=5, max_series_per_request=2)
    await store.accounts.update(caller.account_id, limits={})
    await store.cache.rebuild(caller.account_id)
    assert (await debit(caller.debit(3, length=6))).admitted


async def test_a_denied_debit_that_redis_may_have_taken_is_voided_under_limits_too(store: Store) -> None:
    caller = await store.account(quota_limit=10)
    debit = caller.debit(2, length=6)
    assert (await store.quota.debit([debit]))[0].admitted
    await store.accounts.update(caller.account_id, limits={"max_series_length": 5})
    assert (await store.fallback.debit(debit, uncertain=True)).exceeded == "max_series_length"
    assert await settled_used(store, caller.account_id) == 0


async def test_a_rotated_key_works_for_its_overlap_only(store: Store, debit: type_debit) -> None:
    caller = await store.account()
    _, new_key = await store.accounts.rotate_key(caller.account_id, timedelta(seconds=0.4))
    await store.cache.rebuild(caller.account_id)
    fresh = caller.debit(key_prefix=new_key.prefix, key_digests=(PEPPERS.digest(new_key),))
    assert (await debit(caller.debit())).admitted
    assert (await debit(fresh)).admitted
    await asyncio.sleep(0.5)
    assert (await debit(caller.debit())).outcome is Outcome.KEY
    assert (await debit(caller.debit(key_prefix=new_key.prefix, key_digests=()))).admitted


async def test_a_key_made_under_an_older_pepper_is_recognised(store: Store, debit: type_debit) -> None:
    caller = await store.account()
    newer = "f" * 64
    assert (await debit(caller.debit(key_digests=(newer, PEPPERS.digest(caller.key))))).admitted
    assert (await debit(caller.debit(key_digests=(newer,)))).outcome is Outcome.KEY


async def test_asking_for_the_standing_consumes_nothing(store: Store, debit: type_debit) -> None:
    caller = await store.account(quota_limit=1, rate_burst=1, rate_per_second=0.01)
    assert (await debit(caller.debit())).admitted
    for _ in range(3):
        decision = await debit(caller.debit(0))
        assert decision.admitted
        assert decision.standing.quota_left == 0
    assert await settled_used(store, caller.account_id) == 1


async def test_a_day_quota_is_full_again_after_midnight(store: Store, debit: type_debit) -> None:
    caller = await store.account(quota_limit=2, quota_window=QuotaWindow.DAY)
    assert (await debit(caller.debit(2))).admitted
    await store.settler.settle()
    # Yesterday's window, as it is at midnight.
    await store.execute(
        "UPDATE accounts SET window_started_at = window_started_at - interval '1 day' WHERE id = :id",
        id=caller.account_id,
    )
    await store.execute("UPDATE usage_events SET occurred_at = occurred_at - interval '1 day'")
    await store.redis.hset(f"account:{{{caller.account_id}}}", "window_ends_at", int(time.time() * 1000) - 1)
    decision = await debit(caller.debit(2))
    if decision.outcome is Outcome.UNKNOWN:  # Redis asks for the rebuild that rolls the window
        assert await store.cache.rebuild(caller.account_id)
        decision = await debit(caller.debit(2))
    assert decision.admitted
    assert decision.standing.window_ends_at_ms > time.time() * 1000
    assert (await debit(caller.debit())).outcome is not Outcome.OK
    assert await settled_used(store, caller.account_id) == 2


async def test_concurrent_debits_never_overdraw(store: Store) -> None:
    caller = await store.account(quota_limit=50)
    batches = [store.quota.debit([caller.debit() for _ in range(10)]) for _ in range(10)]
    admitted = sum(d.admitted for batch in await asyncio.gather(*batches) for d in batch)
    assert admitted == 50
    assert await store.left(caller.account_id) == 0
    assert await settled_used(store, caller.account_id) == 50


async def test_a_refund_is_given_once(store: Store) -> None:
    caller = await store.account(quota_limit=10)
    debit = caller.debit(4)
    await store.quota.debit([debit])
    assert await store.quota.refund(debit) is True
    assert await store.quota.refund(debit) is False
    assert await store.left(caller.account_id) == 10
    assert await settled_used(store, caller.account_id) == 0
    assert await store.scalar("SELECT count(*) FROM usage_events") == 2, "the ledger shows both"


async def test_a_refund_for_an_account_that_redis_forgot_says_so(store: Store) -> None:
    caller = await store.account()
    debit = caller.debit()
    await store.quota.debit([debit])
    await store.redis.flushdb()
    with pytest.raises(StoreUnavailable):
        await store.quota.refund(debit)


async def test_a_forgotten_script_is_loaded_again_and_nothing_is_taken_twice(store: Store) -> None:
    caller = await store.account()
    await store.quota.debit([caller.debit()])
    await store.redis.script_flush()
    decisions = await store.quota.debit([caller.debit() for _ in range(5)])
    assert all(d.admitted for d in decisions)
    assert await settled_used(store, caller.account_id) == 6


async def test_a_redis_without_memory_counts_as_gone(store: Store) -> None:
    caller = await store.account()
    await store.quota.debit([caller.debit()])
    await store.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable):
            await store.quota.debit([caller.debit()])
    finally:
        await store.redis.config_set("maxmemory", "0")


@pytest.mark.parametrize("rate", [0, -1, 1e-310, 1e9, float("nan"), float("inf")])
async def test_a_rate_that_microseconds_cannot_hold_is_refused(store: Store, rate: float) -> None:
    with pytest.raises(ValueError, match="rate_per_second must lie between"):
        await store.account(rate_per_second=rate)


async def test_an_account_that_expired_at_the_epoch_has_expired(store: Store, debit: type_debit) -> None:
    caller = await store.account(expires_at=datetime(1970, 1, 1, tzinfo=UTC))
    assert (await debit(caller.debit())).outcome is Outcome.EXPIRED


@given(
    st.lists(st.integers(0, 3_000_000), min_size=1, max_size=60),
    st.integers(1, 2_000_000),
    st.integers(1, 20),
)
def test_gcra_admits_at_most_the_burst_plus_what_time_gave_back(gaps: list[int], interval: int, burst: int) -> None:
    now = start = 1_700_000_000_000_000
    tat, admitted = 0, 0
    for gap in gaps:
        now += gap
        rate = gcra.take(tat, now, interval_us=interval, burst=burst)
        tat = rate.tat_us
        admitted += rate.admitted
        assert admitted <= burst + (now - start) / interval
        if not rate.admitted:
            assert gcra.take(tat, now + rate.wait_us, interval_us=interval, burst=burst).admitted
            assert not gcra.take(tat, now + rate.wait_us - 1, interval_us=interval, burst=burst).admitted
