"""`POST /jobs/` of a running Luna."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.jobs.http.jobs import JOBS, LOCAL_LEVEL, SIMULATION, created, ended, finished, fit, simulation
from tests.serving.people import People, bearer
from tests.serving.platform import Platform

from luna_store.people.roles import Role


@pytest.mark.parametrize("path", ["/jobs/", "/jobs"])
async def test_a_job_is_created_with_and_without_the_slash(platform: Platform, path: str) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post(path, json=simulation(labels={"desk": "fx"}, priority=3))
        job = answer.json()
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"/api/v1/{caller.id}/jobs/{job['id']}" == job["links"]["self"]
        assert answer.headers["content-type"] == "application/json"
        assert (job["kind"], job["priority"], job["labels"]) == ("kalman/simulate", 3, {"desk": "fx"})
        assert job["units_reserved"] == 1
        assert "ratelimit" in answer.headers
        await ended(client, job["id"])


async def test_the_path_without_the_account_is_the_credentials(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post(f"{platform.url}/api/v1/jobs/", json=simulation())
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/api/v1/{caller.id}/jobs/{answer.json()['id']}"


async def test_prefer_wait_answers_the_finished_job(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post(JOBS, json=simulation(), headers={"Prefer": "wait=20"})
    job = answer.json()
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait=20"
    assert job["status"] == "succeeded"
    assert job["progress"] == {"completed": 1, "total": 1, "unit": "calls", "estimate": None}
    assert len(job["result"]["results"][0]["observations"][0]) == 5
    assert (job["units_used"], job["attempt"], job["error"]) == (1, 1, None)
    assert [each["outcome"] for each in job["attempts"]] == ["succeeded"]


async def test_a_job_computes_what_its_route_does(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await finished(client, fit(3))
        direct = await client.post("/kalman/fit", json=fit(3)["parameters"])
    assert job["result"]["results"] == direct.json()["results"]
    assert (job["progress"]["completed"], job["units_used"]) == (3, 3)
    assert platform.used(caller.id) == 6


async def test_validate_only_says_what_a_job_costs_and_charges_nothing(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    async with caller.client() as client:
        answer = await client.post(JOBS, params={"validate_only": "true"}, json=fit(4))
        assert answer.status_code == 200
        assert answer.json() == {"units": 4, "plan": {"series": 4, "starts": 3, "method": "mle"}}
        wrong = await client.post(JOBS, params={"validate_only": "true"}, json=fit(0))
        assert wrong.json()["errors"][0]["pointer"] == "/parameters/observations"
        assert (await client.get(JOBS)).json()["items"] == []
    assert platform.left(caller.id) == 10


def with_parameters(**changes: Any) -> dict[str, Any]:
    return simulation() | {"parameters": SIMULATION | changes}


REFUSED = [
    ({"kind": "montecarlos", "parameters": {}}, "/kind"),
    ({"parameters": {}}, "/kind"),
    ({"kind": "kalman/fit"}, "/parameters"),
    ({"kind": "kalman/fit", "parameters": [1]}, "/parameters"),
    (simulation(surprise=1), "/surprise"),
    (with_parameters(length=0), "/parameters/length"),
    (with_parameters(model=LOCAL_LEVEL | {"obs_var": -1}), "/parameters/model/obs_var"),
    (with_parameters(surprise=1), "/parameters/surprise"),
    (simulation(priority=101), "/priority"),
    (simulation(priority=-101), "/priority"),
    (simulation(priority=1.5), "/priority"),
    (simulation(priority="1"), "/priority"),
    (simulation(deadline="2020-01-01T00:00:00Z"), "/deadline"),
    (simulation(deadline="tomorrow"), "/deadline"),
    (simulation(deadline="2099-01-01T00:00:00"), "/deadline"),
    (simulation(deadline=4102444800), "/deadline"),
    (simulation(labels={str(i): "" for i in range(17)}), "/labels"),
    (simulation(labels={"k" * 64: ""}), "/labels"),
    (simulation(labels={"": "x"}), "/labels"),
    (simulation(labels={"k": "v" * 256}), "/labels"),
    (simulation(labels={"k": "\0"}), "/labels"),
    (simulation(labels={"k": 1}), "/labels/k"),
    (simulation(webhook="ftp://example.com/"), "/webhook"),
    (simulation(webhook="https://user:pass@example.com/"), "/webhook"),
    (simulation(webhook="https://"), "/webhook"),
    (simulation(webhook="example.com"), "/webhook"),
]


async def test_what_is_wrong_is_422_with_a_pointer_and_costs_nothing(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    async with caller.client() as client:
        for body, pointer in REFUSED:
            answer = await client.post(JOBS, json=body)
            assert answer.status_code == 422, (body, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["errors"][0]["pointer"] == pointer, answer.text
            assert answer.json()["errors"][0]["detail"]
        assert (await client.get(JOBS)).json()["items"] == []
    assert platform.left(caller.id) == 10


async def test_an_unknown_kind_is_answered_with_the_kinds(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post(JOBS, json={"kind": "other", "parameters": {}})
    detail = answer.json()["errors"][0]["detail"]
    assert "kalman/fit" in detail
    assert "kalman/simulate" in detail


@pytest.mark.parametrize(
    ("content", "type_", "status"),
    [(b"{", "application/json", 422), (b"[]", "application/json", 422), (b"{}", "text/plain", 415)],
)
async def test_what_is_not_a_json_object_is_refused(
    platform: Platform, content: bytes, type_: str, status: int
) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post(JOBS, content=content, headers={"Content-Type": type_})
    assert answer.status_code == status


async def test_labels_priorities_and_deadlines_at_their_bounds_are_taken(platform: Platform) -> None:
    caller = await platform.caller()
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    labels = {("k" * 61 + f"{i:02d}"): "v" * 255 for i in range(16)}
    async with caller.client() as client:
        job = await created(client, simulation(labels=labels, priority=-100, deadline=soon))
    assert job["labels"] == labels
    assert datetime.fromisoformat(job["deadline"]) == datetime.fromisoformat(soon)


async def test_a_refused_job_leaves_the_quota_alone(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=3)
    async with caller.client() as client:
        answer = await client.post(JOBS, json=fit(4))
        assert answer.status_code == 429
        assert answer.json()["type"].endswith("/quota-exhausted")
        assert (await client.get(JOBS)).json()["items"] == []
    assert platform.used(caller.id) == 0
    assert platform.left(caller.id) == 3


async def test_a_model_that_is_not_allowed_is_refused(platform: Platform) -> None:
    caller = await platform.caller(allowed={"kalman": ["arima"]})
    async with caller.client() as client:
        for query in ({}, {"validate_only": "true"}):
            assert (await client.post(JOBS, params=query, json=simulation())).status_code == 403


async def test_a_limit_of_the_account_points_into_the_parameters(platform: Platform) -> None:
    caller = await platform.caller(limits={"max_series_per_request": 2})
    async with caller.client() as client:
        for query in ({}, {"validate_only": "true"}):
            answer = await client.post(JOBS, params=query, json=fit(3))
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["pointer"] == "/parameters/observations"
        assert (await client.post(JOBS, params={"validate_only": "true"}, json=fit(2))).status_code == 200


async def test_a_named_model_is_filled_in_when_the_job_is_created(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        await client.put("/models/mine", json=SIMULATION["model"])
        job = await created(client, with_parameters(model={"name": "mine"}))
        await client.delete("/models/mine")
        assert (await ended(client, job["id"]))["status"] == "succeeded"
        manifest = (await client.get(f"/jobs/{job['id']}/manifest")).json()
        assert manifest["parameters"]["model"]["kind"] == "local_level"
        missing = await client.post(JOBS, json=with_parameters(model={"name": "mine"}))
        assert missing.status_code in {404, 422}


async def test_a_full_queue_is_429_and_costs_nothing(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=100, limits={"jobs.queued": 1, "jobs.concurrent": 1})
    async with caller.client() as client:
        answers = [await client.post(JOBS, json=fit(8)) for _ in range(4)]
        made = [each for each in answers if each.status_code == 201]
        refused = [each for each in answers if each.status_code == 429]
        assert len(made) + len(refused) == 4
        assert refused, "four jobs at once leave at least one beyond one that runs and one that waits"
        assert all(each.json()["type"].endswith("/job-queue-full") for each in refused)
        assert all(int(each.headers["retry-after"]) > 0 for each in refused)
        for each in made:
            await ended(client, each.json()["id"])
    assert platform.used(caller.id) == 8 * len(made)


async def test_the_same_key_and_body_are_the_same_job_as_it_is_now(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        first = await client.post(JOBS, json=simulation(), headers={"Idempotency-Key": "a"})
        assert first.status_code == 201
        job = await ended(client, first.json()["id"])
        again = await client.post("/jobs", json=simulation(), headers={"Idempotency-Key": "a"})
        assert again.status_code == 200
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]
        assert again.json() == job
        other = await client.post(JOBS, json=simulation(priority=1), headers={"Idempotency-Key": "a"})
        assert other.status_code == 422
        assert other.json()["type"].endswith("/idempotency-key-reused")
    assert platform.used(caller.id) == 1


async def test_the_same_key_at_the_same_time_creates_one_job(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        calls = [client.post(JOBS, json=simulation(), headers={"Idempotency-Key": "b"}) for _ in range(12)]
        answers = await asyncio.gather(*calls)
        assert {each.status_code for each in answers} <= {200, 201, 409}
        assert [each.status_code for each in answers].count(201) == 1
        assert len({each.json()["id"] for each in answers if each.status_code < 300}) == 1
        assert len((await client.get(JOBS)).json()["items"]) == 1
    assert platform.used(caller.id) == 1


async def test_a_refused_job_may_be_corrected_under_its_key(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        assert (await client.post(JOBS, json={}, headers={"Idempotency-Key": "c"})).status_code == 422
        await created(client, simulation(), **{"Idempotency-Key": "c"})


async def test_viewers_read_and_members_create(platform: Platform, people: People) -> None:
    caller = await platform.caller()
    viewer = await people.signed_in(await people.member(caller.id, role=Role.VIEWER))
    member = await people.signed_in(await people.member(caller.id, role=Role.MEMBER))
    post = people.client.post
    refused = await post("/api/v1/jobs/", json=simulation(), headers=bearer(viewer))
    assert refused.status_code == 403
    made = await post("/api/v1/jobs/", json=simulation(), headers=bearer(member))
    assert made.status_code == 201, made.text
    path = f"/api/v1/jobs/{made.json()['id']}"
    for reading in ("", "/manifest"):
        assert (await people.client.get(path + reading, headers=bearer(viewer))).status_code == 200
    assert (await people.client.get("/api/v1/jobs/", headers=bearer(viewer))).json()["items"]
    for changing in (people.client.delete(path, headers=bearer(viewer)), post(f"{path}/retry", headers=bearer(viewer))):
        assert (await changing).status_code == 403
    assert (await people.client.delete(path, headers=bearer(member))).status_code in {200, 202}


async def test_another_accounts_jobs_are_not_there(platform: Platform) -> None:
    mine, other = await platform.caller(), await platform.caller()
    async with mine.client() as client:
        job = await finished(client, simulation())
    async with other.client() as client:
        for method, path in [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/events"),
            ("GET", "/result"),
            ("GET", "/artifacts/a"),
            ("GET", "/manifest"),
            ("POST", "/retry"),
            ("DELETE", "/data"),
        ]:
            answer = await client.request(method, f"/jobs/{job['id']}{path}")
            assert answer.status_code == 404, (method, path, answer.text)
        assert (await client.get(f"{mine.url}/jobs/{job['id']}")).status_code == 403
        assert (await client.get(JOBS)).json() == {"items": [], "next_cursor": None}
