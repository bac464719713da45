"""The contract over real HTTP, through the proxy: what is answered, and what is charged for it."""

import asyncio
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import numpy as np
import pyarrow.parquet
import pytest
from statsmodels.datasets import nile
from tests.serving.platform import Platform

from luna_serving.app import CAPABILITIES
from luna_serving.telemetry.board_deployment import REPORT_EVERY_S
from luna_store.accounts.api_keys import ApiKey

NILE = [float(v) for v in nile.load_pandas().data["volume"]]
NILE_MODEL = {"kind": "local_level", "obs_var": 15099, "level_var": 1469.1}
JSON = {"Content-Type": "application/json"}
SERIES = [1.0, 2.0, None, 4.0]


def assert_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.headers.get_list("x-request-id")) == 1
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"https://luna.dev/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


def assert_limits(answer: httpx.Response, **expected: int) -> None:
    policy, state = answer.headers["ratelimit-policy"], answer.headers["ratelimit"]
    assert re.fullmatch(r'"quota";q=\d+(;w=\d+)?, "rate";q=\d+;w=\d+', policy)
    found = re.fullmatch(r'"quota";r=(?P<quota>\d+)(;t=\d+)?, "rate";r=(?P<rate>\d+);t=\d+', state)
    assert found
    for name, value in expected.items():
        assert int(found[name]) == value


async def test_the_nile_ends_where_the_books_say(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        plain = await client.post("/kalman", json={"results": NILE, "model": NILE_MODEL})
        full = await client.post(
            "/kalman/filter",
            json={
                "model": NILE_MODEL,
                "observations": [NILE],
                "outputs": ["filtered_state", "filtered_state_cov", "loglike"],
            },
        )
    assert plain.json()["processed_results"][-1] == pytest.approx(798.370293, abs=5e-7)
    assert plain.json()["input_data"] == NILE
    (result,) = full.json()["results"]
    assert result["filtered_state"][-1][0] == pytest.approx(798.370293, abs=5e-7)
    assert result["filtered_state_cov"][-1][0][0] == pytest.approx(4032.157942, abs=5e-7)
    assert result["loglike"] == pytest.approx(-633.4645636489, abs=5e-11)
    assert full.json()["plan"]["precision"] == "float64"


async def test_the_nile_is_smoothed_and_forecast_as_the_books_say(platform: Platform) -> None:
    caller = await platform.caller()
    request = {"model": NILE_MODEL, "observations": [NILE]}
    async with caller.client() as client:
        smoothed = (await client.post("/kalman/smooth", json=request)).json()["results"][0]
        forecast = (await client.post("/kalman/forecast", json=request | {"steps": 30})).json()["results"][0]
    assert smoothed["smoothed_state"][0][0] == pytest.approx(1111.668319, abs=5e-7)
    assert smoothed["smoothed_state"][49][0] == pytest.approx(834.763259, abs=5e-7)
    assert smoothed["smoothed_state_cov"][49][0][0] == pytest.approx(2326.756870, abs=5e-7)
    variance = [forecast["variance"][h] for h in (0, 1, 29)]
    assert variance == pytest.approx([20600.2579, 22069.3579, 63204.1579], abs=5e-5)
    assert forecast["mean"] == pytest.approx([798.370293] * 30, abs=5e-7)
    assert platform.used(caller.id) == 2


async def test_an_answer_carries_limits_and_the_callers_request_id(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10, rate_per_second=1, rate_burst=5)
    async with caller.client() as client:
        first = await client.post("/kalman", json={"results": SERIES}, headers={"X-Request-ID": "my-call-1"})
        second = await client.post("/kalman", json={"results": SERIES}, headers={"X-Request-ID": "no sane id"})
    assert first.status_code == 200
    assert first.headers.get_list("x-request-id") == ["my-call-1"]
    assert re.fullmatch(r"[0-9a-f]{32}", second.headers["x-request-id"])
    assert_limits(first, quota=9, rate=4)
    assert_limits(second, quota=8, rate=3)


@pytest.mark.parametrize("as_bearer", [False, True])
async def test_a_key_works_as_header_and_as_bearer(platform: Platform, as_bearer: bool) -> None:
    caller = await platform.caller()
    key = caller.key.secret
    headers = {"Authorization": f"Bearer {key}"} if as_bearer else {"X-API-Key": key}
    async with httpx.AsyncClient(base_url=platform.url, headers=headers) as client:
        answer = await client.post(f"/api/v1/{caller.id}/kalman", json={"results": [1]})
    assert answer.status_code == 200


@pytest.mark.parametrize("route", ["kalman", "kalman/filter", ""])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "secret"},
        {"X-API-Key": ApiKey.issue().secret},
        {"Authorization": "Bearer abc.def.ghi"},
        {"Authorization": "Basic abc"},
        {"Authorization": f"Bearer {ApiKey.issue().secret}"},
    ],
)
async def test_a_stranger_is_told_so_and_nothing_else(platform: Platform, headers: dict[str, str], route: str) -> None:
    caller = await platform.caller()
    path = f"/api/v1/{caller.id}/{route}".rstrip("/")
    async with httpx.AsyncClient(base_url=platform.url, headers=headers) as client:
        answer = await (client.post(path, json={"results": "x"}) if route else client.get(path))
    assert_problem(answer, 401, "unauthenticated")
    assert "Bearer" in answer.headers["www-authenticate"]
    assert "ratelimit" not in answer.headers


