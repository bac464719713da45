"""What is recorded of a request: its label, its line, its span."""

import io
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
import pytest
from fastapi import APIRouter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from tests.edge.running import access_of, edge_of, refused_of
from tests.store.stores import Store

from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.dispatch.outcomes import Failed
from luna_serving.edge.account_scope import AccountRoutes
from luna_serving.edge.bodies import Disconnected
from luna_serving.edge.fastapi_app import build_api
from luna_serving.edge.operation import Operation
from luna_serving.edge.recording import Recorder
from luna_serving.telemetry.metrics import DispatchMetrics, RequestMetrics
from luna_serving.wire.problems import dependencies_gone
from luna_store.platform.logs import configure
from luna_store.platform.traces import Traces

TRACE = "0af7651916cd43dd8448eb211c80319c"
REQUEST_ID = "the-request"


class Recorded:
    """An edge over FastAPI routes and one operation, and what it records."""

    def __init__(self, store: Store, *, log_requests: bool = True) -> None:
        self.registry = CollectorRegistry()
        self.exporter = InMemorySpanExporter()
        self.traces = Traces("edge", self.exporter)
        self.recorder = Recorder(RequestMetrics(self.registry), self.traces, log_requests=log_requests)
        self.lines = io.StringIO()
        configure("json", stream=self.lines)
        self.wired = access_of(store)
        routes = AccountRoutes(self.wired.authorization, "models")
        plain = APIRouter()

        @routes.get("")
        async def itself() -> None: ...

        @routes.get("/models/{name}")
        async def model(name: str) -> str:
            return name

        @plain.get("/health/ready")
        async def ready() -> None:
            raise dependencies_gone("Redis")

        @plain.get("/boom")
        async def boom() -> None:
            raise RuntimeError("a bug")

        @plain.get("/hung-up")
        async def hung_up() -> None:
            raise Disconnected

        async def compute(jobs: Sequence[Any]) -> list[Any]:
            return [Failed() if job == "fail" else b"[]" for job in jobs]

        metrics = DispatchMetrics(self.registry, self.traces).of("echo")
        gate = Gate(self.wired.charges, compute, GateLimits(10, 1000, 10, 1, 5.0), metrics)
        self.operations = [Operation("echo", gate, lambda body: Echo(json.loads(body)), capability="echo")]
        refused = refused_of(self.wired)
        self.rest = build_api([], [routes, plain], refused.own_standing, refused.counted)

    async def ask(self, store: Store, method: str, path: str, **options: Any) -> httpx.Response:
        caller = await store.account()
        async with (
            edge_of(self.wired, self.operations, self.rest, recorder=self.recorder) as edge,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(edge, raise_app_exceptions=False),
                base_url="http://luna",
                headers={"X-API-Key": caller.key.secret, "X-Request-ID": REQUEST_ID},
            ) as client,
        ):
            answer = await client.request(method, path.replace("{id}", str(caller.account_id)), **options)
            self.account_id, self.secret = caller.account_id, caller.key.secret
        return answer

    def counted(self) -> dict[tuple[str, str, str], float]:
        return {
            (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "http_requests_total"
        }

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]


class Echo:
    units, points, grant = 1, 1, None
    amounts: ClassVar[dict[str, int]] = {}

    def __init__(self, job: Any) -> None:
        self.job = job

    def limit_error(self, limit: str, most: int) -> Any:
        raise AssertionError

    def finish(self, result: bytes) -> bytes:
        return result


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("POST", "/api/v1/{id}/echo", "echo", 200),
        ("GET", "/api/v1/echo", "echo", 405),
        ("GET", "/api/v1/{id}", "account", 200),
        ("GET", "/api/v1/account", "account", 200),
        ("GET", "/api/v1/{id}/models/mine", "models/{name}", 200),
        ("HEAD", "/api/v1/models/mine", "models/{name}", 200),
        ("DELETE", "/api/v1/{id}/models/mine", "models/{name}", 405),
        ("GET", "/api/v1/{id}/models/mine?x=1", "models/{name}", 422),
        ("GET", "/health/ready", "/health/ready", 503),
        ("GET", "/docs", "/docs", 200),
        ("GET", "/boom", "/boom", 500),
        ("GET", "/hung-up", "/hung-up", 499),
        ("GET", "/api/v1/{id}/nothing", "unknown", 404),
        ("GET", "/wp-admin/1", "unknown", 404),
    ],
)
async def test_every_route_is_counted_under_its_template(
    store: Store, method: str, path: str, route: str, status: int
) -> None:
    recorded = Recorded(store)
    await recorded.ask(store, method, path, **({"json": "x"} if method == "POST" else {}))
    counted_as = "OTHER" if status == 405 else method
    assert recorded.counted() == {(counted_as, route, str(status)): 1}
    labels = {"method": counted_as, "route": route, "status": str(status)}
    assert recorded.registry.get_sample_value("http_request_duration_seconds_count", labels) == 1


