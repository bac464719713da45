"""The routes of one job of a running Luna."""

import asyncio
import hashlib
import json
import time
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from tests.jobs.http.jobs import SIMULATION, created, ended, finished, fit, simulation
from tests.serving.platform import Platform

# Takes many seconds on the machines that the tests run on: it is still live when it is cancelled.
LONG = 1000


async def cancelled(client: httpx.AsyncClient, job_id: str) -> dict[str, object]:
    await client.delete(f"/jobs/{job_id}")
    return await ended(client, job_id)


async def test_a_job_shows_its_state_with_a_tag(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await finished(client, simulation())
        path = job["links"]["self"]
        answer = await client.get(platform.url + path)
        assert answer.json() == job
        tag = answer.headers["etag"]
        assert "retry-after" not in answer.headers
        same = await client.get(platform.url + path, headers={"If-None-Match": f'"x", {tag}'})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        other = await client.get(platform.url + path, headers={"If-None-Match": '"x"'})
        assert other.status_code == 200
        assert (await client.head(platform.url + path)).status_code == 200


async def test_ids_that_are_none_are_named(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        assert (await client.get(f"/jobs/{uuid.uuid4()}")).status_code == 404
        wrong = await client.get("/jobs/mine")
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/path/job_id")


async def test_a_live_job_says_when_to_look_again_and_its_place_in_the_queue(platform: Platform) -> None:
    caller = await platform.caller(limits={"jobs.concurrent": 1})
    async with caller.client() as client:
        first = await created(client, fit(LONG))
        waiting = [await created(client, simulation()) for _ in range(2)]
        urgent = await created(client, simulation(priority=10))
        # The first may not have been claimed yet.
        await until_running(client, first["id"])
        answer = await client.get(f"/jobs/{waiting[1]['id']}")
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert answer.json()["queue_position"] == 3
        assert (await client.get(f"/jobs/{urgent['id']}")).json()["queue_position"] == 1
        running = await until_progress(client, first["id"])
        assert running["eta_seconds"] > 0
        assert running["queue_position"] is None
        assert 0 < running["progress"]["completed"] < LONG
        for job in (*waiting, urgent):
            assert (await cancelled(client, job["id"]))["units_used"] == 0
        last = await cancelled(client, first["id"])
        assert 0 < last["units_used"] < LONG
    assert platform.used(caller.id) == last["units_used"]


async def until_running(client: httpx.AsyncClient, job_id: str) -> None:
    while (await client.get(f"/jobs/{job_id}")).json()["status"] == "queued":  # noqa: ASYNC110  it polls
        await asyncio.sleep(0.05)


async def until_progress(client: httpx.AsyncClient, job_id: str) -> dict[str, object]:
    while True:
        job: dict[str, object] = (await client.get(f"/jobs/{job_id}")).json()
        if job["progress"]["completed"]:  # type: ignore[index]
            return job
        await asyncio.sleep(0.05)


async def test_cancelling_a_running_job_takes_a_second_and_keeps_what_it_has(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, fit(LONG))
        await until_progress(client, job["id"])
        begun = time.monotonic()
        answer = await client.delete(f"/jobs/{job['id']}")
        assert answer.status_code == 202, answer.text
        assert answer.json()["cancel_requested_at"] is not None
        last = await ended(client, job["id"])
        assert time.monotonic() - begun < 5  # one second, and what a busy machine adds
        assert last["status"] == "cancelled"
        again = await client.delete(f"/jobs/{job['id']}")
        assert (again.status_code, again.json()["status"]) == (200, "cancelled")
        result = (await client.get(f"/jobs/{job['id']}/result")).json()
        assert len(result["results"]) == last["units_used"] > 0


async def test_a_job_that_waits_is_cancelled_at_once_and_free(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    async with caller.client() as client:
        platform_holds = await created(client, fit(4))
        answer = await client.delete(f"/jobs/{platform_holds['id']}")
        assert answer.status_code in {200, 202}
        job = await ended(client, platform_holds["id"])
        assert job["status"] in {"cancelled", "succeeded"}
    assert platform.used(caller.id) == job["units_used"]


async def test_an_ended_job_is_not_cancelled(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await finished(client, simulation())
        answer = await client.delete(f"/jobs/{job['id']}")
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")


async def test_a_cancelled_job_is_done_again_under_its_id(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, fit(LONG, deadline=None))
        live = await client.post(f"/jobs/{job['id']}/retry")
        assert live.status_code == 409
        before = await cancelled(client, job["id"])
        assert before["status"] == "cancelled"
        again = await client.post(f"/jobs/{job['id']}/retry")
        assert again.status_code == 202, again.text
        assert again.json()["id"] == job["id"]
        assert again.json()["attempt"] == int(str(before["attempt"])) + 1
        assert again.headers["location"] == job["links"]["self"]
        after = await cancelled(client, job["id"])
    assert platform.used(caller.id) == int(str(before["units_used"])) + int(str(after["units_used"]))


async def test_a_job_that_succeeded_is_not_done_again(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await finished(client, simulation())
        answer = await client.post(f"/jobs/{job['id']}/retry")
    assert answer.status_code == 409
    assert platform.used(caller.id) == 1


async def test_a_result_is_json_arrow_or_parquet(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await finished(client, fit(3))
        path = f"/jobs/{job['id']}/result"
        plain = await client.get(path)
        assert plain.headers["content-type"] == "application/json"
        assert plain.json() == job["result"]
        expected = [each["estimates"]["obs_var"] for each in job["result"]["results"]]
        stream = await client.get(path, headers={"Accept": "application/vnd.apache.arrow.stream"})
        assert stream.headers["content-type"] == "application/vnd.apache.arrow.stream"
        arrow = pa.ipc.open_stream(stream.content).read_all()
        parquet = await client.get(path, headers={"Accept": "application/vnd.apache.parquet, application/json;q=0.1"})
        assert parquet.headers["content-type"] == "application/vnd.apache.parquet"
        for table in (arrow, pq.read_table(pa.BufferReader(parquet.content))):
            assert table.num_rows == 3
            assert table["estimates.obs_var"].to_pylist() == expected
            assert json.loads(table.schema.metadata[b"luna.result"]).keys() == {"plan"}
        same = await client.get(path, headers={"If-None-Match": plain.headers["etag"]})
        assert same.status_code == 304
        refused = await client.get(path, headers={"Accept": "text/csv"})
        assert refused.status_code == 406
        assert "application/vnd.apache.arrow.stream" in refused.json()["detail"]


async def test_a_live_job_has_no_result_yet(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, fit(LONG))
        answer = await client.get(f"/jobs/{job['id']}/result")
        kept = await client.delete(f"/jobs/{job['id']}/data")
        await cancelled(client, job["id"])
    assert answer.status_code == kept.status_code == 409
    assert answer.json()["type"].endswith("/job-is-live")


async def test_deleted_data_is_gone_and_the_job_stays(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await finished(client, simulation())
        path = f"/jobs/{job['id']}"
        for _ in range(2):
            assert (await client.delete(f"{path}/data")).status_code == 204
        gone = await client.get(f"{path}/result")
        assert gone.status_code == 410, gone.text
        assert gone.json()["type"].endswith("/job-data-deleted")
        after = (await client.get(path)).json()
        assert (after["status"], after["result"]) == ("succeeded", None)
        assert after["data_deleted_at"] is not None
        assert (await client.get(f"{path}/manifest")).json()["parameters"] is None


async def test_a_large_result_is_a_link(platform: Platform) -> None:
    caller = await platform.caller()
    large = simulation(parameters=SIMULATION | {"length": 5000, "draws": 6})
    async with caller.client() as client:
        job = await finished(client, large)
        assert job["result"] is None
        assert job["result_bytes"] > 256 * 1024
        answer = await client.get(platform.url + job["links"]["result"])
        assert len(answer.content) == job["result_bytes"]
        assert len(answer.json()["results"][0]["observations"]) == 6


async def test_a_manifest_runs_the_job_again(platform: Platform) -> None:
    caller = await platform.caller()
    without_seed = simulation(parameters={n: v for n, v in SIMULATION.items() if n != "seed"})
    async with caller.client() as client:
        job = await finished(client, without_seed)
        manifest = (await client.get(platform.url + job["links"]["manifest"])).json()
        again = await finished(client, {"kind": manifest["kind"], "parameters": manifest["parameters"]})
        result = (await client.get(f"/jobs/{job['id']}/result")).content
    assert again["result"]["results"] == job["result"]["results"]
    assert manifest["seed"] == job["result"]["seed"]
    assert {"luna", "jax", "numpy"} <= manifest["versions"].keys()
    assert manifest["result_sha256"] == hashlib.sha256(result).hexdigest()
    assert len(manifest["parameters_sha256"]) == 64


def give_artifact(platform: Platform, job_id: str, name: str, media_type: str, body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()
    with psycopg.connect(platform.database_url) as sql:
        sql.execute(
            "INSERT INTO job_artifacts (job_id, name, media_type, size, sha256, body) VALUES (%s, %s, %s, %s, %s, %s)",
            [job_id, name, media_type, len(body), digest, body],
        )


async def test_an_artifact_is_served_so_that_a_browser_runs_nothing_of_it(platform: Platform) -> None:
    caller = await platform.caller()
    page = b"<!doctype html><script>alert(1)</script>"
    async with caller.client() as client:
        job = await finished(client, simulation())
        give_artifact(platform, job["id"], "page.html", "text/html; charset=utf-8", page)
        give_artifact(platform, job["id"], "chart.png", "image/png", b"png")
        shown = (await client.get(f"/jobs/{job['id']}")).json()["artifacts"]
        assert [each["name"] for each in shown] == ["chart.png", "page.html", "report.html"]
        answer = await client.get(platform.url + shown[1]["href"])
        assert (answer.content, answer.headers["content-type"]) == (page, "text/html; charset=utf-8")
        (policy,) = answer.headers.get_list("content-security-policy")
        assert policy.startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        same = await client.get(platform.url + shown[1]["href"], headers={"If-None-Match": answer.headers["etag"]})
        assert same.status_code == 304
        assert (await client.get(platform.url + shown[0]["href"])).headers["content-type"] == "image/png"
        missing = await client.get(f"/jobs/{job['id']}/artifacts/other%00")
        assert missing.status_code == 404
        assert "chart.png, page.html, report.html" in missing.json()["detail"]
        await client.delete(f"/jobs/{job['id']}/data")
        assert (await client.get(platform.url + shown[0]["href"])).status_code == 410


async def test_waiting_ends_with_the_job_or_with_the_time(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, fit(LONG))
        begun = time.monotonic()
        answer = await client.get(f"/jobs/{job['id']}", headers={"Prefer": "respond-async, wait=1"})
        assert 0.9 < time.monotonic() - begun < 10
        assert answer.headers["preference-applied"] == "wait=1"
        assert answer.json()["status"] in {"queued", "running"}
        await cancelled(client, job["id"])
        begun = time.monotonic()
        answer = await client.get(f"/jobs/{job['id']}", headers={"Prefer": "wait=600"})
        assert time.monotonic() - begun < 5
        # As long as a call may take.
        assert answer.headers["preference-applied"] == "wait=30"


async def test_a_deadline_ends_a_running_job_and_what_was_done_is_charged(platform: Platform) -> None:
    caller = await platform.caller()
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    async with caller.client() as client:
        job = await ended(client, (await created(client, fit(LONG, deadline=soon)))["id"])
    assert job["status"] == "expired"
    assert job["error"]["type"] == "https://luna.dev/problems/deadline"
    assert job["units_used"] < LONG
    assert platform.used(caller.id) == job["units_used"]
