"""An account's own limits, over HTTP and WebSocket: errors point to the field, charge nothing, and are documented."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pyarrow.csv
import pyarrow.parquet
import pytest
from tests.serving.platform import Platform
from tests.serving.stream_client import LEVEL, connected

from luna_serving.capabilities.metrics.capability import METRICS
from luna_store.limits import LIMITS

LONG: dict[str, Any] = {"model": LEVEL, "observations": [[1.0, 2.0], [1.0] * 21]}
MANY: dict[str, Any] = {"model": LEVEL, "observations": [[1.0], [2.0], [3.0]]}
FORM = {"max_series_length": 20, "max_series_per_request": 2}
# What an account of `luna up` shows of limits that it does not set.
UNSET = {limit.name: limit.default for limit in LIMITS} | {"metrics.sockets": int(METRICS.local["max_connections"])}


def refusal(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"] == "https://luna.dev/problems/invalid"
    assert {"ratelimit", "ratelimit-policy"} <= set(answer.headers)
    (error,) = problem["errors"]
    return error


@pytest.mark.parametrize(
    ("route", "body", "pointer"),
    [
        ("/kalman", {"results": [1.0] * 21}, "/results"),
        ("/kalman/filter", LONG, "/observations/1"),
        ("/kalman/filter", MANY, "/observations"),
        ("/kalman/smooth", LONG, "/observations/1"),
        ("/kalman/forecast", {**MANY, "steps": 2}, "/observations"),
        ("/kalman/fit", LONG, "/observations/1"),
        ("/kalman/simulate", {"model": LEVEL, "length": 21, "initial_state": [0.0]}, "/length"),
    ],
)
async def test_a_call_beyond_the_accounts_limits_is_refused_at_its_field(
    platform: Platform, route: str, body: dict[str, Any], pointer: str
) -> None:
    caller = await platform.caller(quota_limit=7, rate_per_second=0.001, rate_burst=1, **FORM)
    async with caller.client() as client:
        error = refusal(await client.post(route, json=body))
        assert error["pointer"] == pointer
        assert "this account may" in error["detail"]
        good = await client.post("/kalman", json={"results": [1.0] * 20})
    assert good.status_code == 200, "the refusal cost no token of the rate"
    assert platform.left(caller.id) == 6


async def test_limits_hold_from_the_moment_they_change(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        assert (await client.post("/kalman/filter", json=LONG)).status_code == 200
        await platform.change(caller.id, max_series_length=20)
        refusal(await client.post("/kalman/filter", json=LONG))
        await platform.change(caller.id, max_series_length=None)
        assert (await client.post("/kalman/filter", json=LONG)).status_code == 200


async def test_the_servers_limits_stay_the_ceiling(platform: Platform) -> None:
    caller = await platform.caller(max_series_length=2**31 - 1, max_series_per_request=2**31 - 1)
    async with caller.client() as client:
        error = refusal(await client.post("/kalman/filter", json={"model": LEVEL, "observations": [[1.0]] * 1001}))
        account = (await client.get(caller.url)).json()
    assert error["pointer"] == "/observations"
    assert account["limits"] == UNSET | {"max_series_length": 1_000_000, "max_series_per_request": 1000}


async def test_the_account_shows_its_limits(platform: Platform) -> None:
    caller = await platform.caller(history_days=7, **FORM)
    async with caller.client() as client:
        account = (await client.get(caller.url)).json()
    assert account["limits"] == UNSET | FORM | {"history_days": 7}


@pytest.mark.parametrize(
    ("spec", "models"),
    [
        ({}, ["*"]),
        ({"allowed_models": ["arima", "local_level"]}, ["arima", "local_level"]),
        ({"allowed": {"kalman": ["arima"], "indicators": ["*"]}}, ["arima"]),
        ({"allowed": {"indicators": ["*"]}}, []),
    ],
)
async def test_the_account_shows_what_it_is_allowed(
    platform: Platform, spec: dict[str, Any], models: list[str]
) -> None:
    caller = await platform.caller(**spec)
    async with caller.client() as client:
        account = (await client.get(caller.url)).json()
        refused = await client.post("/kalman", json={"results": [1.0]})
    assert account["allowed_models"] == models
    named = {"*": ["*"]} if models == ["*"] else {"kalman": models, "*": ["*"]}
    assert account["allowed"] == spec.get("allowed", named)
    may = "*" in models or "local_level" in models
    assert (refused.status_code == 200) == may
    assert may or refused.json()["type"].endswith("/model-not-allowed")


async def test_a_stream_takes_messages_that_the_account_may_send(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=9, **FORM)
    async with connected(caller) as client:
        opened = await client.ask(type="open", model=LEVEL)
        assert opened["max_points"] == 20
        refused = await client.points(1, [1.0] * 21)
        assert refused["type"] == "error"
        assert refused["problem"]["errors"] == [
            {"pointer": "/values", "detail": "Holds 21 points; this account may send 20 per message. Send several."}
        ]
        for first in (1, 21):
            answer = await client.points(first, [1.0] * 20)
            assert (answer["type"], len(answer["points"])) == ("filtered", 20), answer
    assert platform.used(caller.id) == 2


async def test_usage_goes_back_as_far_as_the_accounts_history(platform: Platform) -> None:
    caller = await platform.caller(history_days=7)
    async with caller.client() as client:
        for _ in range(3):
            assert (await client.post("/kalman", json={"results": [1.0]})).status_code == 200
        assert platform.used(caller.id) == 3
        with psycopg.connect(platform.database_url, autocommit=True) as sql:
            # One eight days old, one six.
            for days, taken in ((8, 0), (6, 1)):
                sql.execute(
                    "UPDATE usage_events SET occurred_at = occurred_at - make_interval(days => %s) WHERE stream_id = "
                    "(SELECT stream_id FROM usage_events WHERE account_id = %s ORDER BY stream_id OFFSET %s LIMIT 1)",
                    [days, caller.id, taken],
                )
        asked_at = datetime.now(UTC)
        since = (asked_at - timedelta(days=20)).isoformat()
        limited = await client.get("/usage", params={"since": since})
        as_csv = await client.get("/usage", headers={"Accept": "text/csv"})
        as_parquet = await client.get("/usage", headers={"Accept": "application/vnd.apache.parquet"})
        recent = await client.get("/usage", params={"since": (asked_at - timedelta(days=1)).isoformat()})
        ago = [(asked_at - timedelta(days=d)).isoformat() for d in (20, 10)]
        before = await client.get("/usage", params={"since": ago[0], "until": ago[1]})
        await platform.change(caller.id, history_days=None)
        whole = await client.get("/usage", params={"since": since})
    answer = limited.json()
    assert sum(p["calls"] for p in answer["usage"]) == 2
    begins = datetime.fromisoformat(answer["since"])
    assert timedelta(0) <= begins - (asked_at - timedelta(days=7)) < timedelta(minutes=1), "says from when on"
    assert datetime.fromisoformat(limited.headers["usage-since"]) == begins
    assert sum(pyarrow.csv.read_csv(io.BytesIO(as_csv.content)).column("calls").to_pylist()) == 2
    assert sum(pyarrow.parquet.read_table(io.BytesIO(as_parquet.content)).column("calls").to_pylist()) == 2
    assert "usage-since" in as_csv.headers
    assert datetime.fromisoformat(recent.json()["since"]) == asked_at - timedelta(days=1)
    assert sum(p["calls"] for p in recent.json()["usage"]) == 1
    assert before.json()["usage"] == []
    assert before.json()["since"] == before.json()["until"], "nothing of that span is shown"
    assert sum(p["calls"] for p in whole.json()["usage"]) == 3
    assert datetime.fromisoformat(whole.json()["since"]) == asked_at - timedelta(days=20)
