import asyncio
import sys
from datetime import UTC, datetime

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from luna_store.platform.partitions import ensure_partitions, month_starts
from luna_store.platform.postgres import async_engine, sqlalchemy_url, sync_engine
from luna_store.platform.schema import SchemaMismatch, alembic_config, head, migrate, require_current, serves

REVISIONS = [s.revision for s in ScriptDirectory.from_config(alembic_config()).walk_revisions()]


@pytest.mark.parametrize("start", [None, *REVISIONS])
def test_every_earlier_revision_upgrades_to_the_tables_that_the_code_declares(
    fresh_database: str, start: str | None
) -> None:
    if start is not None:
        migrate(fresh_database, start)
    migrate(fresh_database)
    config = alembic_config()
    with sync_engine(fresh_database).connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)  # raises where a table and its declaration differ
    require_current(fresh_database)


def test_an_empty_database_is_refused_with_the_cure(fresh_database: str) -> None:
    with pytest.raises(SchemaMismatch, match="luna migrate"):
        require_current(fresh_database)


@pytest.mark.parametrize("revision", [f"{int(head() or 0) + 1:04}", "9999"])
def test_a_schema_of_a_newer_release_is_served_and_left_alone(
    migrated_database: str, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(migrated_database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
    require_current(migrated_database)
    assert f"revision {revision}, newer than" in caplog.text
    assert serves(migrated_database)
    migrate(migrated_database)
    with psycopg.connect(migrated_database) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]


def test_an_older_schema_is_refused_with_the_cure(fresh_database: str) -> None:
    migrate(fresh_database, "0003")
    with pytest.raises(SchemaMismatch, match=f"revision 0003, this release needs {head()}. Run `luna migrate`"):
        require_current(fresh_database)
    assert not serves(fresh_database)


@pytest.mark.parametrize("revision", ["ae1027a6acf4", "00051", "v2", "0005a"])
def test_a_schema_of_another_program_is_refused(migrated_database: str, revision: str) -> None:
    with psycopg.connect(migrated_database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
    with pytest.raises(SchemaMismatch, match="none of Luna's: check DATABASE_URL"):
        require_current(migrated_database)


async def test_two_releases_that_start_together_migrate_once(fresh_database: str) -> None:
    start = "import sys; from luna_store.platform.schema import migrate; migrate(sys.argv[1])"
    starts = [await asyncio.create_subprocess_exec(sys.executable, "-c", start, fresh_database) for _ in range(3)]
    assert [await process.wait() for process in starts] == [0, 0, 0]
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(head(),)]


async def test_partitions_are_made_ahead_and_a_late_month_stays_in_the_default(migrated_database: str) -> None:
    engine = async_engine(migrated_database)
    insert = "INSERT INTO usage_events VALUES ('{}', '{}', gen_random_uuid(), 1, 1, 'r')"
    with psycopg.connect(migrated_database, autocommit=True) as sql:
        sql.execute(insert.format("late", "2031-02-03"))
        for _ in range(2):
            async with engine.begin() as connection:
                await ensure_partitions(connection, "usage_events", datetime(2031, 1, 15, tzinfo=UTC))
        sql.execute(insert.format("early", "2031-03-04"))
        rows = sql.execute("SELECT tableoid::regclass::text, stream_id FROM usage_events ORDER BY 2").fetchall()
    await engine.dispose()
    assert rows == [("usage_events_y2031m03", "early"), ("usage_events_default", "late")]


async def test_a_partition_waits_for_what_is_being_booked_into_its_month(migrated_database: str) -> None:
    engine = async_engine(migrated_database)

    async def make() -> None:
        async with engine.begin() as connection:
            await ensure_partitions(connection, "usage_events", datetime(2031, 1, 15, tzinfo=UTC))

    with psycopg.connect(migrated_database) as booking:
        booking.execute("INSERT INTO usage_events VALUES ('early', '2031-02-03', gen_random_uuid(), 1, 1, 'r')")
        making = asyncio.create_task(make())
        await asyncio.sleep(0.5)
        assert not making.done()
        booking.commit()
        await making
        rows = booking.execute("SELECT tableoid::regclass::text FROM usage_events").fetchall()
    await engine.dispose()
    assert rows == [("usage_events_default",)]


def test_months_run_over_the_end_of_the_year() -> None:
    starts = month_starts(datetime(2026, 11, 21, tzinfo=UTC))
    assert [f"{s:%Y-%m-%d}" for s in starts] == ["2026-11-01", "2026-12-01", "2027-01-01", "2027-02-01"]


def test_another_database_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with postgresql://"):
        sqlalchemy_url("mysql://localhost/luna")
