"""A capability that no shared file knows is served, charged, limited, measured and documented like the others."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.serving.platform import Luna, luna_on

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer

ROOT = Path(__file__).parents[3]
FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def luna(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Luna]:
    folder = tmp_path_factory.mktemp("third")
    with pytest.MonkeyPatch.context() as patch:
        # Where the application of the tests is found.
        patch.setenv("PYTHONPATH", str(ROOT), prepend=":")
        patch.setenv("LUNA_MEAN_MAX_NUMBERS", "50")
        with (
            PostgresServer(folder / "postgres", folder) as postgres,
            ValkeyServer(folder / "valkey", folder) as valkey,
            luna_on(
                folder,
                database_url=postgres.url,
                redis_url=valkey.url,
                arguments=["--app", "tests.capabilities.third.app", "--only", "mean"],
            ) as running,
        ):
            yield running


def test_it_is_small() -> None:
    lines = sum(len((FOLDER / name).read_text().splitlines()) for name in ("capability.py", "replica.py", "app.py"))
    assert lines < 100


async def test_a_call_is_answered_and_charged(luna: Luna) -> None:
    caller = await luna.caller(quota_limit=10)
    async with caller.client() as client:
        for path in ("/mean", f"{luna.url}/api/v1/mean"):
            answer = await client.post(path, json={"numbers": [1, 2, 6]})
            assert (answer.status_code, answer.json()) == (200, {"mean": 3.0})
        refused = await client.post("/mean", json={"numbers": [1e308, 1e308]})
    assert answer.headers["ratelimit"]
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/numbers")
    assert luna.used(caller.id) == 2


async def test_grants_and_limits_hold_for_it(luna: Luna) -> None:
    closed = await luna.caller(allowed={"mean": []})
    short = await luna.caller(allowed={"mean": ["arithmetic"]}, limits={"max_series_length": 2})
    async with closed.client() as client:
        denied = await client.post("/mean", json={"numbers": [1]})
    async with short.client() as client:
        beyond = await client.post("/mean", json={"numbers": [1, 2, 3]})
        within = await client.post("/mean", json={"numbers": [1, 2]})
    assert (denied.status_code, denied.json()["type"].rpartition("/")[2]) == (403, "not-allowed")
    assert (denied.json()["capability"], denied.json()["name"]) == ("mean", "arithmetic")
    assert (beyond.status_code, beyond.json()["errors"][0]["pointer"]) == (422, "/numbers")
    assert within.status_code == 200
    assert luna.used(closed.id) == 0


async def test_it_is_documented_measured_and_watched(luna: Luna) -> None:
    caller = await luna.caller()
    async with caller.client() as client:
        await client.post("/mean", json={"numbers": [1]})
        await client.get(f"{luna.url}/metrics")  # the ingress replica's own count is sent with the question
    with httpx.Client(base_url=luna.url, timeout=30) as client:
        paths = client.get("/openapi.json").json()["paths"]
        health = client.get("/health/detailed").json()
        metrics = client.get("/metrics").text
    assert {path for path in paths if path.endswith("mean")} == {"/api/v1/{account_id}/mean", "/api/v1/mean"}
    assert health["dependencies"]["mean"] == "up"
    assert 'luna_queued_calls{capability="mean"}' in metrics
    assert 'luna_replica_seconds_count{capability="mean"}' in metrics


def test_only_what_was_asked_for_is_served_and_all_compute_in_one_process(luna: Luna) -> None:
    with httpx.Client(base_url=luna.url, timeout=30) as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert [path for path in paths if "kalman" in path] == []
    assert "/api/v1/{account_id}" in paths, "account is always served"
    assert luna.kalman_replica() is not None, "the host `compute`"
