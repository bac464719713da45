"""Accounts of custom resources: applied, taken up again, given keys, ended; killed anywhere and taken up again."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event
from tests.store.stores import PEPPERS, Caller, Store

from luna_store.accounts.accounts import AccountNotFound, AccountSpec
from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.accounts.provisioning import AccountRow, DesiredAccount, KeyGone, NameTaken, Provisioning, differences
from luna_store.quota.debits import Outcome
from luna_store.quota.windows import QuotaWindow

DAY = timedelta(days=1)


def desired(**changes: object) -> DesiredAccount:
    uid = uuid.uuid4()
    values = {"uid": uid, "account_name": f"team/{uid.hex[:8]}", "rate_per_second": 1e5, "rate_burst": 10_000}
    return DesiredAccount(**values | changes)


@pytest.fixture
def provisioning(store: Store) -> Provisioning:
    return Provisioning(store.engine, PEPPERS)


async def caller_of(store: Store, provisioning: Provisioning, row: AccountRow) -> Caller:
    key = await provisioning.issue(row.id)
    await provisioning.confirm(row.id, key.prefix, overlap=timedelta())
    await store.cache.rebuild(row.id)
    return Caller(row.id, key)


async def test_an_account_is_inserted_as_desired(provisioning: Provisioning) -> None:
    wanted = desired(
        display_name="Demand",
        tier="gold",
        state="suspended",
        quota_limit=7,
        quota_window=QuotaWindow.MONTH,
        allowed={"kalman": ["local_level", "arima"], "*": ["*"]},
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        limits={"max_series_length": 100, "max_series_per_request": 3, "history_days": 30},
    )
    row = await provisioning.apply(wanted)
    assert differences(wanted, row) == {}
    assert (row.tier, row.state, row.allowed_models) == ("gold", "suspended", ("local_level", "arima"))
    now = datetime.now(UTC)
    assert row.window_started_at == datetime(now.year, now.month, 1, tzinfo=UTC)
    assert row.keys == ()
    assert await provisioning.find(wanted.uid) == row
    assert await provisioning.find_named(wanted.account_name) == row
    assert await provisioning.find(uuid.uuid4()) is None


async def test_an_unchanged_account_is_not_written(store: Store, provisioning: Provisioning) -> None:
    wanted = desired()
    row = await provisioning.apply(wanted)
    await store.cache.rebuild(row.id)
    before = await store.scalar("SELECT xmin::text || updated_at FROM accounts")
    assert await provisioning.apply(wanted) == replace(row, cache_stale=False)
    assert await store.scalar("SELECT xmin::text || updated_at FROM accounts") == before


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"state": "suspended"}, True),
        ({"quota_limit": 3}, True),
        ({"quota_window": QuotaWindow.DAY}, True),
        ({"rate_per_second": 3.0}, True),
        ({"rate_burst": 3}, True),
        ({"allowed": {"kalman": ["arima"]}}, True),
        ({"expires_at": datetime(2030, 1, 1, tzinfo=UTC)}, True),
        ({"limits": {"max_series_length": 3}}, True),
        ({"limits": {"max_series_per_request": 3}}, True),
        ({"limits": {"history_days": 3}}, True),
        ({"display_name": "x"}, False),
        ({"tier": "gold"}, False),
    ],
)
async def test_each_change_is_written_and_reaches_redis_if_redis_holds_it(
    store: Store, provisioning: Provisioning, change: dict[str, object], stale: bool
) -> None:
    wanted = desired()
    row = await provisioning.apply(wanted)
    await store.cache.rebuild(row.id)
    changed = replace(wanted, **change)
    assert list(differences(changed, row)) == list(change)
    row = await provisioning.apply(changed)
    assert differences(changed, row) == {}
    assert row.cache_stale is stale


async def test_resources_applied_at_once_make_one_row(provisioning: Provisioning) -> None:
    wanted = desired()
    rows = await asyncio.gather(*(provisioning.apply(wanted) for _ in range(6)))
    assert {row.id for row in rows} == {rows[0].id}


async def test_a_name_that_another_account_has_is_refused(store: Store, provisioning: Provisioning) -> None:
    caller = await store.account(account_name="team/a")
    with pytest.raises(NameTaken) as refused:
        await provisioning.apply(desired(account_name="team/a"))
    assert refused.value.account_id == caller.account_id
    assert "luna account delete" in str(refused.value)


@pytest.mark.parametrize("made_by", ["resource", "command line"])
async def test_a_revoked_account_of_the_name_is_taken_up_again(
    store: Store, provisioning: Provisioning, made_by: str
) -> None:
    first = desired(quota_limit=10)
    if made_by == "resource":
        caller = await caller_of(store, provisioning, await provisioning.apply(first))
    else:
        caller = await store.account(account_name=first.account_name, quota_limit=10)
    await store.quota.debit([caller.debit(4)])
    await store.settler.settle()
    await store.accounts.delete(first.account_name, retain=True)
    again = replace(first, uid=uuid.uuid4())
    row = await provisioning.apply(again)
    assert (row.id, row.uid, row.state, row.quota_used, row.keys) == (caller.account_id, again.uid, "active", 4, ())
    await store.cache.rebuild(row.id)
    assert (await store.quota.debit([caller.debit()]))[0].outcome is Outcome.KEY
    renewed = await caller_of(store, provisioning, row)
    assert (await store.quota.debit([renewed.debit(7)]))[0].outcome is Outcome.QUOTA
    assert (await store.quota.debit([renewed.debit(6)]))[0].admitted


async def test_a_resource_that_is_restored_with_its_uid_is_active_again(provisioning: Provisioning) -> None:
    wanted = desired()
    row = await provisioning.apply(wanted)
    await provisioning.end(wanted.uid, retain=True)
    assert (await provisioning.find(wanted.uid)).state == "revoked"
    restored = await provisioning.apply(wanted)
    assert (restored.id, restored.state, restored.cache_stale) == (row.id, "active", True)


def began(window: QuotaWindow, now: datetime) -> datetime:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {"Day": midnight, "Month": midnight.replace(day=1), "Lifetime": datetime(1970, 1, 1, tzinfo=UTC)}[window]


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("after", QuotaWindow)
@pytest.mark.parametrize("before", QuotaWindow)
async def test_another_quota_window_counts_the_debits_in_it_less_what_was_given_back_of_them(
    store: Store, provisioning: Provisioning, before: QuotaWindow, after: QuotaWindow, settled: bool
) -> None:
    wanted = desired(quota_window=before, quota_limit=1000)
    row = await provisioning.apply(wanted)
    caller = await caller_of(store, provisioning, row)
    now = await store.scalar("SELECT now()")
    # (debit's age, units, whether it was given back a second ago)
    history = [(40 * DAY, 1, False), (DAY, 2, False), (DAY, 4, True), (timedelta(), 8, False), (timedelta(), 16, True)]
    insert = "INSERT INTO usage_events VALUES (:stream, :at, :id, :account, :units, 'kalman', :origin)"
    for age, units, given_back in history:
        debit = caller.debit(units)
        of = {"account": row.id, "stream": f"{row.id}-1-{debit.debit_id}", "id": debit.debit_id, "origin": None}
        await store.execute(insert, **of, at=now - age, units=units)
        if given_back:
            of |= {"stream": f"{of['stream']}-r", "id": debit.refund_id, "origin": debit.debit_id}
            await store.execute(insert, **of, at=now, units=-units)
    # What began before is counted only where it lay in the window at that time; not this test's matter.
    counted = [(u, back) for age, u, back in history if now - age >= began(before, now)]
    await store.execute("UPDATE accounts SET quota_used = :used", used=sum(u for u, back in counted if not back))
    kept, returned = caller.debit(32), caller.debit(64)
    await store.quota.debit([kept, returned])
    if settled:
        await store.settler.settle()
    await store.quota.refund(returned)
    await provisioning.apply(replace(wanted, quota_window=after))
    await store.cache.rebuild(row.id)
    for _ in range(2):
        await store.settler.settle()
    expected = 32 + sum(u for age, u, back in history if now - age >= began(after, now) and not back)
    assert await store.used(row.id) == expected
    assert await store.left(row.id) == 1000 - expected


@pytest.mark.parametrize("settled", [True, False])
async def test_a_void_of_an_earlier_debit_gives_a_new_window_nothing(
    store: Store, provisioning: Provisioning, settled: bool
) -> None:
    wanted = desired(quota_limit=100)
    caller = await caller_of(store, provisioning, row := await provisioning.apply(wanted))
    old, new = caller.debit(8), caller.debit(4)
    await store.quota.debit([old])
    await store.settler.settle()
    await store.execute("UPDATE usage_events SET occurred_at = occurred_at - interval '1 day'")
    await store.quota.debit([new, caller.debit(1)])
    if settled:
        await store.settler.settle()
    await store.fallback.void(old)
    await store.fallback.void(new)
    await provisioning.apply(replace(wanted, quota_window=QuotaWindow.DAY))
    for _ in range(3):
        await store.settler.settle()
    assert await store.used(row.id) == 1
    assert await store.left(row.id) == 99


async def test_a_pending_key_opens_the_door_and_the_one_before_stays_until_it_is_confirmed(
    store: Store, provisioning: Provisioning
) -> None:
    row = await provisioning.apply(desired())
    old = await caller_of(store, provisioning, row)
    asked = datetime(2026, 11, 21, tzinfo=UTC)
    new = Caller(row.id, await provisioning.issue(row.id, rotation_requested_at=asked))
    await store.cache.rebuild(row.id)
    assert all(d.admitted for d in await store.quota.debit([old.debit(), new.debit()]))
    assert (await store.fallback.debit(new.debit(), uncertain=False)).admitted
    pending, current = (await provisioning.find(row.uid)).keys
    assert (pending.prefix, pending.pending, pending.current) == (new.key.prefix, True, False)
    assert pending.rotation_requested_at == asked
    assert (current.prefix, current.current) == (old.key.prefix, True)


async def test_a_confirmed_key_is_the_current_one_and_the_others_end_after_the_overlap(
    store: Store, provisioning: Provisioning
) -> None:
    row = await provisioning.apply(desired())
    first = await caller_of(store, provisioning, row)
    second = await provisioning.issue(row.id)
    await provisioning.confirm(row.id, second.prefix, overlap=DAY)
    third = await provisioning.issue(row.id)
    await provisioning.confirm(row.id, third.prefix, overlap=3 * DAY)
    await provisioning.confirm(row.id, third.prefix, overlap=3 * DAY)  # killed before it was noted
    row = await provisioning.find(row.uid)
    assert row.cache_stale
    assert [key.prefix for key in row.keys] == [third.prefix, second.prefix, first.key.prefix]
    assert [key.current for key in row.keys] == [True, False, False]
    now = datetime.now(UTC)
    left = [round((key.expires_at - now) / DAY) for key in row.keys[1:]]
    assert left == [3, 1]  # no key that was retiring already lives longer
    await provisioning.confirm(row.id, third.prefix, overlap=timedelta())
    assert [key.prefix for key in (await provisioning.find(row.uid)).keys] == [third.prefix]


async def test_a_pending_key_that_nobody_has_ends_when_the_next_is_issued(
    store: Store, provisioning: Provisioning
) -> None:
    row = await provisioning.apply(desired())
    lost = Caller(row.id, await provisioning.issue(row.id))
    await store.cache.rebuild(row.id)
    kept = await provisioning.issue(row.id)
    await store.cache.rebuild(row.id)
    assert [key.prefix for key in (await provisioning.find(row.uid)).keys] == [kept.prefix]
    assert (await store.quota.debit([lost.debit()]))[0].outcome is Outcome.KEY
    with pytest.raises(KeyGone, match="issue another"):
        await provisioning.confirm(row.id, lost.key.prefix, overlap=DAY)


async def test_a_key_that_reached_nobody_is_withdrawn_and_forgotten(store: Store, provisioning: Provisioning) -> None:
    row = await provisioning.apply(desired())
    kept = await caller_of(store, provisioning, row)
    key = await provisioning.issue(row.id)
    await store.cache.rebuild(row.id)
    digest = await provisioning.withdraw(row.id, key.prefix)
    assert await store.redis.get(f"key:{digest}") == str(row.id)
    await store.cache.forget_key(digest)
    await store.cache.rebuild(row.id)
    assert not await store.redis.exists(f"key:{digest}")
    assert [key.prefix for key in (await provisioning.find(row.uid)).keys] == [kept.key.prefix]
    # One that is current is in somebody's hands.
    assert await provisioning.withdraw(row.id, kept.key.prefix) is None


async def test_a_retiring_key_cannot_become_the_current_one_again(store: Store, provisioning: Provisioning) -> None:
    row = await provisioning.apply(desired())
    first = await caller_of(store, provisioning, row)
    second = await provisioning.issue(row.id)
    await provisioning.confirm(row.id, second.prefix, overlap=DAY)
    with pytest.raises(KeyGone):
        await provisioning.confirm(row.id, first.key.prefix, overlap=DAY)
    assert (await provisioning.find(row.uid)).keys[0].current


async def test_an_unconfirmed_key_ends_by_itself(store: Store, provisioning: Provisioning) -> None:
    row = await provisioning.apply(desired())
    await provisioning.issue(row.id)
    key = (await provisioning.find(row.uid)).keys[0]
    assert timedelta() < key.expires_at - key.created_at <= DAY
    await store.execute("UPDATE api_keys SET expires_at = now() - interval '1 s'")
    assert (await provisioning.find(row.uid)).keys == ()


@pytest.mark.parametrize("retain", [True, False])
async def test_an_account_that_another_replica_ended_meanwhile_is_not_brought_back(
    provisioning: Provisioning, retain: bool
) -> None:
    wanted = desired()
    seen = await provisioning.apply(wanted)
    await provisioning.end(wanted.uid, retain)
    with pytest.raises(AccountNotFound):
        await provisioning.apply(replace(wanted, quota_limit=7), seen)
    with pytest.raises(AccountNotFound):
        await provisioning.issue(seen.id)
    left = await provisioning.find(wanted.uid)
    assert left is None or (left.state, left.quota_limit, left.keys) == ("revoked", wanted.quota_limit, ())
    # Who has seen that it is ended means what it says.
    assert (await provisioning.apply(wanted, left)).state == "active"


async def test_no_key_is_issued_for_an_account_that_is_gone(provisioning: Provisioning) -> None:
    with pytest.raises(AccountNotFound):
        await provisioning.issue(404)
    with pytest.raises(KeyGone):
        await provisioning.confirm(404, "luna_aaaaaaaa", overlap=DAY)


async def test_keys_issued_and_confirmed_at_once_do_not_deadlock_and_leave_one_current(
    provisioning: Provisioning,
) -> None:
    row = await provisioning.apply(desired())

    async def rotate() -> None:
        key = await provisioning.issue(row.id)
        with suppress(KeyGone):  # another one's issue ended it
            await provisioning.confirm(row.id, key.prefix, overlap=DAY)

    for _ in range(4):
        await asyncio.gather(*(rotate() for _ in range(4)))
    await rotate()
    keys = (await provisioning.find(row.uid)).keys
    assert [key.current for key in keys].count(True) == 1
    assert not any(key.pending for key in keys)


@pytest.mark.parametrize(
    "presented",
    [
        *("", "luna_", "x" * 55, "luna_aaaaaaaa_" + "0" * 32 + "aaaaaa", "k\u00e9y"),
        pytest.param(ApiKey.issue().secret, id="another key"),
    ],
)
async def test_only_the_key_itself_matches(provisioning: Provisioning, presented: str) -> None:
    row = await provisioning.apply(desired())
    key = await provisioning.issue(row.id)
    found = (await provisioning.find(row.uid)).keys[0]
    assert provisioning.matches(found, key.secret)
    assert not provisioning.matches(found, presented)
    assert key.secret not in repr(found)
    assert found.digest not in repr(found)


async def test_a_key_under_a_pepper_that_is_no_longer_known_does_not_match(
    store: Store, provisioning: Provisioning
) -> None:
    row = await provisioning.apply(desired())
    key = await provisioning.issue(row.id)
    found = (await provisioning.find(row.uid)).keys[0]
    assert not Provisioning(store.engine, Peppers.parse("other:" + "p" * 32)).matches(found, key.secret)


@pytest.mark.parametrize("retain", [True, False])
async def test_an_ended_account_is_refused_and_its_ledger_kept_or_gone(
    store: Store, provisioning: Provisioning, retain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luna_store.accounts.rows.PURGED_AT_ONCE", 3)
    wanted = desired()
    caller = await caller_of(store, provisioning, await provisioning.apply(wanted))
    await store.quota.debit([caller.debit() for _ in range(10)])
    await store.settler.settle()
    account_id, digests = await provisioning.end(wanted.uid, retain=retain)
    assert (account_id, digests) == (caller.account_id, [PEPPERS.digest(caller.key)])
    await (store.cache.rebuild(account_id) if retain else store.cache.forget(account_id, digests))
    assert not (await store.quota.debit([caller.debit()]))[0].admitted
    assert await store.scalar("SELECT count(*) FROM usage_events") == (10 if retain else 0)
    assert await store.redis.get(f"key:{digests[0]}") is None
    again = await provisioning.end(wanted.uid, retain=retain)
    assert again == ((account_id, digests) if retain else None)
    if retain:
        assert not (await provisioning.find(wanted.uid)).cache_stale  # nothing was written the second time


async def test_pages_hold_every_account_of_a_resource_once_with_its_keys_in_one_query(
    store: Store, provisioning: Provisioning
) -> None:
    wanted = [desired(quota_limit=n) for n in range(7)]
    ids = [(await provisioning.apply(w)).id for w in wanted]
    await store.account()  # made from the command line: no resource's
    keys = {i: [(await provisioning.issue(i)).prefix] for i in ids[::2]}
    found, after = [], 0
    with counted_statements(store) as statements:
        while rows := await provisioning.page(after, 3):
            found, after = [*found, *rows], rows[-1].id
    assert len(statements) == 3 + 1  # the last page is empty
    assert [row.id for row in found] == ids
    assert {row.id: [key.prefix for key in row.keys] for row in found if row.keys} == keys
    assert [row.uid for row in await provisioning.find_many([w.uid for w in wanted[2:4]])] == [
        w.uid for w in wanted[2:4]
    ]
    assert await provisioning.find_many([]) == []
    usage = await provisioning.usage_page(ids[1], 3)
    assert [(row.id, row.uid, row.quota_limit) for row in usage] == [(ids[n], wanted[n].uid, n) for n in (2, 3, 4)]
    assert usage[0].quota_window is QuotaWindow.LIFETIME


@contextmanager
def counted_statements(store: Store) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(store.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(store.engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "revoked"},
        {"allowed": {"kalman": ("a\nb",)}},
        {"quota_limit": -1},
        {"rate_burst": 0},
    ],
)
def test_what_the_table_would_refuse_is_refused_by_name(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        desired(**change)


@pytest.mark.parametrize(
    ("name", "value"), [("max_series_length", 0), ("max_series_per_request", -1), ("history_days", 2**31)]
)
def test_a_limit_out_of_its_bounds_is_refused_by_name(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must lie between 1 and"):
        desired(limits={name: value})


def test_a_limit_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="max_seires is not a limit; the limits are max_series_length"):
        desired(limits={"max_seires": 3})


def test_the_command_line_has_the_same_limits() -> None:
    with pytest.raises(ValueError, match="history_days must lie between 1 and"):
        AccountSpec("a/b", limits={"history_days": 0})
