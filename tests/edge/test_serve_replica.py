"""Requests reach the application without Serve's wrapper, and Serve counts, drains and scales as with it."""

import asyncio
import hashlib
import inspect
import json
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import ray
from ray.serve._private.http_util import ASGIAppReplicaWrapper, RequestIdMiddleware, _apply_middlewares
from ray.serve._private.replica import Replica, ReplicaMetricsManager, UserCallableWrapper
from tests.edge.served import Served, client, served
from tests.local.serve_haproxy import NEEDS_HAPROXY
from websockets.asyncio.client import connect

from luna_serving.edge.serve_replica import VERSIONS, ServeReplica, Unexpected, replica_behind
from luna_serving.local.loopback.haproxy_retries import VARIABLE as RETRIED_ROUTES

READ: list[Any] = [
    Replica._direct_ingress_asgi,
    Replica._can_accept_request,
    Replica._start_request,
    Replica._wrap_request,
    Replica._handle_errors_and_metrics,
    Replica._record_errors_and_metrics,
    Replica._drain_ongoing_requests,
    Replica.get_num_ongoing_requests,
    ReplicaMetricsManager._change_num_ongoing_requests,
    ReplicaMetricsManager.record_request_metrics,
    ReplicaMetricsManager.record_ingress_request_metrics,
    UserCallableWrapper._call_http_entrypoint,
    ASGIAppReplicaWrapper.__call__,
    RequestIdMiddleware,
    _apply_middlewares,
]
DIGEST = "4aac6286ea3626e4"

CALLERS = 8


def test_what_is_replaced_in_serve_is_what_was_read() -> None:
    found = hashlib.sha256("".join(inspect.getsource(each) for each in READ).encode()).hexdigest()[:16]
    assert (set(VERSIONS), found) == ({ray.__version__}, DIGEST), (
        "Ray has changed. Read what READ names in the new version: does `serve_replica` still do all that Serve relies "
        "on? Then put the version into VERSIONS and this digest here; until then requests go through the wrapper."
    )


def like_a_replica(**changes: Any) -> RequestIdMiddleware:
    """What Serve gives to its middleware, around an object with a replica's attributes."""

    async def application(*_: object) -> None:
        raise AssertionError

    class Like:
        _user_callable_asgi_app: Any = staticmethod(application)
        _semaphore = _metrics_manager = SimpleNamespace()
        _deployment_id = SimpleNamespace(name="ingress", app_name="luna")
        _route_prefix = "/"
        _http_options = SimpleNamespace(root_path="", request_timeout_s=None)
        _user_callable_wrapper = SimpleNamespace(_run_user_code_in_separate_thread=False)

        def _can_accept_request(self, _: object) -> bool:
            return True

        async def _direct_ingress_asgi(self, *_: object) -> None:
            raise AssertionError

    replica = Like()
    for name, value in changes.items():
        setattr(replica, name, value)
    return RequestIdMiddleware(replica._direct_ingress_asgi)


def test_a_replica_as_it_was_read_is_taken() -> None:
    assert isinstance(replica_behind(like_a_replica()), ServeReplica)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"_route_prefix": "/luna"}, "route prefix"),
        ({"_user_callable_asgi_app": None}, "no ASGI application"),
        ({"_http_options": SimpleNamespace(root_path="", request_timeout_s=3.0)}, "request timeout"),
        ({"_http_options": SimpleNamespace(root_path="/below", request_timeout_s=None)}, "root path"),
        ({"_http_options": SimpleNamespace(request_timeout_s=None)}, "not as it was read"),
        ({"_user_callable_wrapper": SimpleNamespace(_run_user_code_in_separate_thread=True)}, "SEPARATE_THREAD"),
    ],
)
def test_another_replica_is_left_to_serve_with_a_line_that_says_why(
    changes: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert replica_behind(like_a_replica(**changes)) is None
    assert why in caplog.text


def test_another_version_of_ray_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "__version__", "2.61.0")
    with pytest.raises(Unexpected, match=r"2\.61\.0"):
        ServeReplica(like_a_replica())


@pytest.fixture(scope="module")
def program() -> Iterator[Served]:
    # Not pytest's folder: the path of a socket has 107 bytes at most.
    with (
        tempfile.TemporaryDirectory(prefix="luna-") as folder,
        served(
            Path(folder), RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S="5", **{RETRIED_ROUTES: "GET call"}
        ) as running,
    ):
        yield running


async def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)


@asynccontextmanager
async def load(url: str, seen: Counter[str]) -> AsyncIterator[None]:
    """Constant calls of eight callers, each with a connection of its own, for the body of a `with`."""
    stop = asyncio.Event()

    async def call() -> None:
        async with client(url) as caller:
            while not stop.is_set():
                try:
                    answer = await caller.get("/api/v1/call?s=0.05")
                except httpx.HTTPError as e:
                    seen[type(e).__name__] += 1
                else:
                    seen[f"{answer.status_code}"] += 1
                    seen["503 without Retry-After"] += answer.status_code == 503 and "retry-after" not in answer.headers

    callers = [asyncio.create_task(call()) for _ in range(CALLERS)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*callers)


