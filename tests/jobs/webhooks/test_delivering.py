"""The outbox: nothing is lost while receivers, or deliverers, are down; what is repeated keeps its id."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from tests.jobs.queue.queues import claimed, queued
from tests.jobs.webhooks import deliverer as in_process
from tests.jobs.webhooks.receivers import Receiver, eventually, receiver, until
from tests.store.stores import Caller, Store

from luna_serving.jobs.webhooks.delivering import RETRY_AFTER_S, Deliverer, pause_after
from luna_serving.jobs.webhooks.metrics import WebhookMetrics
from luna_store.audit.actors import Actor
from luna_store.jobs.cancelling import cancel
from luna_store.jobs.ending import Ended, end
from luna_store.jobs.states import JobStatus
from luna_store.jobs.webhook_secrets import rotate, secrets_of
from luna_store.jobs.webhooks import OUTBOX, claim

STATE = "SELECT {} FROM webhook_deliveries WHERE job_id = :id"


async def ended(store: Store, caller: Caller, url: str, count: int = 1) -> list[uuid.UUID]:
    """Jobs that have ended, each with a message to the receiver."""
    ids = [await queued(store, caller, units=0, webhook_url=url) for _ in range(count)]
    while jobs := await claimed(store, 10):
        await end(
            store.engine, [Ended(j.id, j.account_id, j.fence, JobStatus.SUCCEEDED, 0, result=b"[]") for j in jobs]
        )
    return ids


async def state(store: Store, job_id: uuid.UUID, column: str) -> object:
    return await store.scalar(STATE.format(column), id=job_id)


@asynccontextmanager
async def delivering(store: Store, workers: int = 1) -> AsyncIterator[CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = WebhookMetrics(registry)
    tasks = [asyncio.create_task(Deliverer(store.engine, in_process.SETTINGS, metrics).run()) for _ in range(workers)]
    try:
        yield registry
    finally:
        for task in tasks:
            assert not task.done()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def now_due(store: Store) -> None:
    await store.execute("UPDATE webhook_deliveries SET next_at = now() WHERE next_at IS NOT NULL")


async def settled(store: Store, job_id: uuid.UUID) -> None:
    await eventually(lambda: state(store, job_id, "delivered_at"))


async def test_a_message_has_the_job_as_it_ended_signed_for_its_account(store: Store) -> None:
    caller = await store.account()
    async with receiver() as here, delivering(store) as registry:
        (job_id,) = await ended(store, caller, here.url)
        await settled(store, job_id)
    secret = (await secrets_of(store.engine, caller.account_id)).secret
    message = here.verified(secret)
    assert message["type"] == "job.succeeded"
    assert message["data"]["id"] == str(job_id)
    assert message["data"]["status"] == "succeeded"
    assert message["data"]["finished_at"] >= message["data"]["started_at"] >= message["data"]["created_at"]
    assert "result" not in message["data"]
    assert here.got[0][0]["content-type"] == "application/json"
    assert registry.get_sample_value("luna_jobs_webhook_tries_total", {"outcome": "delivered"}) == 1


async def test_a_job_that_is_cancelled_while_it_waits_is_announced_too(store: Store) -> None:
    caller = await store.account()
    async with receiver() as here, delivering(store):
        job_id = await queued(store, caller, webhook_url=here.url)
        await cancel(store.engine, caller.account_id, job_id)
        await settled(store, job_id)
    assert here.verified((await secrets_of(store.engine, caller.account_id)).secret)["type"] == "job.cancelled"


async def test_a_receiver_that_was_down_gets_every_message_once(store: Store) -> None:
    caller = await store.account()
    here = Receiver()
    ids = await ended(store, caller, here.url, 20)
    async with delivering(store, workers=3):
        await eventually(lambda: store.scalar("SELECT bool_and(last_error IS NOT NULL) FROM webhook_deliveries"))
        assert await state(store, ids[0], "last_error") == "The receiver cannot be reached."
        assert await store.scalar("SELECT bool_and(next_at > now() + interval '3 s') FROM webhook_deliveries")
        await here.up()
        await now_due(store)
        for job_id in ids:
            await settled(store, job_id)
        await asyncio.sleep(1.2)
    await here.down()
    assert len(here.ids) == len(set(here.ids)) == 20
    assert await store.scalar("SELECT count(*) FROM webhook_deliveries WHERE tries = 2 AND next_at IS NULL") == 20


async def test_a_deliverer_that_is_killed_before_it_settles_repeats_the_message_with_its_id(
    store: Store, migrated_database: str
) -> None:
    caller = await store.account()
    async with receiver(delay_s=1.0) as here:
        (job_id,) = await ended(store, caller, here.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(in_process.__file__)), migrated_database
        )
        try:
            await until(lambda: len(here.got) == 1, 60)
            async with store.engine.begin() as connection:
                # The receiver has the message; the deliverer cannot write that down.
                await connection.execute(text("SELECT FROM webhook_deliveries FOR UPDATE"))
                await eventually(lambda: store.scalar("SELECT count(*) FROM pg_locks WHERE NOT granted"))
                process.kill()
                await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        # Its connection dies, so the statement that waits is not committed.
        assert await state(store, job_id, "delivered_at") is None
        here.delay_s = 0
        await now_due(store)
        async with delivering(store):
            await settled(store, job_id)
    assert len(here.ids) == 2
    assert len(set(here.ids)) == 1
    assert here.got[0][1] == here.got[1][1]


async def test_what_a_deliverer_settles_after_its_lease_changes_nothing(store: Store) -> None:
    caller = await store.account()
    (job_id,) = await ended(store, caller, "https://example.com/")
    (first,) = await claim(store.engine, 9, per_account=9, busy={}, lease_s=0.0)
    (second,) = await claim(store.engine, 9, per_account=9, busy={})
    assert (first.id, first.tries, second.tries) == (second.id, 1, 2)
    assert await claim(store.engine, 9, per_account=9, busy={}) == []
    assert not await OUTBOX.settle(store.engine, first, delivered=True, again_in_s=None, error=None)
    assert await state(store, job_id, "delivered_at") is None
    assert await OUTBOX.settle(store.engine, second, delivered=False, again_in_s=None, error="x\0" + "y" * 1000)
    assert len(await state(store, job_id, "last_error")) == 500


async def test_410_stops_and_the_last_failure_gives_up(store: Store) -> None:
    caller = await store.account()
    async with receiver(status=410) as gone, receiver(status=500) as broken, delivering(store) as registry:
        (first,) = await ended(store, caller, gone.url)
        (second,) = await ended(store, caller, broken.url)
        for tries in range(1, len(RETRY_AFTER_S) + 2):
            await until(lambda tries=tries: len(broken.got) == tries)
            await eventually(lambda: state(store, second, "last_error"))
            await store.execute("UPDATE webhook_deliveries SET last_error = NULL WHERE next_at IS NOT NULL")
            await now_due(store)
        await asyncio.sleep(1.2)
    assert (len(gone.got), len(broken.got)) == (1, 8)
    for job_id, words in ((first, "410 Gone"), (second, "answered 500")):
        assert await state(store, job_id, "next_at") is None
        assert await state(store, job_id, "delivered_at") is None
        assert words in await state(store, job_id, "last_error")
    for outcome, count in (("gone", 1), ("failed", 7), ("given_up", 1)):
        assert registry.get_sample_value("luna_jobs_webhook_tries_total", {"outcome": outcome}) == count


def test_a_message_is_tried_for_a_day() -> None:
    pauses = [pause_after(tries, 0.0) for tries in range(1, 9)]
    assert pauses[:3] == [5, 300, 1800]
    assert pauses[-1] is None
    assert 23 * 3600 < sum(pauses[:-1]) <= 24 * 3600
    assert [pause_after(1, jitter) for jitter in (-1, 1)] == [4.5, 5.5]


async def test_a_slow_receiver_holds_up_no_other_accounts(store: Store) -> None:
    slow, quick = await store.account(), await store.account()
    async with receiver(delay_s=8) as stuck, receiver() as here, delivering(store):
        await ended(store, slow, stuck.url, 60)
        await until(lambda: len(stuck.got) >= 4)
        ids = await ended(store, quick, here.url, 5)
        async with asyncio.timeout(5):
            for job_id in ids:
                await settled(store, job_id)
        assert len(stuck.got) == 4, "so many of one account at once"


async def test_after_a_rotation_both_secrets_sign_for_a_day(store: Store) -> None:
    caller = await store.account()
    old = await secrets_of(store.engine, caller.account_id)
    assert await secrets_of(store.engine, caller.account_id) == old
    new = await rotate(store.engine, caller.account_id, Actor.user(uuid.UUID(int=1)))
    async with receiver() as here, delivering(store):
        (job_id,) = await ended(store, caller, here.url)
        await settled(store, job_id)
        for secret in (old.secret, new.secret):
            assert here.verified(secret)["type"] == "job.succeeded"
        await store.execute("UPDATE webhook_secrets SET rotated_at = now() - interval '25 hours'")
        (job_id,) = await ended(store, caller, here.url)
        await settled(store, job_id)
    assert " " not in here.got[1][0]["webhook-signature"]
    assert (await secrets_of(store.engine, caller.account_id)).valid == (new.secret,)
    entry = "SELECT actor || ' ' || (after - 'rotated_at')::text FROM audit_log WHERE action = 'webhook.secret-rotated'"
    assert await store.scalar(entry) == f"user:{uuid.UUID(int=1)} {{}}"


@pytest.mark.parametrize("missing", ["account", "job"])
async def test_messages_go_with_their_job(store: Store, missing: str) -> None:
    caller = await store.account()
    await ended(store, caller, "https://example.com/")
    await secrets_of(store.engine, caller.account_id)
    await store.execute("DELETE FROM jobs" if missing == "job" else "DELETE FROM accounts")
    assert await store.scalar("SELECT count(*) FROM webhook_deliveries") == 0
