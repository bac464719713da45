"""Streams of online filtering: whoever dies meanwhile, a point is taken once."""

import asyncio
import random
import uuid
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.store.stores import Store

from luna_serving.capabilities.kalman.store.stream_records import (
    Claim,
    StreamLimits,
    StreamNotFound,
    StreamSuperseded,
    TooManyStreams,
)
from luna_serving.capabilities.kalman.store.streams import KalmanStreams
from luna_store.accounts.accounts import AccountNotFound
from luna_store.platform.postgres import async_engine
from luna_store.quota.debits import StoreUnavailable


def streams_of(engine: AsyncEngine, *, streams: int = 10, unused_days: float = 30) -> KalmanStreams:
    return KalmanStreams(engine, StreamLimits(streams, timedelta(days=unused_days)), timeout_s=4)


async def append(streams: KalmanStreams, claim: Claim, first: int, last: int, keep: int = 100) -> None:
    points = f"[{','.join(str(i) for i in range(first, last + 1))}]"
    await streams.append(claim, first, last, state=f'"{last}"', points=points, keep=keep)


async def test_what_was_appended_is_there_for_the_next_holder(store: Store) -> None:
    streams, account_id = streams_of(store.engine), (await store.account()).account_id
    claim = await streams.open(account_id, "local_level", '{"lag":0}')
    await append(streams, claim, 1, 3)
    await append(streams, claim, 4, 4)
    after = await streams.claim(account_id, claim.id)
    assert (after.sequence, after.state, after.document, after.was_held) == (4, '"4"', '{"lag":0}', True)
    assert [(a.first, a.last, a.points) for a in await streams.answers(after, 2)] == [
        (1, 3, "[1,2,3]"),
        (4, 4, "[4]"),
    ]
    assert [a.first for a in await streams.answers(after, 3)] == [4]


async def test_a_point_is_taken_once_and_in_its_place_only(store: Store) -> None:
    streams, account_id = streams_of(store.engine), (await store.account()).account_id
    claim = await streams.open(account_id, "local_level", "{}")
    await append(streams, claim, 1, 2)
    for first, last in ((1, 2), (2, 3), (4, 4)):
        with pytest.raises(StreamSuperseded):
            await append(streams, claim, first, last)
    after = await streams.claim(account_id, claim.id)
    assert after.sequence == 2
    assert [a.points for a in await streams.answers(after, 0)] == ["[1,2]"]


async def test_of_two_holders_the_later_one_writes(store: Store) -> None:
    streams, account_id = streams_of(store.engine), (await store.account()).account_id
    first = await streams.open(account_id, "local_level", "{}")
    second = await streams.claim(account_id, first.id)
    with pytest.raises(StreamSuperseded):
        await append(streams, first, 1, 1)
    with pytest.raises(StreamSuperseded):
        await streams.answers(first, 0)
    with pytest.raises(StreamSuperseded):
        await streams.claim(account_id, first.id, epoch=first.epoch)
    await streams.release(first)
    await append(streams, second, 1, 1)
    assert (await streams.claim(account_id, first.id)).was_held, "a release by the earlier holder means nothing"


async def test_racing_holders_append_each_point_once(store: Store) -> None:
    streams, account_id = streams_of(store.engine), (await store.account()).account_id
    opened = await streams.open(account_id, "local_level", "{}")
    appended: list[int] = []
    rng = random.Random(1)

    async def race() -> None:
        while True:
            # Holders who do nothing but take the stream from each other would never append.
            await asyncio.sleep(rng.uniform(0, 0.1))
            claim = await streams.claim(account_id, opened.id)
            with suppress(StreamSuperseded):
                for following in range(claim.sequence + 1, 31):
                    await append(streams, claim, following, following)
                    appended.append(following)
                return

    await asyncio.gather(*(race() for _ in range(4)))
    assert sorted(appended) == list(range(1, 31))


async def test_a_released_stream_says_so(store: Store) -> None:
    streams, account_id = streams_of(store.engine), (await store.account()).account_id
    claim = await streams.open(account_id, "local_level", "{}")
    await streams.release(claim)
    assert not (await streams.claim(account_id, claim.id)).was_held
    renewed = await streams.claim(account_id, claim.id)
    assert (renewed.epoch, renewed.was_held) == (claim.epoch + 2, True)