async def test_methods_that_a_caller_makes_up_make_no_series_of_their_own(store: Store) -> None:
    recorded = Recorded(store)
    for method in ("BREW", "PROPFIND", "X" * 1000):
        await recorded.ask(store, method, "/wp-admin/1")
        await recorded.ask(store, method, "/api/v1/{id}/echo")
    await recorded.ask(store, "DELETE", "/api/v1/{id}/echo")
    assert recorded.counted() == {("OTHER", "unknown", "404"): 3, ("OTHER", "echo", "405"): 4}


async def test_a_request_is_one_line_that_says_whose_it_was(store: Store) -> None:
    recorded = Recorded(store)
    await recorded.ask(store, "GET", "/api/v1/{id}/models/mine?secret=1")
    await recorded.ask(store, "POST", "/api/v1/{id}/echo", json="x")
    first, second = recorded.logged()
    assert (first["route"], first["path"].rpartition("/")[2], first["status"]) == ("models/{name}", "mine", 422)
    assert first["request_id"] == second["request_id"] == REQUEST_ID
    assert (second["account_id"], second["route"], second["method"]) == (recorded.account_id, "echo", "POST")
    assert second["milliseconds"] > 0
    assert recorded.secret not in recorded.lines.getvalue()
    assert "secret=1" not in recorded.lines.getvalue()


async def test_answers_below_500_are_not_logged_unless_asked_for(store: Store) -> None:
    recorded = Recorded(store, log_requests=False)
    await recorded.ask(store, "GET", "/api/v1/{id}/models/mine")
    await recorded.ask(store, "POST", "/api/v1/{id}/echo", json="x")
    await recorded.ask(store, "GET", "/health/ready")
    assert [(line["route"], line["status"], line["level"]) for line in recorded.logged()] == [
        ("/health/ready", 503, "error")
    ]


async def test_a_job_that_fails_in_a_replica_is_logged_with_its_request(store: Store) -> None:
    recorded = Recorded(store, log_requests=False)
    answer = await recorded.ask(store, "POST", "/api/v1/{id}/echo", json="fail")
    await recorded.wired.charges.settle_refunds()
    assert answer.status_code == 500
    failed = next(line for line in recorded.logged() if line["logger"] == "luna.gate")
    assert (failed["capability"], failed["calls"]) == ("echo", 1)
    assert failed["request_ids"] == [REQUEST_ID]
    assert failed["account_ids"] == [recorded.account_id]


async def test_a_span_shows_the_request_and_goes_on_with_the_callers_trace(store: Store) -> None:
    recorded = Recorded(store)
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    await recorded.ask(store, "POST", "/api/v1/{id}/echo", json="x", headers=headers)
    recorded.traces.close()
    batch, call = recorded.exporter.get_finished_spans()
    assert (batch.name, call.name) == ("batch echo", "POST echo")
    assert call.parent is not None
    assert f"{call.parent.span_id:x}" == "b7ad6b7169203331"
    assert batch.parent is not None
    assert batch.parent.span_id == call.get_span_context().span_id
    assert call.attributes is not None
    assert dict(call.attributes) == {
        "http.request.method": "POST",
        "http.route": "echo",
        "http.response.status_code": 200,
        "luna.request_id": REQUEST_ID,
        "luna.account_id": recorded.account_id,
    }
    assert recorded.logged()[0]["trace_id"] == TRACE


async def test_a_call_that_is_not_recorded_names_no_trace_in_its_debit(store: Store) -> None:
    recorded = Recorded(store)
    await recorded.ask(store, "POST", "/api/v1/{id}/echo", json="x", headers={"traceparent": f"00-{TRACE}-{1:016x}-00"})
    recorded.traces.close()
    assert recorded.exporter.get_finished_spans() == ()
    ((_, fields),) = await store.redis.xrange(f"user:{{{recorded.account_id}}}:events")
    assert "t" not in fields