async def test_another_account_is_forbidden_and_an_unknown_one_not_found(platform: Platform) -> None:
    ours, theirs = await platform.caller(), await platform.caller()
    async with httpx.AsyncClient(base_url=platform.url, headers={"X-API-Key": ours.key.secret}) as client:
        for account_id, status, slug in ((theirs.id, 403, "other-account"), (99_999_999, 404, "not-found")):
            base = f"/api/v1/{account_id}"
            assert_problem(await client.post(f"{base}/kalman", json={"results": [1]}), status, slug)
            assert_problem(await client.post(f"{base}/kalman", json={"results": []}), status, slug)
            refused = await client.get(base)
            assert_problem(refused, status, slug)
            assert_limits(refused)
        assert_problem(await client.post("/api/v1/acme/kalman", json={"results": [1]}), 404, "not-found")
        assert_problem(await client.get("/api/v1/0"), 404, "not-found")
    assert platform.used(theirs.id) == 0
    assert platform.used(ours.id) == 0


BAD_BODIES: dict[str, tuple[bytes, str]] = {
    "empty series": (b'{"results":[]}', "/results"),
    "no series": (b"{}", "/results"),
    "a string among the numbers": (b'{"results":[1,"2",3]}', "/results/1"),
    "1e400": (b'{"results":[1,1e400]}', "/results/1"),
    "NaN token": (b'{"results":[NaN,1]}', "/results/0"),
    "Infinity token": (b'{"results":[1,-Infinity]}', "/results/1"),
    "a boolean": (b'{"results":[true]}', "/results/0"),
    "a nested list": (b'{"results":[[1,2]]}', "/results/0"),
    "half a body": (b'{"results":[1,2', ""),
    "nothing": (b"", ""),
    "a bad model": (b'{"results":[1],"model":{"kind":"local_level","obs_var":-1}}', "/model/obs_var"),
    "an unknown field": (b'{"results":[1],"x":1}', "/x"),
    "overflow": (b'{"results":[1e308,-1e308,1e308,-1e308]}', "/results"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_named_by_its_field_and_costs_nothing(platform: Platform, name: str) -> None:
    body, pointer = BAD_BODIES[name]
    caller = await platform.caller(quota_limit=10)
    async with caller.client() as client:
        answer = await client.post("/kalman", content=body, headers=JSON)
        problem = assert_problem(answer, 422, "invalid")
        assert pointer in {e["pointer"] for e in problem["errors"]}
        assert_limits(answer)
        assert (await client.post("/kalman", json={"results": [1]})).status_code == 200
    assert platform.used(caller.id) == 1
    assert platform.left(caller.id) == 9


async def test_a_body_of_20_mb_is_too_large(platform: Platform) -> None:
    caller = await platform.caller()
    body = b'{"results":[' + b"1.5," * 5_000_000 + b"1]}"

    async def chunks() -> Any:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    async with caller.client() as client:
        for content in (body, chunks()):  # with a declared length, and without
            answer = await client.post("/kalman", content=content, headers=JSON)
            assert_problem(answer, 413, "too-large")
            assert_limits(answer)
    assert platform.used(caller.id) == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
async def test_another_content_type_is_refused(platform: Platform, kind: str) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post("/kalman", content=b'{"results":[1]}', headers={"Content-Type": kind})
        gzip = await client.post("/kalman", content=b"x", headers=JSON | {"Content-Encoding": "gzip"})
    assert_problem(answer, 415, "unsupported-media-type")
    assert_problem(gzip, 415, "unsupported-media-type")
    assert_limits(answer)
    assert platform.used(caller.id) == 0


async def test_the_501st_call_of_a_quota_of_500_is_denied(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=500)
    async with caller.client() as client:
        statuses = []
        for _ in range(10):
            answers = await asyncio.gather(*(client.post("/kalman", json={"results": [1, 2]}) for _ in range(50)))
            statuses += [a.status_code for a in answers]
        assert statuses == [200] * 500
        denied = await client.post("/kalman", json={"results": [1, 2]})
        again = await client.get(caller.url)
    problem = assert_problem(denied, 429, "quota-exhausted")
    assert (problem["cost"], problem["remaining"]) == (1, 0)
    assert int(denied.headers["retry-after"]) >= 1
    assert_limits(denied, quota=0)
    assert again.json()["quota"] == {
        "limit": 500,
        "used": 500,
        "remaining": 0,
        "window": "Lifetime",
        "window_ends_at": None,
    }
    assert platform.used(caller.id) == 500


async def test_a_request_that_costs_more_than_is_left_takes_nothing(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=5)
    request = {"model": NILE_MODEL, "observations": [[1.0]] * 3}
    async with caller.client() as client:
        assert (await client.post("/kalman/filter", json=request)).status_code == 200
        denied = await client.post("/kalman/filter", json=request)
        assert_problem(denied, 429, "quota-exhausted")
        assert_limits(denied, quota=2)
        assert (await client.post("/kalman/filter", json=request | {"observations": [[1.0]] * 2})).status_code == 200
    assert platform.used(caller.id) == 5


async def test_a_burst_over_the_rate_is_denied_and_admitted_after_the_wait(platform: Platform) -> None:
    caller = await platform.caller(rate_per_second=1, rate_burst=5)
    async with caller.client() as client:
        answers = await asyncio.gather(*(client.post("/kalman", json={"results": [1]}) for _ in range(15)))
        served = [a for a in answers if a.status_code == 200]
        denied = [a for a in answers if a.status_code == 429]
        assert 5 <= len(served) <= 7
        assert len(served) + len(denied) == 15
        assert_problem(denied[0], 429, "rate-limited")
        assert_limits(denied[0], rate=0)
        await asyncio.sleep(int(denied[0].headers["retry-after"]))
        assert (await client.post("/kalman", json={"results": [1]})).status_code == 200
    assert platform.used(caller.id) == len(served) + 1


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"state": "suspended"}, "suspended"),
        ({"expires_at": datetime.now(UTC) - timedelta(seconds=1)}, "expired"),
        ({"allowed_models": ["local_linear_trend"]}, "model-not-allowed"),
    ],
)
async def test_an_account_that_may_not_call_is_forbidden(
    platform: Platform, changes: dict[str, Any], slug: str
) -> None:
    caller = await platform.caller()
    await platform.change(caller.id, **changes)
    async with caller.client() as client:
        answer = await client.post("/kalman", json={"results": [1]})
    assert_problem(answer, 403, slug)
    assert_limits(answer)
    assert platform.used(caller.id) == 0


