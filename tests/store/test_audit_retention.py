"""Partitions of the audit log: made ahead, dropped when old, and all of them append-only."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError
from tests.store.stores import Store

from luna_serving.capabilities.account.audit.loops import audit_retention
from luna_serving.jobs.background import Background
from luna_store.audit.retention import drop_before, make_partitions
from luna_store.platform.leases import acquire

NOW = datetime(2031, 1, 15, tzinfo=UTC)


async def partitions(store: Store) -> list[str]:
    return await store.scalar(
        "SELECT array_agg(relname::text ORDER BY relname) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
        " WHERE inhparent = 'audit_log'::regclass AND relname LIKE '%y2031%' OR relname LIKE 'audit_log_y2030%'"
        " OR relname = 'audit_log_default' AND c.relkind = 'r'"
    )


async def add(store: Store, at: str) -> None:
    await store.execute(f"INSERT INTO audit_log (at, actor, action, subject) VALUES ('{at}', 'a', 'b.c', 'd')")


async def make(store: Store, now: datetime) -> None:
    async with store.engine.begin() as connection:
        await make_partitions(connection, now)


async def drop(store: Store, cutoff: datetime) -> list[str]:
    async with store.engine.begin() as connection:
        return await drop_before(connection, cutoff)


async def count(store: Store) -> int:
    return await store.scalar("SELECT count(*) FROM audit_log")


async def test_a_month_is_dropped_when_its_last_entry_is_old_enough(store: Store) -> None:
    for now in (NOW, NOW):
        await make(store, now)
    for at in ("2031-01-01", "2031-01-31 23:59:59.999+00", "2031-02-01T00:00:00Z"):
        await add(store, at)
    assert await drop(store, datetime(2031, 1, 31, 23, 59, tzinfo=UTC)) == this_years()
    assert await count(store) == 3
    assert await drop(store, datetime(2031, 2, 1, tzinfo=UTC)) == ["audit_log_y2031m01"]
    assert await count(store) == 1
    assert await partitions(store) == ["audit_log_default", "audit_log_y2031m02", "audit_log_y2031m03"]


def this_years() -> list[str]:
    """Those that the migration made."""
    now = datetime.now(UTC)
    months = [now.year * 12 + now.month - 1 + ahead for ahead in range(3)]
    return [f"audit_log_y{month // 12}m{month % 12 + 1:02}" for month in months]


@pytest.mark.parametrize("statement", ["UPDATE {} SET actor = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
async def test_partitions_that_are_made_later_refuse_changes_too(store: Store, statement: str) -> None:
    await make(store, NOW)
    await add(store, "2031-03-03")
    with pytest.raises(DBAPIError, match="append-only"):
        await store.execute(statement.format("audit_log_y2031m03"))
    assert await count(store) == 1


async def test_the_default_partition_is_emptied_when_all_of_it_is_old(store: Store) -> None:
    await add(store, "2001-02-03")
    await add(store, "2001-05-06")
    assert await drop(store, datetime(2001, 4, 1, tzinfo=UTC)) == []
    assert await count(store) == 2
    assert await drop(store, datetime(2001, 6, 1, tzinfo=UTC)) == ["audit_log_default"]
    assert await count(store) == 0
    await add(store, "2001-02-03")
    with pytest.raises(DBAPIError, match="append-only"):
        await store.execute("TRUNCATE audit_log_default")


async def test_the_loop_keeps_entries_for_as_long_as_is_set(store: Store) -> None:
    lease = await acquire(store.engine, "loop:account.audit", "test", lasts_s=60)
    assert lease is not None
    now = datetime.now(UTC)
    for days in (39, 41):
        await add(store, (now - timedelta(days=days)).isoformat())
    stores = Background(store.engine, store.redis)
    await audit_retention(400).run(stores, lease)
    assert await count(store) == 2
    await audit_retention(40).run(stores, lease)
    assert await count(store) == 2, "both are in the default partition, of which one is too young"
    await audit_retention(30).run(stores, lease)
    assert await count(store) == 0


async def test_a_drop_gives_up_rather_than_to_hold_changes_up(store: Store) -> None:
    await make(store, NOW)
    async with store.engine.connect() as reader:
        await reader.exec_driver_sql("SELECT count(*) FROM audit_log")
        with pytest.raises(DBAPIError, match="lock timeout"):
            await drop(store, datetime(2031, 2, 1, tzinfo=UTC))
    assert "audit_log_y2031m01" in await partitions(store)