async def test_answers_are_kept_as_far_back_as_asked(store: Store) -> None:
    streams, account_id = streams_of(store.engine), (await store.account()).account_id
    claim = await streams.open(account_id, "local_level", "{}")
    for first in range(1, 20, 2):
        await append(streams, claim, first, first + 1, keep=5)
    kept = await streams.answers(claim, 0)
    assert [a.first for a in kept] == [15, 17, 19], "the message that holds the fifth point back is kept whole"


async def test_a_stream_is_its_accounts_alone_and_goes_with_it(store: Store) -> None:
    streams = streams_of(store.engine)
    mine, other = (await store.account()).account_id, (await store.account()).account_id
    claim = await streams.open(mine, "local_level", "{}")
    await append(streams, claim, 1, 1)
    assert [s.id for s in await streams.page(mine)] == [claim.id]
    assert await streams.page(other) == []
    with pytest.raises(StreamNotFound):
        await streams.claim(other, claim.id)
    with pytest.raises(StreamNotFound):
        await streams.delete(other, claim.id)
    await store.accounts.delete(mine, retain=False)
    assert await store.scalar("SELECT count(*) FROM kalman_stream_answers") == 0
    with pytest.raises(AccountNotFound):
        await streams.open(mine, "local_level", "{}")


async def test_a_deleted_stream_is_gone_for_its_holder(store: Store) -> None:
    streams, account_id = streams_of(store.engine), (await store.account()).account_id
    claim = await streams.open(account_id, "local_level", "{}")
    await streams.delete(account_id, claim.id)
    for gone in (append(streams, claim, 1, 1), streams.answers(claim, 0), streams.claim(account_id, claim.id)):
        with pytest.raises(StreamNotFound):
            await gone
    with pytest.raises(StreamNotFound):
        await streams.delete(account_id, uuid.uuid4())


async def test_the_limit_is_exact_under_a_rush_and_unused_streams_make_room(store: Store) -> None:
    streams, account_id = streams_of(store.engine, streams=3, unused_days=30), (await store.account()).account_id
    opened = await asyncio.gather(
        *(streams.open(account_id, "local_level", "{}") for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(each, Claim) for each in opened) == 3
    assert sum(isinstance(each, TooManyStreams) for each in opened) == 5
    old = next(each for each in opened if isinstance(each, Claim))
    await store.execute("UPDATE kalman_streams SET updated_at = now() - interval '31 days' WHERE id = :id", id=old.id)
    new = await streams.open(account_id, "local_level", "{}")
    assert {old.id, new.id} & {s.id for s in await streams.page(account_id)} == {new.id}


async def test_a_postgres_that_is_gone_is_told_from_one_that_may_have_written(store: Store) -> None:
    nowhere = async_engine("postgresql://nobody:nothing@127.0.0.1:9/none")
    with pytest.raises(StoreUnavailable) as gone:
        await streams_of(nowhere).open(1, "local_level", "{}")
    assert not gone.value.uncertain
    await nowhere.dispose()

    streams, account_id = streams_of(store.engine), (await store.account()).account_id
    claim = await streams.open(account_id, "local_level", "{}")
    slow = KalmanStreams(store.engine, StreamLimits(1, timedelta(days=1)), timeout_s=0.3)
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("LOCK TABLE kalman_streams IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable) as hanging:
            await append(slow, claim, 1, 1)
    assert hanging.value.uncertain


async def test_a_debit_that_two_voided_and_redis_gave_back_as_well_nets_to_nothing(store: Store) -> None:
    for order in ("void first", "debit first", "refund first"):
        caller = await store.account()
        debit = caller.debit()
        await store.quota.debit([debit])
        if order != "void first":
            await store.settler.settle()
        if order == "refund first":
            await store.quota.refund(debit)
            await store.settler.settle()
        assert await store.fallback.void(debit)
        if order != "refund first":
            await store.quota.refund(debit)
        assert not await store.fallback.void(debit)
        for _ in range(2):
            await store.settler.settle()
        assert (await store.used(caller.account_id), await store.left(caller.account_id)) == (0, 500), order