async def test_a_token_stands_for_its_key_until_that_is_revoked(platform: Platform) -> None:
    caller = await platform.caller()
    form = {"grant_type": "client_credentials", "client_id": str(caller.id), "client_secret": caller.key.secret}
    async with httpx.AsyncClient(base_url=platform.url) as client:
        issued = (await client.post("/api/v1/auth/token", data=form)).json()
        basic = await client.post(
            "/api/v1/auth/token", data={"grant_type": "client_credentials"}, auth=(str(caller.id), caller.key.secret)
        )
        assert basic.status_code == 200
        assert (issued["token_type"], issued["expires_in"]) == ("Bearer", 900)
        assert jwt.decode(issued["access_token"], options={"verify_signature": False})["sub"] == str(caller.id)
        bearer = {"Authorization": f"Bearer {issued['access_token']}"}
        path = f"/api/v1/{caller.id}/kalman"
        assert (await client.post(path, json={"results": [1]}, headers=bearer)).status_code == 200
        other = await platform.caller()
        forbidden = await client.post(f"/api/v1/{other.id}/kalman", json={"results": [1]}, headers=bearer)
        assert_problem(forbidden, 403, "other-account")
        await platform.change(caller.id, state="active")
        import psycopg

        with psycopg.connect(platform.database_url, autocommit=True) as sql:
            sql.execute("UPDATE api_keys SET revoked_at = now() WHERE account_id = %s", [caller.id])
        await platform.change(caller.id, state="active")
        assert_problem(await client.post(path, json={"results": [1]}, headers=bearer), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": ApiKey.issue().secret}, 401, "invalid_client"),
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"client_id": "1000000"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_secret": ""}, 400, "invalid_request"),
    ],
)
async def test_a_bad_token_request_speaks_oauth_and_problem(
    platform: Platform, changes: dict[str, str], status: int, error: str
) -> None:
    caller = await platform.caller()
    form = {"grant_type": "client_credentials", "client_id": str(caller.id), "client_secret": caller.key.secret}
    async with httpx.AsyncClient(base_url=platform.url) as client:
        answer = await client.post("/api/v1/auth/token", data=form | changes)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"] == error


