"""The client on a real SeaweedFS."""

import asyncio
import base64
import hashlib
import os
import uuid

import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.objects.fixture import incoming_key, store_on

from luna_serving.local.data_folder.ports import free_port
from luna_serving.objects.client import PART_BYTES, ObjectStore
from luna_serving.objects.errors import ObjectMissing, StoreGone, StoreRefused
from luna_serving.objects.keys import account_prefix, sealed_key
from luna_serving.objects.wiring import ObjectsNeeded, needed, object_store
from luna_serving.settings import ObjectsSettings

BODY = b"the body"


@pytest.fixture
def account():
    """An account's id that no other test has."""
    return uuid.uuid4().int % 10**12


async def keys(objects: ObjectStore, account: int) -> list[str]:
    return [each.key async for each in objects.list(account_prefix(account))]


async def test_what_was_put_is_read_whole_and_in_parts(objects, account):
    key = sealed_key(account)
    await objects.put_bytes(key, BODY, "text/csv", sha256=hashlib.sha256(BODY).hexdigest())
    assert await objects.get_bytes(key) == BODY
    assert await objects.get_bytes(key, start=4) == b"body"
    assert await objects.get_bytes(key, start=1, end=3) == b"he"
    head = await objects.head(key)
    assert (head.bytes, head.media_type) == (len(BODY), "text/csv")
    assert head.sha256 == hashlib.sha256(BODY).hexdigest()
    async with objects.open(key, start=4) as reading:
        assert reading.head.bytes == 4


async def test_bytes_with_another_digest_are_not_stored(objects, account):
    key = sealed_key(account)
    with pytest.raises(StoreRefused):
        await objects.put_bytes(key, BODY, sha256=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(ObjectMissing):
        await objects.head(key)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 1])
async def test_a_file_comes_back_as_it_was(objects, account, tmp_path, size):
    key, sent, received = sealed_key(account), tmp_path / "sent", tmp_path / "received"
    sent.write_bytes(os.urandom(size))
    await objects.put_file(key, sent)
    assert (await objects.get_file(key, received)).bytes == size
    assert received.read_bytes() == sent.read_bytes()
    await objects.delete(key)


async def test_a_file_that_cannot_be_written_is_no_outage_of_the_store(objects, account, tmp_path):
    key = sealed_key(account)
    await objects.put_bytes(key, BODY)
    with pytest.raises(IsADirectoryError):
        await objects.get_file(key, tmp_path)


async def test_what_is_not_there_is_missing(objects, account):
    key = sealed_key(account)
    for question in (objects.head(key), objects.get_bytes(key), objects.copy(key, key + "2")):
        with pytest.raises(ObjectMissing):
            await question
    await objects.delete(key)


async def test_a_copy_has_bytes_and_type_of_its_source_and_stays_when_that_is_replaced(objects, account):
    source, target = incoming_key(account), sealed_key(account)
    request = objects.presigned_put(source, len(BODY), "text/csv", hashlib.sha256(BODY).hexdigest())
    async with httpx.AsyncClient() as client:
        assert (await client.put(request.url, headers=request.headers, content=BODY)).status_code == 200
    await objects.copy(source, target)
    await objects.put_bytes(source, b"other bytes")
    head = await objects.head(target)
    assert (head.bytes, head.media_type) == (len(BODY), "text/csv")
    assert await objects.get_bytes(target) == BODY


async def test_a_list_has_more_than_one_page_and_no_other_account(objects, account):
    written = sorted(f"{account_prefix(account)}sealed/{number:04}" for number in range(25))
    await objects.put_bytes(sealed_key(account * 10), BODY)  # its prefix begins with the same digits
    await asyncio.gather(*(objects.put_bytes(key, b"x") for key in written))
    assert await keys(objects, account) == written
    paged = objects.list(account_prefix(account), page_size=10)
    assert [each.key async for each in paged] == written
    assert await objects.delete_many(written) == len(written)
    assert await keys(objects, account) == []


