"""A database that is replaced by an empty one gets the schema again, where it belongs to the release."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from luna_operator import database_schema
from luna_operator.database_schema import DatabaseSchema
from luna_store.platform.postgres import ask, async_engine
from luna_store.platform.schema import SchemaMismatch, head, migrate, serves


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_schema, "LOOK_EVERY_S", 0.05)


@asynccontextmanager
async def looking(url: str, *, may_migrate: bool) -> AsyncIterator[DatabaseSchema]:
    engine = async_engine(url)
    schema = DatabaseSchema(engine, url, may_migrate=may_migrate)
    task = asyncio.create_task(schema.run())
    try:
        yield schema
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await engine.dispose()


def lose(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


async def test_a_schema_that_is_lost_is_made_again(fresh_database: str) -> None:
    await asyncio.to_thread(migrate, fresh_database)
    async with looking(fresh_database, may_migrate=True) as schema:
        assert await schema.lacking() is None
        await asyncio.to_thread(lose, fresh_database)
        async with asyncio.timeout(60):
            while await schema.lacking() is not None:  # noqa: ASYNC110  another process's state
                await asyncio.sleep(0.05)
    assert serves(fresh_database)


async def test_serving_sees_a_database_without_a_schema_as_down(fresh_database: str) -> None:
    engine = async_engine(fresh_database)
    try:
        with pytest.raises(ProgrammingError):
            await ask(engine)
        await asyncio.to_thread(migrate, fresh_database)
        await ask(engine)
    finally:
        await engine.dispose()


async def test_a_database_of_somebody_else_is_only_reported(
    fresh_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Programs of other tests may have configured the loggers above it.
    database_schema.log.addHandler(caplog.handler)
    async with looking(fresh_database, may_migrate=False) as schema:
        mismatch = await schema.lacking()
        await asyncio.sleep(1)
        assert await schema.lacking() is not None
    database_schema.log.removeHandler(caplog.handler)
    assert isinstance(mismatch, SchemaMismatch)
    assert (mismatch.found, mismatch.wanted) == (None, head())
    assert "Run `luna migrate`" in str(mismatch)
    assert str(mismatch) in caplog.text
    assert not serves(fresh_database)


async def test_a_newer_schema_lacks_nothing_and_stays(fresh_database: str) -> None:
    await asyncio.to_thread(migrate, fresh_database)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    async with looking(fresh_database, may_migrate=True) as schema:
        await asyncio.sleep(0.5)
        assert await schema.lacking() is None
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