async def test_a_call_that_misses_its_deadline_is_given_up_and_not_charged(platform: Platform) -> None:
    caller = await platform.caller()
    request = {"model": NILE_MODEL, "observations": [np.arange(100_000.0).tolist()] * 8, "outputs": ["loglike"]}
    async with caller.client() as client:
        answer = await client.post("/kalman/filter", json=request, headers={"X-Request-Timeout-Seconds": "0.01"})
        assert_problem(answer, 408, "deadline")
        assert_limits(answer)
        assert (await client.post("/kalman", json={"results": [1]})).status_code == 200
    for _ in range(100):  # the refund follows the answer
        await asyncio.sleep(0.1)
        if platform.used(caller.id) == 1:
            break
    assert platform.used(caller.id) == 1


async def test_usage_comes_as_json_csv_and_parquet(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        for _ in range(3):
            await client.post("/kalman", json={"results": [1]})
        await client.post("/kalman/filter", json={"model": NILE_MODEL, "observations": [[1.0], [2.0]]})
        assert platform.used(caller.id) == 5
        as_json = await client.get("/usage", params={"step": "hour"})
        as_csv = await client.get("/usage", headers={"Accept": "text/csv"})
        as_parquet = await client.get("/usage", headers={"Accept": "application/vnd.apache.parquet"})
        no_form = await client.get("/usage", headers={"Accept": "image/png"})
        bad_step = await client.get("/usage", params={"step": "week"})
        bad_span = await client.get("/usage", params={"since": "2020-01-01", "step": "hour"})
    assert [(p["route"], p["units"], p["calls"]) for p in as_json.json()["usage"]] == [
        ("kalman", 3, 3),
        ("kalman/filter", 2, 1),
    ]
    assert_limits(as_json)
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert as_csv.text.splitlines()[0] == '"start","route","units","calls"'
    table = pyarrow.parquet.read_table(io.BytesIO(as_parquet.content))
    assert table.column("units").to_pylist() == [3, 2]
    assert_problem(no_form, 406, "not-acceptable")
    assert_problem(bad_step, 422, "invalid")
    assert_problem(bad_span, 422, "invalid")


async def test_the_account_shows_what_it_may(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=7, rate_per_second=3, rate_burst=4, display_name="Acme")
    async with caller.client() as client:
        account = (await client.get(caller.url)).json()
    assert account["account_id"] == caller.id
    assert account["display_name"] == "Acme"
    assert account["rate_limit"] == {"requests_per_second": 3, "burst": 4}
    assert account["quota"]["remaining"] == 7
    assert [key["prefix"] for key in account["keys"]] == [caller.key.prefix]
    assert caller.key.secret not in json.dumps(account)


async def test_unknown_paths_and_methods_are_problems(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        missing = [await client.get(f"{platform.url}/nothing"), await client.post("/nothing", json={})]
        missing.append(await client.get(f"{platform.url}/api/v1/acme"))
        wrong = await client.get("/kalman")
        undone = await client.delete(caller.url)
    for answer in missing:
        assert_problem(answer, 404, "not-found")
        assert_limits(answer, quota=1_000_000)
    assert_problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"
    assert_problem(undone, 405, "method-not-allowed")
    assert_limits(undone, quota=1_000_000)
    async with httpx.AsyncClient(headers={"X-API-Key": "luna_nobody"}) as stranger:
        unknown = await stranger.get(f"{platform.url}/nothing")
    assert_problem(unknown, 404, "not-found")
    assert "ratelimit" not in unknown.headers, "a stranger has no limits"


async def test_health_tells_what_luna_stands_on(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url) as client:
        for path in ("/health", "/health/live", "/health/ready"):
            assert (await client.get(path)).json() == {"status": "ok"}
        detailed = (await client.get("/health/detailed")).json()
    computing = [each.name for each in CAPABILITIES if each.replica is not None]
    sharded = [f"{each.name}-shard-0" for each in CAPABILITIES if each.shard is not None]
    parts = ("redis", "postgres", *computing, "workers", *sharded, "objects")
    assert detailed["dependencies"] == dict.fromkeys(parts, "up")
    assert detailed["debits_from"] == "redis"


async def test_the_documentation_needs_no_internet_and_knows_every_route(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url) as client:
        page = (await client.get("/docs")).text
        document = (await client.get("/openapi.json")).json()
        sources = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert sources
        assert all(source.startswith("/") for source in sources)
        assert all([(await client.get(source)).status_code == 200 for source in sources])
    post = document["paths"]["/api/v1/{account_id}/kalman"]["post"]
    assert {"200", "401", "403", "408", "413", "415", "422", "429", "503"} <= set(post["responses"])
    assert {"/api/v1/{account_id}", "/api/v1/{account_id}/usage", "/api/v1/auth/token", "/metrics"} <= set(
        document["paths"]
    )
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


def counter(text: str, name: str, **labels: str) -> float:
    wanted = {f'{k}="{v}"' for k, v in labels.items()}
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and wanted <= set(line[len(name) + 1 : line.index("}")].split(",")):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


async def test_metrics_show_the_whole_application(platform: Platform) -> None:
    caller = await platform.caller()

    async def scrape() -> str:
        # On a connection of its own: the replica that answers is anybody's guess.
        async with httpx.AsyncClient(base_url=platform.url) as client:
            return (await client.get("/metrics")).text

    reported_s = REPORT_EVERY_S + 1.5  # every replica has sent what it counted before
    await asyncio.sleep(reported_s)
    before = counter(await scrape(), "http_requests_total", method="POST", route="kalman", status="200")
    for _ in range(4):
        async with caller.client() as client:
            await asyncio.gather(*(client.post("/kalman", json={"results": [1]}) for _ in range(25)))
    await asyncio.sleep(reported_s)
    found = {
        counter(await scrape(), "http_requests_total", method="POST", route="kalman", status="200") for _ in range(6)
    }
    assert found == {before + 100}
    text = await scrape()
    for name in ("luna_units_total", "luna_debits_total", "luna_batch_calls_bucket", "luna_kalman_seconds_count"):
        assert name in text
