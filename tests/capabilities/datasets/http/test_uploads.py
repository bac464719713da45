"""Uploads over HTTP, on a real object store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
from tests.capabilities.datasets.sets import body, completed, declared, put, sent, started, table, verdict

if TYPE_CHECKING:
    from tests.serving.platform import Platform

MiB = 1024 * 1024


async def test_a_set_is_sent_validated_and_served(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        files = {"a.csv": table("a"), "more/b.csv": table("b")}
        answer = await client.post("/upload/start", json=body(files))
        assert answer.status_code == 201
        begun = answer.json()
        assert answer.headers["location"] == f"/api/v1/{caller.id}/upload/{begun['dataset_id']}"
        assert (begun["name"], begun["version"], begun["state"]) == ("sales", 1, "uploading")
        assert [each["state"] for each in begun["files"]] == ["missing", "missing"]
        for each in begun["files"]:
            assert await put(each, files[each["path"]]) == 200
        answer = await completed(client, begun["dataset_id"])
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/api/v1/{caller.id}/validation/{begun['dataset_id']}/status"
        status = await verdict(client, begun["dataset_id"])
        assert (status["state"], status["counts"]["error"]) == ("valid", 0)
        assert status["progress"] == {"completed": 2, "total": 2}
        assert status["digest"]
        for path, data in files.items():
            found = await client.get(f"/datasets/sales@1/files/{path}")
            assert found.status_code == 307
            async with httpx.AsyncClient() as store:
                served = await store.get(found.headers["location"])
            assert (served.content, served.headers["content-type"]) == (data, "text/csv")


async def test_what_the_caller_s_data_lacks_is_said_with_its_place_and_remedy(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        begun = await sent(client, {"a.csv": table("a"), "b.csv": table("b", twice=True)})
        assert (await completed(client, begun["dataset_id"])).status_code == 202
        status = await verdict(client, begun["dataset_id"])
        assert (status["state"], status["digest"]) == ("invalid", None)
        (finding,) = [each for each in status["findings"] if each["id"] == "TS003"]
        assert (finding["severity"], finding["path"], finding["row"], finding["count"]) == ("error", "b.csv", 28, 1)
        assert finding["message"]
        assert finding["remedy"]
        lines = (await client.get(f"/validation/{begun['dataset_id']}/findings")).text.splitlines()
        assert len(lines) >= len(status["findings"])
        report = (await client.get("/datasets/sales@1/report")).json()
        assert report["state"] == "invalid"
        assert "readiness" in report
        page = await client.get("/datasets/sales@1/report", headers={"Accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert "TS003" in page.text
        assert (await client.get("/datasets/sales@1/files/a.csv")).status_code == 409


async def test_with_files_missing_nothing_is_validated_and_fresh_requests_come_back(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        files = {"a.csv": table("a"), "b.csv": table("b")}
        begun = await started(client, files)
        assert await put(begun["files"][0], files["a.csv"]) == 200
        answer = await completed(client, begun["dataset_id"])
        assert answer.status_code == 409
        problem = answer.json()
        assert problem["type"].endswith("/upload-incomplete")
        (missing,) = problem["missing"]
        assert (missing["path"], missing["state"]) == ("b.csv", "missing")
        assert await put(missing, files["b.csv"]) == 200
        assert (await completed(client, begun["dataset_id"])).status_code == 202


async def test_resuming_shows_what_has_arrived_and_renews_what_is_asked_for(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        files = {name: table(name[0]) for name in ("a.csv", "b.csv", "c.csv")}
        begun = await started(client, files)
        assert await put(begun["files"][0], files["a.csv"]) == 200
        url = f"/upload/{begun['dataset_id']}"
        all_ = (await client.get(url)).json()["files"]
        assert [each["state"] for each in all_] == ["stored", "missing", "missing"]
        assert ["upload" in each for each in all_] == [False, True, True]
        one = (await client.get(url, params={"renew": "c.csv"})).json()["files"]
        assert ["upload" in each for each in one] == [False, False, True]
        none = (await client.get(url, params={"renew": "false"})).json()["files"]
        assert not any("upload" in each for each in none)


async def test_bytes_that_the_account_has_are_not_sent_again(platform: Platform) -> None:
    caller, stranger = await platform.caller(), await platform.caller()
    async with caller.client() as client, stranger.client() as other:
        first = await sent(client, {"a.csv": table("a")})
        await completed(client, first["dataset_id"])
        await verdict(client, first["dataset_id"])
        again = await started(client, {"renamed.csv": table("a"), "b.csv": table("b")})
        assert [each["state"] for each in again["files"]] == ["present", "missing"]
        assert again["version"] == 2
        # Whether another account has some bytes is not told.
        assert (await started(other, {"a.csv": table("a")}))["files"][0]["state"] == "missing"
        assert await put(again["files"][1], table("b")) == 200
        await completed(client, again["dataset_id"])
        assert (await verdict(client, again["dataset_id"]))["state"] == "valid"
        # The file stays while a set uses it.
        assert (await client.delete("/datasets/sales@1")).status_code == 204
        found = await client.get("/datasets/sales@2/files/renamed.csv")
        async with httpx.AsyncClient() as store:
            assert (await store.get(found.headers["location"])).content == table("a")


async def test_a_key_that_is_sent_twice_starts_one_set_and_renews_its_requests(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client(**{"Idempotency-Key": "k-1"}) as client:
        files = {"a.csv": table("a"), "b.csv": table("b")}
        first = await client.post("/upload/start", json=body(files))
        assert await put(first.json()["files"][0], files["a.csv"]) == 200
        second = await client.post("/upload/start", json=body(files))
        assert (second.status_code, second.headers["idempotency-replayed"]) == (201, "true")
        assert second.json()["dataset_id"] == first.json()["dataset_id"]
        assert [each["state"] for each in second.json()["files"]] == ["stored", "missing"]
        other = await client.post("/upload/start", json=body(files, "other"))
        assert other.status_code == 422


async def test_two_completes_at_once_validate_once(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        dataset_id = (await sent(client, {"a.csv": table("a")}))["dataset_id"]
        answers = await asyncio.gather(*(completed(client, dataset_id) for _ in range(6)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["job_id"] for answer in answers}) == 1
        assert (await verdict(client, dataset_id))["state"] == "valid"
        late = await completed(client, dataset_id)
        assert (late.status_code, late.json()["state"]) == (202, "valid")
        assert platform.used(caller.id) == 1


async def test_beyond_the_limit_of_bytes_a_start_is_413_and_what_is_deleted_makes_room(platform: Platform) -> None:
    data = table("a")
    caller = await platform.caller(limits={"datasets.stored_bytes": len(data) + 100})
    async with caller.client() as client:
        first = await client.post("/upload/start", json=body({"a.csv": data}))
        assert first.status_code == 201
        full = await client.post("/upload/start", json=body({"b.csv": table("b")}, "other"))
        assert full.status_code == 413
        assert full.json()["type"].endswith("/storage-full")
        assert full.json()["used"] == len(data)
        assert (await client.delete(f"/datasets/{first.json()['dataset_id']}")).status_code == 204
        assert (await client.post("/upload/start", json=body({"b.csv": table("b")}, "other"))).status_code == 201


async def test_a_large_file_is_sent_in_parts_and_resumed_by_part(platform: Platform) -> None:
    caller = await platform.caller()
    row = b"2024-01-01,a,1.0\n"
    data = b"ts,shop,y\n" + row * ((64 * MiB) // len(row) + 1)
    async with caller.client() as client:
        (file,) = (await started(client, {"big.csv": data}))["files"]
        parts = file["upload"]["parts"]
        assert [part["bytes"] for part in parts] == [64 * MiB, len(data) - 64 * MiB]
        dataset_id = (await client.get("/datasets")).json()["items"][0]["dataset_id"]
        last = parts[1]
        async with httpx.AsyncClient(timeout=120) as store:
            answer = await store.put(last["url"], headers=last["headers"], content=data[64 * MiB :])
            assert answer.status_code == 200
            problem = (await completed(client, dataset_id)).json()
            (left,) = problem["missing"][0]["upload"]["parts"]
            assert left["number"] == 1
            answer = await store.put(left["url"], headers=left["headers"], content=data[: 64 * MiB])
            assert answer.status_code == 200
        assert (await completed(client, dataset_id)).status_code == 202
        # Every row has the same time.
        status = await verdict(client, dataset_id)
        assert (status["state"], status["findings"][0]["id"]) == ("invalid", "TS003")


async def test_versions_of_a_name_are_never_given_twice(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        first = await asyncio.gather(*(started(client, {f"{i}.csv": table(days=i)}) for i in range(1, 6)))
        assert sorted(each["version"] for each in first) == [1, 2, 3, 4, 5]
        assert (await client.delete("/datasets/sales")).status_code == 204
        assert (await client.get("/datasets/sales")).status_code == 404
        assert (await started(client, {"a.csv": table()}))["version"] == 6


async def test_a_set_of_another_account_is_not_there(platform: Platform) -> None:
    owner, stranger = await platform.caller(), await platform.caller()
    async with owner.client() as client, stranger.client() as other:
        dataset_id = (await sent(client, {"a.csv": table("a")}))["dataset_id"]
        for path in (f"/upload/{dataset_id}", f"/validation/{dataset_id}/status", f"/datasets/{dataset_id}"):
            assert (await other.get(path)).status_code == 404
        assert (await completed(other, dataset_id)).status_code == 404
        assert (await other.delete(f"/datasets/{dataset_id}")).status_code == 404
        assert (await client.get(f"/datasets/{dataset_id}")).status_code == 200


async def test_wrong_bytes_do_not_arrive(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        data = table("a")
        (file,) = (await started(client, {"a.csv": data}))["files"]
        assert await put(file, data[:-1] + b"x") >= 400
        assert declared({"a.csv": data})[0]["sha256"] == file["sha256"]
        assert await put(file, data) == 200
        assert await put(file, data) == 412
