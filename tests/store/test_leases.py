"""A lease has one holder at a time, by Postgres' clock; what an earlier holder has not committed never will be."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.platform import leases
from luna_store.platform.leases import Lease, LeaseLost, acquire, check_fence, fenced, release, renew
from luna_store.platform.postgres import async_engine

NAME = "test"


@pytest.fixture
async def engine(migrated_database: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(migrated_database)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE written (id bigserial PRIMARY KEY, token bigint)"))
    yield engine
    await engine.dispose()


async def take(engine: AsyncEngine, lasts_s: float = 30.0) -> Lease:
    lease = await acquire(engine, NAME, "somebody", lasts_s=lasts_s)
    assert lease is not None
    return lease


async def expire(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE leases SET expires_at = clock_timestamp()"))


async def write(engine: AsyncEngine, lease: Lease) -> None:
    async with fenced(engine, lease) as connection:
        await connection.execute(text("INSERT INTO written (token) VALUES (:t)"), {"t": lease.token})


async def written(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as connection:
        return list(await connection.scalars(text("SELECT token FROM written ORDER BY id")))


async def test_a_held_lease_is_nobody_elses(engine: AsyncEngine) -> None:
    await take(engine)
    assert await acquire(engine, NAME, "another", lasts_s=30) is None
    assert await acquire(engine, "another name", "another", lasts_s=30) is not None


async def test_of_many_that_ask_at_once_one_gets_it(engine: AsyncEngine) -> None:
    for _ in range(10):
        asked = await asyncio.gather(*(acquire(engine, NAME, str(i), lasts_s=30) for i in range(8)))
        (held,) = [lease for lease in asked if lease is not None]
        await release(engine, held)
    # Also of leases that expire.
    for _ in range(10):
        asked = await asyncio.gather(*(acquire(engine, NAME, str(i), lasts_s=30) for i in range(8)))
        assert sum(lease is not None for lease in asked) == 1
        await expire(engine)


async def test_every_holder_has_a_larger_token_than_all_before(engine: AsyncEngine) -> None:
    tokens = []
    for i in range(6):
        lease = await take(engine)
        tokens.append(lease.token)
        await (release(engine, lease) if i % 2 else expire(engine))
    assert tokens == sorted(set(tokens))


async def test_a_renewed_lease_lasts_longer(engine: AsyncEngine) -> None:
    lease = await take(engine, lasts_s=2.0)
    for _ in range(4):
        await asyncio.sleep(0.6)
        await renew(engine, lease)
        assert await acquire(engine, NAME, "another", lasts_s=1) is None
    await write(engine, lease)


async def test_a_lease_that_is_not_renewed_is_free_after_its_lifetime_and_no_sooner(engine: AsyncEngine) -> None:
    before = time.monotonic()
    await take(engine, lasts_s=1.0)
    taken = time.monotonic()
    while await acquire(engine, NAME, "another", lasts_s=1) is None:  # noqa: ASYNC110  Postgres sets no Event
        await asyncio.sleep(0.02)
    assert time.monotonic() - before >= 1.0
    assert time.monotonic() - taken < 1.0 + 3.0


@pytest.mark.parametrize("how", ["expired", "taken by another", "released", "released and taken by another"])
async def test_a_former_holder_neither_writes_nor_renews(engine: AsyncEngine, how: str) -> None:
    lease = await take(engine)
    await (expire(engine) if how in ("expired", "taken by another") else release(engine, lease))
    later = await take(engine) if "another" in how else None
    with pytest.raises(LeaseLost):
        await write(engine, lease)
    with pytest.raises(LeaseLost):
        await renew(engine, lease)
    await release(engine, lease)
    assert await written(engine) == []
    if later is not None:
        await write(engine, later)
        await renew(engine, later)


async def test_nobody_acquires_before_what_was_fenced_has_ended(engine: AsyncEngine) -> None:
    lease = await take(engine, lasts_s=0.5)
    async with engine.begin() as connection:
        await check_fence(connection, lease.name, lease.token)
        await asyncio.sleep(0.8)
        # The lease has ended; the transaction has not.
        assert await acquire(engine, NAME, "another", lasts_s=30) is None
        await connection.execute(text("INSERT INTO written (token) VALUES (:t)"), {"t": lease.token})
    later = await take(engine)
    await write(engine, later)
    assert await written(engine) == [lease.token, later.token]


async def test_an_open_fenced_transaction_keeps_no_renewal_waiting(engine: AsyncEngine) -> None:
    lease = await take(engine)
    async with fenced(engine, lease):
        async with asyncio.timeout(2):
            await renew(engine, lease)


async def test_a_fence_that_waits_for_an_acquisition_sees_it(engine: AsyncEngine) -> None:
    lease = await take(engine)
    async with engine.begin() as acquiring:
        await acquiring.execute(text("SELECT FROM leases FOR UPDATE"))
        writing = asyncio.create_task(write(engine, lease))
        await asyncio.sleep(0.3)
        assert not writing.done()
        await acquiring.execute(text("UPDATE leases SET token = token + 1"))
    with pytest.raises(LeaseLost):
        await writing
    assert await written(engine) == []


async def test_a_holder_that_rests_in_a_fenced_transaction_is_thrown_out(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "FENCED_IDLE_S", 0.5)
    lease = await take(engine, lasts_s=0.5)

    async def rest() -> None:
        async with fenced(engine, lease) as connection:
            await connection.execute(text("INSERT INTO written (token) VALUES (1)"))
            await asyncio.sleep(2.0)

    resting = asyncio.create_task(rest())
    await asyncio.sleep(1.3)
    later = await take(engine)
    with pytest.raises(SQLAlchemyError):
        await resting
    await write(engine, later)
    assert await written(engine) == [later.token]
    async with engine.connect() as connection:
        assert await connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "30s"


async def test_racing_holders_write_in_the_order_of_their_tokens(engine: AsyncEngine) -> None:
    rng = random.Random(7)
    done = time.monotonic() + 6

    async def hold_too_long() -> None:
        while time.monotonic() < done:
            lease = await acquire(engine, NAME, "racer", lasts_s=0.05)
            if lease is None:
                await asyncio.sleep(rng.uniform(0, 0.02))
                continue
            with suppress(LeaseLost):
                for _ in range(rng.randint(1, 8)):
                    async with fenced(engine, lease) as connection:
                        await asyncio.sleep(rng.uniform(0, 0.03))
                        await connection.execute(text("INSERT INTO written (token) VALUES (:t)"), {"t": lease.token})
                    await asyncio.sleep(rng.uniform(0, 0.03))

    await asyncio.gather(*(hold_too_long() for _ in range(4)))
    tokens = await written(engine)
    assert len(set(tokens)) > 20, "it moved often"
    assert tokens == sorted(tokens)