async def test_an_upload_in_parts_is_resumed_completed_and_then_gone(objects, account):
    key = incoming_key(account)
    upload = await objects.multipart.start(key, "text/csv")
    first, second = os.urandom(5 * 1024**2), b"the end"
    request = objects.presigned_part(key, upload, 1, len(first))
    async with httpx.AsyncClient() as client:
        answer = await client.put(request.url, headers=request.headers, content=first)
        assert answer.status_code == 200
        shorter = {**request.headers, "Content-Length": str(len(first) - 1)}
        assert (await client.put(request.url, headers=shorter, content=first[:-1])).status_code == 403
    assert [each.upload_id async for each in objects.multipart.uploads(account_prefix(account))] == [upload]
    assert [(part.number, part.bytes) for part in await objects.multipart.parts(key, upload)] == [(1, len(first))]
    await objects.multipart.put_part(key, upload, 2, second)
    await objects.multipart.complete(key, upload, await objects.multipart.parts(key, upload))
    assert await objects.get_bytes(key) == first + second
    assert (await objects.head(key)).media_type == "text/csv"
    assert [each async for each in objects.multipart.uploads(account_prefix(account))] == []


async def test_an_aborted_upload_takes_no_parts_and_leaves_no_object(objects, account):
    key = incoming_key(account)
    upload = await objects.multipart.start(key)
    await objects.multipart.put_part(key, upload, 1, BODY)
    await objects.multipart.abort(key, upload)
    await objects.multipart.abort(key, upload)
    with pytest.raises(ObjectMissing):
        await objects.multipart.put_part(key, upload, 2, BODY)
    assert await keys(objects, account) == []


async def test_a_download_has_its_name_and_type(objects, account):
    key = sealed_key(account)
    await objects.put_bytes(key, BODY, "text/csv")
    async with httpx.AsyncClient() as client:
        answer = await client.get(objects.presigned_get(key, "größe 1+2.csv", "application/json").url)
    assert answer.content == BODY
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''gr%C3%B6%C3%9Fe%201%2B2.csv")
    assert answer.headers["content-type"] == "application/json"


async def test_an_endpoint_that_nothing_listens_on_is_gone(object_server):
    url = f"http://127.0.0.1:{free_port()}"
    registry = CollectorRegistry()
    async with store_on(object_server, registry=registry, s3_endpoint=url) as store:
        with pytest.raises(StoreGone, match=url):
            await store.ping()
    assert registry.get_sample_value("luna_objects_failures_total", {"operation": "ping"}) == 1
    assert registry.get_sample_value("luna_objects_request_seconds_count", {"operation": "ping"}) == 1


async def test_wrong_keys_and_wrong_buckets_are_refused_with_the_cure(object_server):
    async with store_on(object_server, s3_secret_access_key="wrong") as store:
        for question in (store.ping(), store.get_bytes("a")):
            with pytest.raises(StoreRefused, match="S3_SECRET_ACCESS_KEY"):
                await question
    async with store_on(object_server, s3_bucket="elsewhere") as store:
        for question in (store.ping(), store.get_bytes("a")):
            with pytest.raises(StoreRefused, match="S3_BUCKET"):
                await question


async def test_a_missing_object_is_no_failure_of_the_store(object_server, account):
    registry = CollectorRegistry()
    async with store_on(object_server, registry=registry) as store:
        with pytest.raises(ObjectMissing):
            await store.head(sealed_key(account))
    assert registry.get_sample_value("luna_objects_failures_total", {"operation": "head"}) is None


def test_without_an_endpoint_there_is_no_store_and_who_needs_one_names_the_cure(monkeypatch):
    monkeypatch.delenv("S3_ENDPOINT", raising=False)
    assert object_store(ObjectsSettings(), CollectorRegistry()) is None
    with pytest.raises(ObjectsNeeded, match=r"datasets needs an object store: set S3_ENDPOINT.*LUNA_ONLY"):
        needed(None, "datasets")


async def test_urls_name_the_public_endpoint_and_calls_go_to_the_other(object_server, account):
    async with store_on(object_server, s3_public_endpoint="https://objects.example.com") as store:
        await store.ping()
        request = store.presigned_put(incoming_key(account), 4, "text/csv", hashlib.sha256(b"body").hexdigest())
    assert request.url.startswith("https://objects.example.com/luna/accounts/")
    assert base64.b64decode(request.headers["x-amz-checksum-sha256"]).hex() == hashlib.sha256(b"body").hexdigest()
