"""One call of a running Luna: its trace from process to process, and its log lines."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from tests.serving.platform import Luna, luna_on
from tests.telemetry.collector import Collected, collecting

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer

ROOT = Path(__file__).parents[2]
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"
PAGE = "https://app.example"
SECONDS = 30.0
T = TypeVar("T")


@pytest.fixture(scope="module")
def collected() -> Iterator[Collected]:
    with collecting() as collected:
        yield collected


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("telemetry")


@pytest.fixture(scope="module")
def luna(folder: Path, collected: Collected) -> Iterator[Luna]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=":")
        patch.setenv("LUNA_TRACE_ENDPOINT", collected.url)
        patch.setenv("LUNA_LOG_FORMAT", "json")
        patch.setenv("LUNA_EDGE_LOG_REQUESTS", "true")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        patch.setenv("LUNA_CORS_ORIGINS", PAGE)
        with (
            PostgresServer(folder / "postgres", folder) as postgres,
            ValkeyServer(folder / "valkey", folder) as valkey,
            # A capability without JAX: it starts in seconds.
            luna_on(
                folder,
                database_url=postgres.url,
                redis_url=valkey.url,
                arguments=["--app", "tests.capabilities.third.app", "--only", "mean"],
            ) as running,
        ):
            yield running


async def test_a_call_is_one_trace_from_the_edge_to_settlement(luna: Luna, collected: Collected) -> None:
    caller = await luna.caller()
    async with caller.client(traceparent=CALLER) as client:
        answer = await client.post("/mean", json={"numbers": [1, 2, 6]})
    assert answer.status_code == 200
    names = {"POST mean", "batch mean", "compute mean", "settle"}
    spans = until(lambda: collected.spans(bytes.fromhex(TRACE)), lambda found: set(found) >= names)
    assert set(spans) == names
    (edge, call), (gate, batch) = spans["POST mean"], spans["batch mean"]
    (host, compute), (settlement, settle) = spans["compute mean"], spans["settle"]
    assert (edge, gate, host, settlement) == ("luna-ingress", "luna-ingress", "luna-compute", "luna-settlement")
    assert call.parent_span_id.hex() == "b7ad6b7169203331"
    assert batch.parent_span_id == call.span_id
    assert [link.span_id for link in batch.links] == [call.span_id]
    assert compute.parent_span_id == batch.span_id
    assert [link.span_id for link in settle.links] == [call.span_id]
    shown = {each.key: each.value for each in call.attributes}
    assert shown["http.route"].string_value == "mean"
    assert shown["http.response.status_code"].int_value == 200
    assert shown["luna.account_id"].int_value == caller.id


async def test_a_request_is_one_line_in_all_logs_and_no_line_holds_the_key(luna: Luna, folder: Path) -> None:
    caller = await luna.caller()
    async with caller.client(**{"x-request-id": "of-the-log-test"}) as client:
        assert (await client.post("/mean", json={"numbers": [1]})).status_code == 200
        assert (await client.get(caller.url)).status_code == 200
    lines = until(lambda: lines_of(folder, "of-the-log-test"), lambda found: len(found) >= 2)
    about = [json.loads(line) for line in lines]
    shown = [(a["route"], a["method"], a["status"], a["account_id"], a["request_id"], a["level"]) for a in about]
    assert sorted(shown) == [
        ("account", "GET", 200, caller.id, "of-the-log-test", "info"),
        ("mean", "POST", 200, caller.id, "of-the-log-test", "info"),
    ]
    assert all(a["milliseconds"] > 0 for a in about)
    assert lines_of(folder, caller.key.secret) == []


async def test_every_route_is_counted_by_its_template(luna: Luna) -> None:
    caller = await luna.caller()
    async with caller.client() as client:
        for path in (caller.url, "/usage", f"{luna.url}/health", f"{luna.url}/nothing/here"):
            await client.get(path)
    wanted = [
        f"http_requests_total{{{labels}}}"
        for labels in (
            'method="GET",route="account",status="200"',
            'method="GET",route="usage",status="200"',
            'method="GET",route="/health",status="200"',
            'method="GET",route="unknown",status="404"',
        )
    ]
    # Every replica reports every five seconds.
    text = until(
        lambda: httpx.get(f"{luna.url}/metrics", timeout=30).text, lambda found: all(each in found for each in wanted)
    )
    assert [each for each in wanted if each not in text] == []
    assert "nothing" not in text


async def test_no_answer_names_a_server_and_listed_pages_alone_may_read(luna: Luna) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    async with httpx.AsyncClient(base_url=luna.url, timeout=30) as client:
        for origin, allowed in ((PAGE, PAGE), ("https://evil.example", None)):
            answers = [
                await client.options("/api/v1/mean", headers={"Origin": origin, **asked}),
                await client.post("/api/v1/mean", json={"numbers": [1]}, headers={"Origin": origin}),
                await client.get("/health", headers={"Origin": origin}),
                await client.get("/nothing", headers={"Origin": origin}),
            ]
            assert [answer.status_code for answer in answers] == [204 if allowed else 403, 401, 200, 404]
            for answer in answers:
                assert answer.headers.get("access-control-allow-origin") == allowed
                assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
                assert answer.headers.get_list("cache-control") == ["no-store"]
                assert "server" not in answer.headers


def until(look: Callable[[], T], enough: Callable[[T], bool]) -> T:
    """What is found once it is enough, or after some time."""
    deadline = time.monotonic() + SECONDS
    while not enough(found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def lines_of(folder: Path, text: str) -> list[str]:
    """The lines with a text in all logs of Luna, of its servers and of Ray's session."""
    ray = Path((folder / "luna" / "run").read_text().strip()) / "ray" / "session_latest" / "logs"
    files = [*folder.glob("*.log"), *(folder / "luna" / "logs").rglob("*"), *ray.rglob("*")]
    read = [file.read_text(errors="replace") for file in files if file.is_file()]
    return [line for each in read for line in each.splitlines() if text in line]