@NEEDS_HAPROXY
async def test_calls_reach_the_application_directly_and_the_rest_goes_through_serve(program: Served) -> None:
    await asyncio.to_thread(program.deploy, num_replicas=1, max_ongoing_requests=100)
    async with client(program.url) as caller:
        answer = await caller.get("/call", headers={"X-Request-ID": "mine-1"})
        assert answer.json()["wrapper"] is False
        assert answer.headers.get_list("x-request-id") == ["mine-1"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await caller.get("/-/healthz")).text == "success"
        assert (await caller.get("/fault")).status_code == 500
    async with connect(program.url.replace("http", "ws") + "/any") as socket:
        assert json.loads(await socket.recv())["wrapper"] is True
    assert await asyncio.to_thread(program.ongoing) == [0]


@NEEDS_HAPROXY
async def test_serve_knows_how_many_calls_are_under_way(program: Served) -> None:
    await asyncio.to_thread(program.deploy, num_replicas=1, max_ongoing_requests=100)
    async with client(program.url) as caller:
        calls = [asyncio.create_task(caller.get("/call?s=3")) for _ in range(7)]
        await until(lambda: program.ongoing() == [7])
        assert {each.status_code for each in await asyncio.gather(*calls)} == {200}
    assert await asyncio.to_thread(program.ongoing) == [0]


@NEEDS_HAPROXY
async def test_a_replica_without_a_slot_queues_and_then_refuses(program: Served) -> None:
    await asyncio.to_thread(program.deploy, num_replicas=1, max_ongoing_requests=2, max_queued_requests=1)
    async with client(program.url) as caller:
        running = [asyncio.create_task(caller.get("/call?s=2")) for _ in range(2)]
        await until(lambda: program.ongoing() == [2])
        queued = asyncio.create_task(caller.get("/call"))
        await asyncio.sleep(0.3)
        refused = await caller.get("/call")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["content-type"] == "application/problem+json"
        assert not queued.done()
        assert [each.json()["wrapper"] for each in await asyncio.gather(*running)] == [False, False]
        assert (await queued).json()["wrapper"] is True
    assert await asyncio.to_thread(program.ongoing) == [0]


@NEEDS_HAPROXY
async def test_a_draining_replica_is_unready_and_answers_what_it_has_begun(program: Served) -> None:
    options = {"num_replicas": 1, "max_ongoing_requests": 100, "graceful_shutdown_timeout_s": 30}
    await asyncio.to_thread(program.deploy, version="drained", **options)
    async with client(program.url) as caller:
        port = (await caller.get("/call")).json()["port"]
        direct = f"http://127.0.0.1:{port}/-/healthz"
        assert (await caller.get(direct)).status_code == 200
        slow = asyncio.create_task(caller.get("/call?s=8"))
        await until(lambda: program.ongoing() == [1])
        rolled = asyncio.create_task(asyncio.to_thread(program.deploy, version="next", **options))
        health = asyncio.create_task(_first_unready(direct))
        answer = await slow
        assert (answer.status_code, answer.json()["port"]) == (200, port)
        assert await health
        await rolled
        assert (await caller.get("/call")).json()["pid"] != answer.json()["pid"]


async def _first_unready(health: str) -> bool:
    """Whether it is unready before it stops listening, or stops listening at once as Serve has it behind HAProxy."""
    async with httpx.AsyncClient() as caller:
        for _ in range(600):
            try:
                answer = await caller.get(health)
            except httpx.ConnectError:
                return True
            if answer.status_code == 503:
                return True
            await asyncio.sleep(0.05)
    return False


@NEEDS_HAPROXY
async def test_calls_alone_make_serve_scale_up_and_down(program: Served) -> None:
    scaling = {
        "min_replicas": 1,
        "max_replicas": 2,
        "target_ongoing_requests": 2,
        "metrics_interval_s": 0.2,
        "look_back_period_s": 1.0,
        "upscale_delay_s": 0.2,
        "downscale_delay_s": 0.5,
    }
    await asyncio.to_thread(program.deploy, autoscaling_config=scaling, max_ongoing_requests=100, version="scaled")
    assert len(await asyncio.to_thread(program.ongoing)) == 1
    seen: Counter[str] = Counter()
    async with load(program.url, seen):
        await until(lambda: len(program.ongoing()) == 2)
    await until(lambda: len(program.ongoing()) == 1)
    assert +seen == {"200": seen["200"]}


@NEEDS_HAPROXY
async def test_no_call_is_lost_when_replicas_come_and_go(program: Served) -> None:
    options = {"max_ongoing_requests": 100, "graceful_shutdown_timeout_s": 30}
    await asyncio.to_thread(program.deploy, num_replicas=2, version="a", **options)
    seen: Counter[str] = Counter()
    async with load(program.url, seen):
        await asyncio.to_thread(program.deploy, num_replicas=2, version="b", **options)
        await asyncio.to_thread(program.deploy, num_replicas=3, version="b", **options)
        await asyncio.to_thread(program.deploy, num_replicas=1, version="b", **options)
        await asyncio.sleep(1)
    assert seen["200"] > 100
    # HAProxy has nobody to send a call to until Serve has told it of the new replicas, and says when to come back.
    assert set(+seen) <= {"200", "503"}


@NEEDS_HAPROXY
async def test_a_killed_replica_costs_no_call_that_may_be_sent_again(program: Served) -> None:
    await asyncio.to_thread(program.deploy, num_replicas=2, version="killed", max_ongoing_requests=100)
    seen: Counter[str] = Counter()
    async with client(program.url) as caller, load(program.url, seen):
        os.kill((await caller.get("/call")).json()["pid"], signal.SIGKILL)
        await until(lambda: len(program.ongoing()) == 2)
    assert seen["200"] > 50
    assert set(+seen) <= {"200", "503"}
