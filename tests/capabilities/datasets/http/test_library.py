"""The library of sets over HTTP: lists, roles, events, use by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from tests.capabilities.datasets.sets import body, judged, sent, started, table
from tests.serving.people import bearer

from luna_store.people.roles import Role

if TYPE_CHECKING:
    from tests.serving.people import People
    from tests.serving.platform import Platform

MODEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}


async def test_a_list_is_paged_filtered_and_newest_first(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        for name in ("a", "b", "c", "a"):
            await started(client, {f"{name}.csv": table()}, name)
        first = (await client.get("/datasets", params={"limit": "3"})).json()
        assert [each["reference"] for each in first["items"]] == ["a@2", "c@1", "b@1"]
        rest = (await client.get("/datasets", params={"limit": "3", "cursor": first["next_cursor"]})).json()
        assert [each["reference"] for each in rest["items"]] == ["a@1"]
        assert rest["next_cursor"] is None
        named = (await client.get("/datasets", params={"name": "a", "state": "uploading"})).json()
        assert [each["version"] for each in named["items"]] == [2, 1]
        assert (await client.get("/datasets", params={"state": "valid"})).json()["items"] == []
        for wrong in ({"state": "good"}, {"cursor": "x"}, {"limit": "0"}, {"nmae": "a"}):
            assert (await client.get("/datasets", params=wrong)).status_code == 422


async def test_a_viewer_reads_and_starts_nothing(platform: Platform, people: People) -> None:
    caller = await platform.caller()
    session = await people.signed_in(await people.member(caller.id, role=Role.VIEWER))
    async with caller.client() as client:
        dataset_id = (await started(client, {"a.csv": table()}))["dataset_id"]
    async with httpx.AsyncClient(base_url=caller.url, headers=bearer(session), timeout=30) as viewer:
        assert (await viewer.get(f"/datasets/{dataset_id}")).status_code == 200
        assert (await viewer.get(f"/validation/{dataset_id}/status")).status_code == 200
        assert (await viewer.post("/upload/start", json=body({"a.csv": table()}))).status_code == 403
        assert (await viewer.post("/upload/complete", json={"dataset_id": dataset_id})).status_code == 403
        assert (await viewer.delete(f"/datasets/{dataset_id}")).status_code == 403


async def test_series_of_a_set_give_the_answer_that_the_same_numbers_give(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        status = await judged(client, {"a.csv": table("ab")})
        assert status["state"] == "valid"
        wanted = {"dataset": "sales@1", "series": ["b", "a"], "columns": "y"}
        named = await client.post("/kalman/filter", json={"model": MODEL, "observations": wanted})
        assert named.status_code == 200, named.text
        answer = named.json()
        assert answer.pop("dataset") == {"name": "sales", "version": 1, "digest": status["digest"]}
        numbers = [[float(day * 1.5 + ord(shop)) for day in range(1, 29)] for shop in "ba"]
        given = (await client.post("/kalman/filter", json={"model": MODEL, "observations": numbers})).json()
        assert answer == given
        assert np.isfinite(given["results"][0]["loglike"])
        job = {"kind": "kalman/fit", "parameters": {"model": MODEL, "observations": {"dataset": "sales"}}}
        made = await client.post("/jobs/", json=job)
        assert made.status_code == 201, made.text
        manifest = (await client.get(f"/jobs/{made.json()['id']}/manifest")).json()
        assert manifest["dataset"]["digest"] == status["digest"]


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"dataset": "nothing"}, "/observations/dataset"),
        ({"dataset": "sales@2"}, "/observations/dataset"),
        ({"dataset": "Sales"}, "/observations/dataset"),
        ({"dataset": "sales", "series": ["z"]}, "/observations/series/0"),
        ({"dataset": "sales", "columns": ["ts"]}, "/observations/columns"),
        ({"dataset": "sales", "series": []}, "/observations/series"),
        ({"dataset": "sales", "rows": 3}, "/observations/rows"),
        ({"series": ["a"]}, "/observations"),
    ],
)
async def test_series_that_are_not_there_are_refused_with_their_place(
    platform: Platform, shared: str, wanted: dict[str, object], pointer: str
) -> None:
    headers = {"X-API-Key": shared}
    async with httpx.AsyncClient(base_url=f"{platform.url}/api/v1", headers=headers, timeout=30) as client:
        answer = await client.post("/kalman/filter", json={"model": MODEL, "observations": wanted})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.fixture(scope="module")
async def shared(platform: Platform) -> str:
    """The key of an account with the valid set sales@1."""
    caller = await platform.caller()
    async with caller.client() as client:
        assert (await judged(client, {"a.csv": table("ab")}))["state"] == "valid"
    return caller.key.secret


async def test_the_events_of_a_validation_end_with_its_verdict(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        dataset_id = (await sent(client, {"a.csv": table("a")}))["dataset_id"]
        events: list[str] = []
        ids: list[int] = []
        async with client.stream("GET", f"/validation/{dataset_id}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            async for line in stream.aiter_lines():
                if line.startswith("event: "):
                    events.append(line.removeprefix("event: "))
                if line.startswith("id: "):
                    ids.append(int(line.removeprefix("id: ")))
                if events == ["uploading"]:
                    events.append("sent")
                    await client.post("/upload/complete", json={"dataset_id": dataset_id})
        assert (events[0], events[-1]) == ("uploading", "valid")
        assert ids == sorted(set(ids))
        again = await client.get(f"/validation/{dataset_id}/events", headers={"Last-Event-ID": str(ids[-1])})
        assert again.status_code == 204


async def test_creations_and_deletions_are_in_the_audit_log(platform: Platform, people: People) -> None:
    caller = await platform.caller()
    session = await people.signed_in(await people.member(caller.id, role=Role.ADMIN))
    async with caller.client() as client:
        await started(client, {"a.csv": table()})
        await client.delete("/datasets/sales@1")
    async with httpx.AsyncClient(base_url=caller.url, headers=bearer(session), timeout=30) as admin:
        entries = (await admin.get("/audit", params={"action": "dataset"})).json()["items"]
    assert [each["action"] for each in entries] == ["dataset.deleted", "dataset.created"]
    assert entries[1]["after"] == {"name": "sales", "version": 1, "type": "series"}
    assert all(each["actor"] == f"key:{caller.key.prefix}" for each in entries)
