"""Paths without an account's id: the account is the credential's. And lists in pages, on the running platform."""

import re
from typing import Any

import httpx
from tests.edge.test_api import assert_limits, assert_problem
from tests.serving.platform import Platform
from tests.serving.stream_client import LEVEL, Client, connected
from websockets.asyncio.client import connect

from luna_store.accounts.api_keys import ApiKey

MODEL = {"kind": "local_level", "obs_var": 2.0, "level_var": 0.5}


async def test_every_kind_of_route_is_there_without_the_account(platform: Platform) -> None:
    caller, other = await platform.caller(quota_limit=10), await platform.caller()
    base = f"{platform.url}/api/v1"
    async with httpx.AsyncClient(base_url=base, headers={"X-API-Key": caller.key.secret}) as client:
        computed = await client.post("/kalman", json={"results": [1, 2]})
        account = await client.get("/account")
        usage = await client.get("/usage")
        put = await client.put("/models/m", json=MODEL)
        named = await client.post("/kalman/filter", json={"model": {"name": "m"}, "observations": [[1.0]]})
        listed = await client.get("/models")
        streams = await client.get("/kalman/streams")
        head = await client.head("/usage")
        same = await client.get(f"/{caller.id}")
        refused = await client.post("/kalman?precision=x", json={"results": [1]})
        disallowed = await client.get("/kalman")
        for path in (f"/{other.id}/usage", f"/{other.id}/kalman/streams", f"/{other.id}"):
            assert_problem(await client.get(path), 403, "other-account")
        for path in ("/nothing", "/kalman/nothing", "/auth", "/12345678901"):
            assert_problem(await client.get(path), 404, "not-found")
    for answer in (computed, account, usage, put, named, listed, streams, head, same, refused, disallowed):
        assert_limits(answer)
    assert [a.status_code for a in (computed, account, usage, put, named, listed, streams, head, same)] == [
        200, 200, 200, 201, 200, 200, 200, 200, 200,
    ]  # fmt: skip
    assert account.json()["account_id"] == caller.id
    assert account.json()["display_name"] == same.json()["display_name"]
    assert put.headers["location"] == f"/api/v1/{caller.id}/models/m"
    assert [m["name"] for m in listed.json()["models"]] == ["m"]
    assert refused.json()["errors"][0]["pointer"] == "/query/precision"
    assert_problem(disallowed, 405, "method-not-allowed")
    async with connect(
        f"{base.replace('http', 'ws')}/kalman/stream", additional_headers={"X-API-Key": caller.key.secret}
    ) as connection:
        opened = await Client(connection).ask(type="open", model=LEVEL)
        assert opened["type"] == "opened"
    async with httpx.AsyncClient(base_url=base, headers={"X-API-Key": ApiKey.issue().secret}) as stranger:
        assert_problem(await stranger.post("/kalman", json={"results": [1]}), 401, "unauthenticated")
        assert_problem(await stranger.get("/account"), 401, "unauthenticated")
    assert platform.used(caller.id) == 2


async def test_models_versions_and_streams_are_listed_in_pages(platform: Platform) -> None:
    caller = await platform.caller()

    async def pages(client: httpx.AsyncClient, path: str, items: str) -> list[Any]:
        found: list[Any] = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            answer = await client.get(path, params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page[items]) <= 2
            found += page[items]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    async with caller.client() as client:
        for name in "cabed":
            await client.put(f"/models/{name}", json=MODEL)
        for i in range(4):
            await client.put("/models/a", json={**MODEL, "obs_var": 10.0 + i})
        opened = []
        for _ in range(3):
            async with connected(caller) as stream:
                opened.append(await stream.open())
        models = await pages(client, "/models", "models")
        versions = await pages(client, "/models/a/versions", "versions")
        streams = await pages(client, "/kalman/streams", "streams")
        cursor = (await client.get("/models?limit=2")).json()["next_cursor"]
        both = await client.get("/models", params={"cursor": cursor, "after": "a"})
        foreign = await client.get("/models/a/versions", params={"cursor": cursor})
        since = [await client.get("/usage", params={"until": until}) for until in ("0.5", "1e3", "-7", "1700000000")]
        day = await client.get("/usage", params={"since": "2026-01-01", "until": "2026-01-02T00:00:00Z"})
    assert [m["name"] for m in models] == list("abcde")
    assert [v["version"] for v in versions] == [5, 4, 3, 2, 1]
    assert [s["stream"] for s in streams] == opened[::-1]
    assert [e["pointer"] for e in assert_problem(both, 422, "invalid")["errors"]] == ["/query/after"]
    assert [e["pointer"] for e in assert_problem(foreign, 422, "invalid")["errors"]] == ["/query/cursor"]
    for answer in since:
        assert [e["pointer"] for e in assert_problem(answer, 422, "invalid")["errors"]] == ["/query/until"]
    assert day.status_code == 200


async def test_the_document_has_every_route_in_both_forms_and_all_its_answers(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url) as client:
        document = (await client.get("/openapi.json")).json()
        metrics = await client.get("/metrics")
        token = await client.post("/api/v1/auth/token?x=1", data={"grant_type": "client_credentials"})
    paths = document["paths"]
    long = {p.removeprefix("/api/v1/{account_id}") for p in paths if p.startswith("/api/v1/{account_id}")}
    short = {p.removeprefix("/api/v1") for p in paths if p.startswith("/api/v1") and "{account_id}" not in p}
    # Signing in belongs to no account.
    assert {path for path in short if not path.startswith("/auth/")} == (long - {""}) | {"/account"}
    assert {"/auth/token", "/auth/login", "/auth/refresh", "/auth/logout", "/auth/me", "/auth/password"} <= short
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    for path, operations in paths.items():
        for operation in operations.values():
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path
            assert operation["tags"], path
    kind = metrics.headers["content-type"].partition(";")[0]
    assert list(paths["/metrics"]["get"]["responses"]["200"]["content"]) == [kind]
    assert {"400", "401", "403", "413", "415", "422", "503"} <= set(paths["/api/v1/auth/token"]["post"]["responses"])
    assert {"application/json", "text/csv", "application/vnd.apache.parquet"} == set(
        paths["/api/v1/usage"]["get"]["responses"]["200"]["content"]
    )
    assert assert_problem(token, 422, "invalid")["errors"][0]["pointer"] == "/query/x"
