"""The sweep on a real SeaweedFS."""

import uuid
from datetime import UTC, datetime, timedelta

from tests.objects.fixture import incoming_key

from luna_serving.objects.keys import account_prefix, sealed_key
from luna_serving.objects.sweeping import SweepReport, abandoned, sweep, unknown
from luna_serving.objects.values import Listed, Upload

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_only_what_no_row_names_and_is_old_is_deleted():
    old = [Listed("a", 1, AT - HOUR, ""), Listed("b", 1, AT - HOUR, "")]
    young = [Listed("c", 1, AT, ""), Listed("d", 1, AT + HOUR, "")]
    assert unknown([*old, *young], {"b", "d"}, AT) == ([old[0]], [young[0]])


def test_only_uploads_that_no_row_names_and_are_old_are_aborted():
    uploads = [Upload("a", "1", AT - HOUR), Upload("b", "2", AT - HOUR), Upload("c", "3", AT)]
    assert abandoned(uploads, {"b"}, AT) == [uploads[0]]


def account() -> int:
    return uuid.uuid4().int % 10**12


async def test_a_sweep_leaves_what_rows_name_and_what_others_own(objects):
    mine, others = account(), account()
    kept, orphan, foreign = sealed_key(mine), incoming_key(mine), sealed_key(others)
    for key in (kept, orphan, foreign):
        await objects.put_bytes(key, b"12345")
    upload = await objects.multipart.start(incoming_key(mine))
    resumed_key = incoming_key(mine)
    resumed = await objects.multipart.start(resumed_key)
    asked: list[str] = []

    async def known(keys):
        asked.extend(keys)
        return {kept, resumed_key} & set(keys)

    before = datetime.now(UTC) + timedelta(seconds=5)
    report = await sweep(objects, account_prefix(mine), known, before=before)
    assert report == SweepReport(objects=2, bytes=10, deleted=1, deleted_bytes=5, waiting=0, aborted=1)
    assert foreign not in asked
    assert [each.key async for each in objects.list(account_prefix(mine))] == [kept]
    assert [each.upload_id async for each in objects.multipart.uploads(account_prefix(mine))] == [resumed]
    assert upload != resumed
    assert await objects.get_bytes(foreign) == b"12345"
    again = await sweep(objects, account_prefix(mine), known, before=before)
    assert (again.deleted, again.aborted) == (0, 0)


async def test_what_was_just_written_waits_for_the_grace_time(objects):
    mine = account()
    await objects.put_bytes(incoming_key(mine), b"12345")
    await objects.multipart.start(incoming_key(mine))

    async def known(_):
        return ()

    report = await sweep(objects, account_prefix(mine), known, before=datetime.now(UTC) - HOUR)
    assert (report.deleted, report.waiting, report.aborted) == (0, 1, 0)
    assert len([each async for each in objects.list(account_prefix(mine))]) == 1


async def test_an_empty_prefix_asks_no_row(objects):
    async def known(_):
        raise AssertionError("asked")

    report = await sweep(objects, account_prefix(account()), known, before=datetime.now(UTC))
    assert report == SweepReport(0, 0, 0, 0, 0, 0)
