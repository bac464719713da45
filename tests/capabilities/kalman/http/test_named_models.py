"""Named models over real HTTP, through the proxy and on two replicas."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.edge.test_api import JSON, NILE, NILE_MODEL, assert_limits, assert_problem
from tests.serving.platform import Platform

from luna_store.accounts.api_keys import ApiKey

TREND = {"kind": "local_linear_trend", "obs_var": 2.0, "level_var": 1.0, "trend_var": 0.5}
DELETED_FOR_ALL_S = 1.5


async def test_a_stored_model_answers_what_the_model_itself_answers(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        put = await client.put("/models/nile", json=NILE_MODEL)
        assert put.status_code == 201
        for route, request in (
            ("kalman", {"results": NILE}),
            ("kalman/filter", {"observations": [NILE]}),
            ("kalman/smooth", {"observations": [NILE]}),
            ("kalman/forecast", {"observations": [NILE], "steps": 3}),
        ):
            described = await client.post(f"/{route}", json=request | {"model": NILE_MODEL})
            latest = await client.post(f"/{route}", json=request | {"model": {"name": "nile"}})
            numbered = await client.post(f"/{route}", json=request | {"model": {"name": "nile", "version": 1}})
            assert described.status_code == latest.status_code == numbered.status_code == 200, latest.text
            assert described.content == latest.content == numbered.content
            assert_limits(latest)
    assert platform.used(caller.id) == 12


async def test_versions_count_changes_and_each_stays_as_it_was(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        first = await client.put("/models/m", json=NILE_MODEL)
        again = await client.put("/models/m", json=dict(reversed(NILE_MODEL.items())))
        second = await client.put("/models/m", json=TREND)
        latest, old = await client.get("/models/m"), await client.get("/models/m", params={"version": 1})
        missing = await client.get("/models/m", params={"version": 3})
        versions = await client.get("/models/m/versions")
        newer = await client.get("/models/m/versions", params={"limit": 1})
        older = await client.get("/models/m/versions", params={"before": newer.json()["next_before"]})
    assert [a.status_code for a in (first, again, second)] == [201, 200, 200]
    assert first.headers["location"] == f"/api/v1/{caller.id}/models/m"
    assert "location" not in again.headers
    assert [a.headers["etag"] for a in (first, again, second, latest, old)] == ['"1"', '"1"', '"2"', '"2"', '"1"']
    assert first.json() == again.json() == old.json()
    assert latest.json() == second.json()
    assert old.json()["model"] == NILE_MODEL
    assert set(old.json()) == {"name", "version", "model", "created_at"}
    assert datetime.fromisoformat(old.json()["created_at"]).tzinfo is not None
    assert_problem(missing, 404, "not-found")
    assert [(v["version"], v["kind"]) for v in versions.json()["versions"]] == [
        (2, "local_linear_trend"),
        (1, "local_level"),
    ]
    assert [v["version"] for v in (newer.json()["versions"] + older.json()["versions"])] == [2, 1]
    for answer in (first, again, latest, versions, missing):
        assert_limits(answer)
    assert platform.used(caller.id) == 0


async def test_what_a_get_answers_may_be_put_back(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        await client.put("/models/m", json=NILE_MODEL)
        read = (await client.get("/models/m")).json()
        assert (await client.put("/models/m", json=read)).json() == read
        read["model"]["obs_var"] = 7
        changed = (await client.put("/models/m", json=read)).json()
        assert (changed["version"], changed["model"]["obs_var"]) == (2, 7)
        assert_problem(await client.put("/models/other", json=read), 422, "invalid")


async def test_a_call_without_version_sees_a_change_at_once_on_every_replica(platform: Platform) -> None:
    caller = await platform.caller()
    for obs_var in range(1, 9):
        model = {"kind": "local_level", "obs_var": float(obs_var), "level_var": 1.0}
        async with caller.client() as client:
            assert (await client.put("/models/m", json=model)).json()["version"] == obs_var
        request = {"observations": [[1.0, 2.0]]}
        for _ in range(4):  # a connection of its own each: the replica that answers is anybody's guess
            async with caller.client() as client:
                named = await client.post("/kalman/filter", json=request | {"model": {"name": "m"}})
                described = await client.post("/kalman/filter", json=request | {"model": model})
            assert named.json()["results"] == described.json()["results"]


async def test_a_deleted_model_is_gone_and_its_numbers_are_not_given_again(platform: Platform) -> None:
    caller = await platform.caller()
    versioned = {"observations": [[1.0]], "model": {"name": "m", "version": 1}}
    async with caller.client() as client:
        await client.put("/models/m", json=NILE_MODEL)
        assert (await client.post("/kalman/filter", json=versioned)).status_code == 200
        deleted = await client.delete("/models/m")
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert_limits(deleted)
        for path in ("/models/m", "/models/m/versions"):
            assert_problem(await client.get(path), 404, "not-found")
        assert_problem(await client.delete("/models/m"), 404, "not-found")
        await asyncio.sleep(DELETED_FOR_ALL_S)
        problem = assert_problem(await client.post("/kalman/filter", json=versioned), 422, "invalid")
        assert problem["errors"][0]["pointer"] == "/model/name"
        back = await client.put("/models/m", json=TREND)
        assert (back.status_code, back.json()["version"]) == (201, 2)
        problem = assert_problem(await client.post("/kalman/filter", json=versioned), 422, "invalid")
        assert problem["errors"][0]["pointer"] == "/model/version"
    assert platform.used(caller.id) == 1


@pytest.mark.parametrize(
    ("model", "pointer"),
    [
        ({"name": "none"}, "/model/name"),
        ({"name": "m", "version": 2}, "/model/version"),
        ({"name": "No Name"}, "/model/name"),
        ({"name": "m", "version": 0}, "/model/version"),
        ({"name": "m", "obs_var": 1}, "/model/obs_var"),
        ({"version": 1}, "/model/name"),
    ],
)
async def test_a_name_that_means_nothing_is_pointed_to_and_costs_nothing(
    platform: Platform, model: dict[str, Any], pointer: str
) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        await client.put("/models/m", json=NILE_MODEL)
        for route, body in (("kalman", {"results": [1.0]}), ("kalman/filter", {"observations": [[1.0]]})):
            answer = await client.post(f"/{route}", json=body | {"model": model})
            problem = assert_problem(answer, 422, "invalid")
            assert pointer in {e["pointer"] for e in problem["errors"]}
            assert_limits(answer)
    if model == {"name": "none"}:
        assert f"GET /api/v1/{caller.id}/models" in problem["detail"]
    assert platform.used(caller.id) == 0


async def test_what_does_not_fit_a_stored_model_is_refused_like_any(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        await client.put("/models/m", json=NILE_MODEL)
        named = {"model": {"name": "m", "version": 1}}
        for _ in range(2):  # from the store, and from memory
            wrong = await client.post("/kalman/filter", json=named | {"observations": [[]]})
            problem = assert_problem(wrong, 422, "invalid")
            assert problem["errors"][0]["pointer"] == "/observations/0"
            overflow = await client.post("/kalman", json=named | {"results": [1e308, -1e308, 1e308]})
            assert_problem(overflow, 422, "invalid")
    await asyncio.sleep(0.2)
    assert platform.used(caller.id) == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"kind":"local_level","obs_var":-1}', "/obs_var"),
        (b'{"kind":"local_level","obs_var":0,"level_var":0}', "/obs_var"),
        (b'{"kind":"local_level","x":1}', "/x"),
        (b'{"kind":"nothing"}', ""),
        (b'{"kind":"local_level","initial":{"kind":"known","mean":[0],"cov":[[-1]]}}', "/initial/cov"),
        (b'{"kind":"local_level","obs_var":NaN}', "/obs_var"),
        (b'{"model":{"kind":"local_level","obs_var":-1}}', "/model/obs_var"),
        (b'{"model":{"kind":"local_level"},"extra":1}', "/extra"),
        (b'{"model":{"kind":"local_level"},"name":"b"}', "/name"),
        (b"[]", ""),
        (b"", ""),
    ],
)
async def test_a_bad_model_is_named_by_its_field_and_not_stored(platform: Platform, body: bytes, pointer: str) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.put("/models/m", content=body, headers=JSON)
        problem = assert_problem(answer, 422, "invalid")
        assert pointer in {e["pointer"] for e in problem["errors"]}
        assert_limits(answer)
        assert_problem(await client.get("/models/m"), 404, "not-found")


async def test_a_model_does_not_stand_for_another(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        await client.put("/models/m", json=NILE_MODEL)
        for body in ({"name": "m"}, {"model": {"name": "m", "version": 1}}):
            assert_problem(await client.put("/models/n", json=body), 422, "invalid")


@pytest.mark.parametrize("name", ["A", "-a", "a-", "a_b", "a.b", "%C3%A4", "a" * 64, "a%0A", "a%00"])
async def test_a_bad_name_is_told_what_a_name_is(platform: Platform, name: str) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        for answer in (
            await client.put(f"/models/{name}", json=NILE_MODEL),
            await client.get(f"/models/{name}"),
            await client.delete(f"/models/{name}"),
        ):
            problem = assert_problem(answer, 422, "invalid")
            assert problem["errors"][0]["pointer"] == "/path/name"
            assert "63" in problem["detail"]
            assert_limits(answer)


async def test_the_list_is_the_accounts_own_in_pages(platform: Platform) -> None:
    caller, other = await platform.caller(), await platform.caller()
    async with caller.client() as client:
        assert (await client.get("/models")).json() == {"models": [], "next_after": None, "next_cursor": None}
        for name in ("c", "a", "b"):
            await client.put(f"/models/{name}", json=NILE_MODEL)
        await client.put("/models/b", json=TREND)
        first = await client.get("/models", params={"limit": 2})
        rest = await client.get("/models", params={"limit": 2, "after": first.json()["next_after"]})
        for params in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after": "\0"}):
            assert_problem(await client.get("/models", params=params), 422, "invalid")
    assert [(m["name"], m["version"], m["kind"]) for m in first.json()["models"]] == [
        ("a", 1, "local_level"),
        ("b", 2, "local_linear_trend"),
    ]
    assert [m["name"] for m in rest.json()["models"]] == ["c"]
    assert rest.json()["next_after"] is None
    assert_limits(first)
    async with other.client() as client:
        assert (await client.get("/models")).json()["models"] == []
        problem = assert_problem(
            await client.post("/kalman", json={"results": [1.0], "model": {"name": "a"}}), 422, "invalid"
        )
        assert problem["errors"][0]["pointer"] == "/model/name"


STRANGERS: list[dict[str, str]] = [
    {},
    {"X-API-Key": "secret"},
    {"X-API-Key": ApiKey.issue().secret},
    {"Authorization": f"Bearer {ApiKey.issue().secret}"},
]


@pytest.mark.parametrize("headers", STRANGERS)
async def test_a_stranger_learns_nothing_of_a_model(platform: Platform, headers: dict[str, str]) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        await client.put("/models/m", json=NILE_MODEL)
        await client.post("/kalman", json={"results": [1.0], "model": {"name": "m", "version": 1}})
    answers = set()
    async with httpx.AsyncClient(base_url=caller.url, headers=headers) as client:
        for answer in (
            await client.get("/models"),
            await client.get("/models/m"),
            await client.get("/models/none"),
            await client.get("/models/No Name"),
            await client.get("/models/m/versions"),
            await client.put("/models/m", content=b"no json"),
            await client.delete("/models/m"),
            *[
                await client.post("/kalman", json={"results": [1.0], "model": {"name": name} | version})
                for name in ("m", "none")
                for version in ({}, {"version": 1}, {"version": 2})
            ],
        ):
            answers.add(assert_problem(answer, 401, "unauthenticated")["detail"])
            assert "ratelimit" not in answer.headers
    assert len(answers) == 1


async def test_the_models_of_another_account_are_forbidden(platform: Platform) -> None:
    ours, theirs = await platform.caller(), await platform.caller()
    async with theirs.client() as client:
        await client.put("/models/m", json=NILE_MODEL)
    async with httpx.AsyncClient(base_url=platform.url, headers={"X-API-Key": ours.key.secret}) as client:
        for account_id, status, slug in ((theirs.id, 403, "other-account"), (99_999_999, 404, "not-found")):
            base = f"/api/v1/{account_id}"
            for answer in (
                await client.get(f"{base}/models"),
                await client.put(f"{base}/models/m", json=TREND),
                await client.delete(f"{base}/models/m"),
                await client.post(f"{base}/kalman", json={"results": [1.0], "model": {"name": "m"}}),
            ):
                assert_problem(answer, status, slug)
                assert_limits(answer)
    async with theirs.client() as client:
        assert (await client.get("/models/m")).json()["version"] == 1


@pytest.mark.parametrize(
    ("changes", "slug"),
    [({"state": "suspended"}, "suspended"), ({"expires_at": datetime.now(UTC) - timedelta(seconds=1)}, "expired")],
)
async def test_an_account_that_may_not_call_may_not_store(
    platform: Platform, changes: dict[str, Any], slug: str
) -> None:
    caller = await platform.caller()
    await platform.change(caller.id, **changes)
    async with caller.client() as client:
        answer = await client.put("/models/m", json=NILE_MODEL)
    assert_problem(answer, 403, slug)
    assert_limits(answer)


async def test_a_name_does_not_get_around_the_allowed_models(platform: Platform) -> None:
    caller = await platform.caller(allowed_models=["local_level", "models/trend", "trend"])
    async with caller.client() as client:
        for name, model in (("level", NILE_MODEL), ("trend", TREND), ("local-level", TREND)):
            assert (await client.put(f"/models/{name}", json=model)).status_code == 201
        statuses = {}
        for name in ("level", "trend", "local-level"):
            for version in ({}, {"version": 1}, {"version": 1}):
                answer = await client.post("/kalman", json={"results": [1.0], "model": {"name": name} | version})
                statuses[name] = answer.status_code
                if answer.status_code != 200:
                    assert_problem(answer, 403, "model-not-allowed")
    assert statuses == {"level": 200, "trend": 403, "local-level": 403}
    assert platform.used(caller.id) == 3


async def test_without_postgres_a_model_in_memory_goes_on_and_another_costs_nothing(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        for name in ("seen", "unseen"):
            await client.put(f"/models/{name}", json=NILE_MODEL)
    request = {"results": [1.0], "model": {"name": "seen", "version": 1}}

    async def from_everywhere() -> set[int]:
        statuses = set()
        for _ in range(20):  # a connection of its own each: both replicas are asked
            async with caller.client() as client:
                for model in (request["model"], {"name": "seen"}):
                    statuses.add((await client.post("/kalman", json=request | {"model": model})).status_code)
        return statuses

    assert await from_everywhere() == {200}
    await asyncio.to_thread(platform.postgres.kill)
    try:
        assert await from_everywhere() == {200}
        async with caller.client() as client:
            for answer in (
                await client.post("/kalman", json=request | {"model": {"name": "unseen"}}),
                await client.post("/kalman", json=request | {"model": {"name": "unseen", "version": 1}}),
                await client.get("/models"),
                await client.get("/models/seen"),
                await client.put("/models/seen", json=TREND),
                await client.delete("/models/seen"),
            ):
                assert_problem(answer, 503, "dependencies-gone")
                assert int(answer.headers["retry-after"]) >= 1
                assert_limits(answer)
    finally:
        await asyncio.to_thread(platform.postgres.start)
    assert platform.used(caller.id) == 80


async def test_conditions_keep_updates_from_being_lost(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:

        async def put(model: dict[str, Any], **headers: str) -> httpx.Response:
            return await client.put(
                "/models/m", json=model, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )

        assert_problem(await put(NILE_MODEL, if_match="*"), 412, "precondition-failed")
        assert (await put(NILE_MODEL, if_none_match="*")).status_code == 201
        assert_problem(await put(TREND, if_none_match="*"), 412, "precondition-failed")
        both = await asyncio.gather(put(TREND, if_match='"1"'), put(TREND | {"obs_var": 9}, if_match='"1"'))
        assert sorted(a.status_code for a in both) == [200, 412]
        assert_limits(next(a for a in both if a.status_code == 412))
        assert_problem(await put(NILE_MODEL, if_match='W/"2"'), 412, "precondition-failed")
        assert_problem(await put(NILE_MODEL, if_match="2"), 412, "precondition-failed")
        assert (await put(NILE_MODEL, if_match='"7", "2"')).json()["version"] == 3
        assert_problem(await put(NILE_MODEL, if_none_match='"3"'), 422, "invalid")
        unchanged = await client.get("/models/m", headers={"If-None-Match": 'W/"3"'})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", '"3"')
        assert (await client.get("/models/m", headers={"If-None-Match": '"2"'})).status_code == 200
        stale = await client.delete("/models/m", headers={"If-Match": '"2"'})
        assert_problem(stale, 412, "precondition-failed")
        assert (await client.delete("/models/m", headers={"If-Match": '"3"'})).status_code == 204


async def test_a_body_is_held_to_size_and_type(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        large = b'{"kind":"local_level","obs_var":1' + b" " * 1024 * 1024 + b"}"
        too_large = await client.put("/models/m", content=large, headers=JSON)
        assert assert_problem(too_large, 413, "too-large")["limit"] == 1024 * 1024
        text = await client.put("/models/m", content=b"{}", headers={"Content-Type": "text/plain"})
        assert_problem(text, 415, "unsupported-media-type")
        for answer in (too_large, text):
            assert_limits(answer)


async def test_other_methods_are_told_which_there_are(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        one, all_of_them = await client.post("/models/m", json={}), await client.post("/models", json={})
    assert_problem(one, 405, "method-not-allowed")
    assert set(re.split(r",\s*", one.headers["allow"])) == {"GET", "HEAD", "PUT", "DELETE"}
    assert_problem(all_of_them, 405, "method-not-allowed")
    assert all_of_them.headers["allow"] == "GET, HEAD"


async def test_the_documentation_shows_named_models(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url) as client:
        document = (await client.get("/openapi.json")).json()
    paths = document["paths"]
    one = paths["/api/v1/{account_id}/models/{name}"]
    assert set(one) == {"get", "put", "delete"}
    assert {"200", "201", "401", "403", "404", "409", "412", "413", "415", "422", "503"} <= set(one["put"]["responses"])
    assert one["put"]["requestBody"]["content"]["application/json"]["example"]["kind"] == "local_level"
    assert "StoredModel" in str(one["get"]["responses"]["200"])
    assert (
        set(paths["/api/v1/{account_id}/models"])
        == set(paths["/api/v1/{account_id}/models/{name}/versions"])
        == {"get"}
    )
    schemas = document["components"]["schemas"]
    assert schemas["StoredModel"]["examples"][0]["version"] == 1
    assert set(schemas["NamedModel"]["properties"]) == {"name", "version"}
    for request in ("KalmanRequest", "FilterRequest", "SmoothRequest", "ForecastRequest"):
        assert "#/components/schemas/NamedModel" in str(schemas[request]["properties"]["model"])
