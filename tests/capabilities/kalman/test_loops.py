"""Unused streams are deleted in the background, those in use never."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.store.stores import Store

from luna_serving.capabilities.kalman.loops import loops
from luna_serving.capabilities.kalman.store import streams as streams_module
from luna_serving.capabilities.kalman.store.stream_records import StreamLimits
from luna_serving.capabilities.kalman.store.streams import KalmanStreams
from luna_store.platform.leases import Lease, LeaseLost, acquire, release

UNUSED = timedelta(days=30)


@dataclass
class Platform:
    engine: AsyncEngine


async def held(store: Store) -> Lease:
    lease = await acquire(store.engine, "loop:test", "test", lasts_s=60)
    assert lease is not None
    return lease


async def opened(store: Store, account_id: int, days_ago: float) -> uuid.UUID:
    streams = KalmanStreams(store.engine, StreamLimits(1000, UNUSED * 1000), timeout_s=4)
    claim = await streams.open(account_id, "local_level", "{}")
    await streams.append(claim, 1, 1, state="1", points="[1]", keep=10)
    ago = timedelta(days=days_ago)
    await store.execute("UPDATE kalman_streams SET updated_at = now() - :ago WHERE id = :id", ago=ago, id=claim.id)
    return claim.id


async def ids(store: Store) -> set[uuid.UUID]:
    return set(await store.scalar("SELECT coalesce(array_agg(id), '{}') FROM kalman_streams"))


async def test_streams_that_nobody_used_are_deleted_with_their_answers_for_all_accounts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luna_serving.capabilities.kalman.loops.EXPIRED_AT_ONCE", 3)
    monkeypatch.setattr(streams_module, "EXPIRED_AT_ONCE", 3)
    accounts = [(await store.account()).account_id for _ in range(3)]
    for account_id in accounts:
        for _ in range(4):
            await opened(store, account_id, 30.1)
    used = {await opened(store, account_id, 29.9) for account_id in accounts}
    (loop,) = loops(UNUSED)
    await loop.run(Platform(store.engine), await held(store))
    assert await ids(store) == used
    assert await store.scalar("SELECT count(*) FROM kalman_stream_answers") == len(used)


async def test_a_stream_that_is_being_claimed_is_left_alone_and_waits_for_nobody(store: Store) -> None:
    account_id = (await store.account()).account_id
    claimed, unused = await opened(store, account_id, 31), await opened(store, account_id, 32)
    (loop,) = loops(UNUSED)
    async with store.engine.begin() as claiming, asyncio.timeout(5):
        await claiming.execute(text("UPDATE kalman_streams SET updated_at = now() WHERE id = :id"), {"id": claimed})
        await loop.run(Platform(store.engine), await held(store))
    await opened(store, account_id, 0)
    assert claimed in await ids(store)
    assert unused not in await ids(store)


async def test_without_the_lease_no_stream_is_deleted(store: Store) -> None:
    unused = await opened(store, (await store.account()).account_id, 31)
    lease = await held(store)
    await release(store.engine, lease)
    (loop,) = loops(UNUSED)
    with pytest.raises(LeaseLost):
        await loop.run(Platform(store.engine), lease)
    assert await ids(store) == {unused}
