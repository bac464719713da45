"""`GET /jobs/` of a running Luna."""

from typing import Any

import pytest
from tests.jobs.http.jobs import JOBS, created, ended, simulation
from tests.serving.platform import Platform


async def test_pages_hold_every_job_once_in_either_order(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        made = [(await created(client, simulation(labels={"n": str(i)})))["id"] for i in range(7)]
        for order, expected in (("created_at", made), ("-created_at", made[::-1]), (None, made[::-1])):
            found, cursor = [], None
            while True:
                query = {"limit": 3} | ({"order": order} if order else {}) | ({"cursor": cursor} if cursor else {})
                page = (await client.get(JOBS, params=query)).json()
                assert len(page["items"]) <= 3
                found += [each["id"] for each in page["items"]]
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            assert found == expected


async def test_lists_hold_neither_parameters_nor_results(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, simulation(labels={"desk": "fx"}))
        await ended(client, job["id"])
        (item,) = (await client.get("/jobs")).json()["items"]
    assert not {"parameters", "result", "attempts", "artifacts"} & item.keys()
    assert (item["id"], item["status"], item["labels"]) == (job["id"], "succeeded", {"desk": "fx"})
    assert item["progress"]["completed"] == 1


async def test_filters_hold_together(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        first = await created(client, simulation(labels={"desk": "fx", "team": "a"}))
        second = await created(client, simulation(labels={"desk": "fx", "team": "b"}))
        third = await created(client, simulation(labels={"a/b": "~ ü"}))
        for job in (first, second, third):
            await ended(client, job["id"])

        async def found(*query: tuple[str, str]) -> list[str]:
            answer = await client.get(JOBS, params=[*query, ("order", "created_at")])
            assert answer.status_code == 200, answer.text
            return [each["id"] for each in answer.json()["items"]]

        all_ids = [first["id"], second["id"], third["id"]]
        assert await found(("label.desk", "fx")) == all_ids[:2]
        assert await found(("label.desk", "fx"), ("label.team", "b")) == [second["id"]]
        assert await found(("label.a/b", "~ ü")) == [third["id"]]
        assert await found(("label.desk", "other")) == []
        assert await found(("status", "succeeded,failed")) == all_ids
        assert await found(("status", "failed"), ("status", "succeeded")) == all_ids
        assert await found(("status", "queued")) == []
        assert await found(("kind", "kalman/simulate")) == all_ids
        assert await found(("kind", "kalman/fit")) == []
        assert await found(("created_after", second["created_at"])) == all_ids[1:]
        assert await found(("created_before", second["created_at"])) == all_ids[:1]


REFUSED: list[tuple[list[tuple[str, str]], str]] = [
    ([("limit", "0")], "/query/limit"),
    ([("limit", "1001")], "/query/limit"),
    ([("limit", "x")], "/query/limit"),
    ([("cursor", "x")], "/query/cursor"),
    ([("status", "done")], "/query/status"),
    ([("status", "queued,")], "/query/status"),
    ([("order", "id")], "/query/order"),
    ([("created_after", "yesterday")], "/query/created_after"),
    ([("created_before", "17")], "/query/created_before"),
    ([("created_after", "2027-01-01T00:00:00Z"), ("created_before", "2026-01-01T00:00:00Z")], "/query/created_after"),
    ([("label.", "x")], "/query/label."),
    ([("label.a", "x"), ("label.a", "y")], "/query/label.a"),
    ([(f"label.{i}", "x") for i in range(17)], "/query"),
    ([("labels", "x")], "/query/labels"),
    ([("label", "x")], "/query/label"),
]


async def test_what_is_wrong_in_the_query_is_named(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        for query, pointer in REFUSED:
            answer = await client.get(JOBS, params=query)
            assert answer.status_code == 422, (query, answer.text)
            assert answer.json()["errors"][0]["pointer"] == pointer, answer.text


async def test_a_cursor_of_the_other_order_is_refused(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        for _ in range(2):
            await created(client, simulation())
        cursor = (await client.get(JOBS, params={"limit": 1})).json()["next_cursor"]
        assert (await client.get(JOBS, params={"limit": 1, "cursor": cursor})).status_code == 200
        wrong = await client.get(JOBS, params={"cursor": cursor, "order": "created_at"})
        assert wrong.json()["errors"][0]["pointer"] == "/query/cursor"


@pytest.mark.parametrize("path", ["/jobs/", "/jobs/x/manifest", "/jobs/events"])
async def test_open_families_are_a_lists_alone(platform: Platform, path: str) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer: Any = await client.get(path, params={"other.key": "x"})
    assert answer.status_code == 422
    assert "/query/other.key" in answer.text
