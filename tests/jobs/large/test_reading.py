"""The routes of a job whose result and artifacts are in the object store."""

import io
import uuid
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.jobs.http.in_process import serving
from tests.jobs.large.test_placing import keys_of, large, prefix_of_job, run
from tests.objects.fixture import store_on
from tests.store.stores import Caller, Store

from luna_serving.jobs.routes.tables import ARROW, PARQUET
from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.objects.client import ObjectStore


@pytest.fixture
async def caller(store: Store) -> Caller:
    return await store.account()


@pytest.fixture
async def job_id(store: Store, caller: Caller, objects: ObjectStore) -> uuid.UUID:
    return await run(store, caller, objects, large())


async def test_a_large_result_is_streamed_and_named_by_its_digest(
    store: Store, caller: Caller, objects: ObjectStore, job_id: uuid.UUID
) -> None:
    async with serving(store, caller, objects=objects) as api:
        job = (await api.client.get(f"/jobs/{job_id}")).json()
        answer = await api.client.get(f"/jobs/{job_id}/result")
        assert (job["result"], job["result_bytes"]) == (None, len(answer.content))
        assert answer.headers["content-length"] == str(len(answer.content))
        assert answer.headers["content-type"] == "application/json"
        assert len(answer.json()["results"]) == 300
        known = {"If-None-Match": answer.headers["etag"]}
        assert (await api.client.get(f"/jobs/{job_id}/result", headers=known)).status_code == 304
        manifest = (await api.client.get(f"/jobs/{job_id}/manifest")).json()
        assert manifest["result_sha256"].startswith(answer.headers["etag"].strip('"'))
        assert [each["name"] for each in manifest["artifacts"]] == ["large.txt", "report.html", "small.txt"]


async def test_it_is_a_table_as_any_other(
    store: Store, caller: Caller, objects: ObjectStore, job_id: uuid.UUID
) -> None:
    async with serving(store, caller, objects=objects) as api:
        path = f"/jobs/{job_id}/result"
        arrow = await api.client.get(path, headers={"Accept": ARROW})
        parquet = await api.client.get(path, headers={"Accept": PARQUET})
        tables = pa.ipc.open_stream(arrow.content).read_all(), pq.read_table(io.BytesIO(parquet.content))
        assert [each["x"].to_pylist() for each in tables] == [list(range(300))] * 2
        assert len({each.headers["etag"] for each in (arrow, parquet, await api.client.get(path))}) == 3


async def test_a_large_artifact_is_read_from_the_store(
    store: Store, caller: Caller, objects: ObjectStore, job_id: uuid.UUID
) -> None:
    async with serving(store, caller, objects=objects) as api, httpx.AsyncClient() as plain:
        answer = await api.client.get(f"/jobs/{job_id}/artifacts/large.txt")
        assert answer.status_code == 307
        assert (await plain.get(answer.headers["location"])).content == b"b" * (256 * 1024 + 1)
        assert (await api.client.get(f"/jobs/{job_id}/artifacts/%2Fresult")).status_code == 404


async def test_deleted_data_is_gone_from_the_store_at_once(
    store: Store, caller: Caller, objects: ObjectStore, job_id: uuid.UUID
) -> None:
    async with serving(store, caller, objects=objects) as api:
        assert (await api.client.delete(f"/jobs/{job_id}/data")).status_code == 204
        assert [each async for each in objects.list(prefix_of_job(caller, job_id))] == []
        assert (await api.client.get(f"/jobs/{job_id}/result")).status_code == 410


async def test_a_result_that_the_bucket_lost_is_410_and_one_without_a_store_503(
    store: Store, caller: Caller, objects: ObjectStore, job_id: uuid.UUID
) -> None:
    async with serving(store, caller) as api:
        for accept in ("application/json", ARROW):
            answer = await api.client.get(f"/jobs/{job_id}/result", headers={"Accept": accept})
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert (await api.client.delete(f"/jobs/{job_id}/data")).status_code == 204
    other = await run(store, caller, objects, large())
    await objects.delete_many(await keys_of(store, other))
    async with serving(store, caller, objects=objects) as api:
        assert (await api.client.get(f"/jobs/{other}/result")).status_code == 410


async def test_a_store_that_is_gone_is_503_for_results_and_no_obstacle_to_deleting_data(
    store: Store, caller: Caller, tmp_path: Path
) -> None:
    with SeaweedServer(tmp_path / "data", tmp_path) as server:
        async with store_on(server) as mortal:
            job_id = await run(store, caller, mortal, large())
            server.kill()
            async with serving(store, caller, objects=mortal) as api:
                assert (await api.client.get(f"/jobs/{job_id}/result")).status_code == 503
                assert (await api.client.get(f"/jobs/{job_id}/manifest")).status_code == 200
                assert (await api.client.delete(f"/jobs/{job_id}/data")).status_code == 204
