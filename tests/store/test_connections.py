"""Connections to the two stores: lost peers are noticed, and no password is shown."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.platform.leadership import leadership
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client


@pytest.fixture
async def engine(fresh_database: str):
    engine = async_engine(fresh_database)
    yield engine
    await engine.dispose()


async def test_postgres_notices_within_seconds_that_the_holder_of_a_lock_lost_its_power(engine: AsyncEngine) -> None:
    async with leadership(engine, "a-test") as connection:
        assert connection is not None
        wait_s = int(await connection.scalar(text("SHOW tcp_keepalives_idle")))
        tries = int(await connection.scalar(text("SHOW tcp_keepalives_count")))
        pause_s = int(await connection.scalar(text("SHOW tcp_keepalives_interval")))
    # 0 means the system's default, two hours.
    assert 0 < wait_s + tries * pause_s <= 15
    assert min(wait_s, tries, pause_s) > 0


@pytest.mark.parametrize("password", ["s3cret/word", "s3cret:word/", "s3cret?word", "s3cret#word"])
def test_a_redis_url_that_cannot_be_read_tells_how_to_write_it_and_not_its_password(password: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL must be of the form") as refused:
        redis_client(f"redis://:{password}@host:6379/0")
    assert "s3cret" not in str(refused.value)
    assert "word" not in str(refused.value).replace("password", "")


async def test_a_pod_that_is_frozen_amid_a_transaction_loses_its_locks_within_a_minute(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "30s"
