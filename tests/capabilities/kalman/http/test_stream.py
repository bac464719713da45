"""Online filtering over a real WebSocket, through the proxy: every point once, also when processes die."""

import asyncio
import json
import random
import signal
from contextlib import suppress
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from tests.serving.platform import Caller, Platform
from tests.serving.stream_client import LEVEL, Client, connected, socket_url
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

TREND = {"kind": "local_linear_trend", "obs_var": 1.0, "level_var": 0.3, "trend_var": 0.1}
OUTPUTS = ["filtered_state", "filtered_state_cov", "standardized_forecast_error", "loglike_obs"]


def series(length: int, seed: int = 5) -> list[float | None]:
    rng, level, values = random.Random(seed), 0.0, list[float | None]()
    for _ in range(length):
        level += rng.gauss(0, 0.7)
        values.append(None if rng.random() < 0.1 else level + rng.gauss(0, 1.4))
    return values


async def one_pass(caller: Caller, model: dict[str, Any], values: list[float | None]) -> list[dict[str, Any]]:
    """What `/kalman/filter` answers to the whole series, by points."""
    async with caller.client() as client:
        body = {"model": model, "observations": [values], "outputs": OUTPUTS, "algorithm": "per_series"}
        answer = await client.post("/kalman/filter", json=body)
    assert answer.status_code == 200, answer.text
    result = answer.json()["results"][0]
    return [{name: result[name][t] for name in OUTPUTS} for t in range(len(values))]


def assert_one_pass(
    points: list[dict[str, Any]], whole: list[dict[str, Any]], values: list[float | None], diffuse_states: int = 1
) -> None:
    """Equal to the last digit, but for what a stream answers with null while the start is diffuse."""
    assert len(points) == len(whole) == len(values)
    diffuse = [t for t, value in enumerate(values) if value is not None][diffuse_states - 1]
    for t, (point, expected) in enumerate(zip(points, whole, strict=True)):
        for name in OUTPUTS:
            if t >= diffuse or name in {"standardized_forecast_error", "loglike_obs"}:
                assert point[name] == expected[name], (t, name)


async def test_a_stream_answers_what_one_pass_answers_to_the_last_digit(platform: Platform) -> None:
    caller, values = await platform.caller(), series(120)
    points: list[dict[str, Any]] = []
    async with connected(caller) as client:
        await client.open(model=TREND, outputs=OUTPUTS)
        for size in (1, 1, 2, 30, 1, 85):
            answer = await client.points(len(points) + 1, values[len(points) : len(points) + size])
            assert (answer["type"], answer["sequence"]) == ("filtered", len(points) + 1)
            points += answer["points"]
    assert platform.used(caller.id) == 6, "a message is one unit"
    assert_one_pass(points, await one_pass(caller, TREND, values), values, diffuse_states=2)


async def lossy(caller: Caller, values: list[float | None], rng: random.Random) -> tuple[list[dict[str, Any]], int]:
    """Send all points over connections that break at every turn; returns the answers and the connections."""
    answers: dict[int, dict[str, Any]] = {}
    stream, connections = "", 0
    while len(answers) < len(values):
        connections += 1
        with suppress(ConnectionClosed, OSError, InvalidStatus):
            async with connected(caller) as client:
                if stream:
                    resumed = await client.ask(type="resume", stream=stream, after=len(answers))
                    if resumed["type"] != "resumed":
                        assert resumed["problem"]["status"] == 503, resumed
                        continue
                    while len(answers) < resumed["sequence"]:
                        take(answers, await client.hear())
                else:
                    stream = await client.open(outputs=OUTPUTS)
                while len(answers) < len(values):
                    following = len(answers) + 1
                    part = values[following - 1 : following - 1 + rng.randint(1, 4)]
                    await client.tell(type="points", sequence=following, values=part)
                    if rng.random() < 0.3:
                        # Sent, and gone before the answer.
                        await asyncio.sleep(rng.choice([0, 0, 0.002, 0.02]))
                        client.connection.transport.abort()
                        break
                    answer = await client.hear()
                    if answer["type"] == "error":
                        # 408: a replica that is started again takes longer than a call may.
                        assert answer["problem"]["status"] in {408, 503}, answer
                        await asyncio.sleep(0.05)
                        continue
                    take(answers, answer)
    return [answers[t] for t in range(1, len(values) + 1)], connections


def take(answers: dict[int, dict[str, Any]], answer: dict[str, Any]) -> None:
    assert answer["type"] == "filtered", answer
    assert answer["sequence"] == len(answers) + 1, "no answer is missing and none comes twice"
    for point in answer["points"]:
        answers[len(answers) + 1] = point


def messages_applied(platform: Platform, account_id: int) -> int:
    """Messages whose answers Postgres keeps: all of them, as long as there are few."""
    with psycopg.connect(platform.database_url) as sql:
        row = sql.execute(
            "SELECT count(*) FROM kalman_stream_answers a JOIN kalman_streams s ON s.id = a.stream_id "
            "WHERE s.account_id = %s",
            [account_id],
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_connections_that_break_before_the_answer_lose_and_double_nothing(platform: Platform) -> None:
    callers = [await platform.caller() for _ in range(3)]
    runs = await asyncio.gather(*(lossy(c, series(80, seed=i), random.Random(i)) for i, c in enumerate(callers)))
    for i, (caller, (points, connections)) in enumerate(zip(callers, runs, strict=True)):
        assert connections > 3
        assert platform.used(caller.id) == messages_applied(platform, caller.id)
        assert_one_pass(points, await one_pass(caller, LEVEL, series(80, seed=i)), series(80, seed=i))


async def test_a_replica_killed_in_mid_stream_loses_and_doubles_nothing(platform: Platform) -> None:
    caller, values = await platform.caller(), series(200, seed=9)

    async def kill() -> int:
        await asyncio.sleep(0.3)
        replica = platform.kalman_replica()
        assert replica is not None
        replica.send_signal(signal.SIGKILL)
        return replica.pid

    (points, _), _ = await asyncio.gather(lossy(caller, values, random.Random(9)), kill())
    assert platform.used(caller.id) == messages_applied(platform, caller.id)
    assert_one_pass(points, await one_pass(caller, LEVEL, values), values)


async def test_an_edge_killed_in_mid_stream_loses_and_doubles_nothing(platform: Platform) -> None:
    caller, values = await platform.caller(), series(300, seed=10)

    async def kill() -> None:
        await asyncio.sleep(0.5)
        for process in ingress_replicas(platform):
            process.send_signal(signal.SIGKILL)

    (points, _), _ = await asyncio.gather(lossy(caller, values, random.Random(10)), kill())
    assert platform.used(caller.id) == messages_applied(platform, caller.id)
    assert_one_pass(points, await one_pass(caller, LEVEL, values), values)


def ingress_replicas(platform: Platform) -> list[psutil.Process]:
    family = psutil.Process(platform.process.pid).children(recursive=True)
    return [p for p in family if "ServeReplica:luna:ingress" in " ".join(p.cmdline())]


async def test_of_two_racing_connections_the_later_goes_on_and_the_earlier_is_told(platform: Platform) -> None:
    caller = await platform.caller()
    async with connected(caller) as first, connected(caller) as second:
        stream = await first.open()
        await first.points(1, [1.0, 2.0])
        resumed = await second.ask(type="resume", stream=stream, after=2)
        assert (resumed["type"], resumed["sequence"]) == ("resumed", 2)
        await first.tell(type="points", sequence=3, values=[3.0])
        with pytest.raises(ConnectionClosed) as closed:
            await first.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001
        answer = await second.points(3, [30.0])
        assert answer["points"][0]["standardized_forecast_error"] > 5
    assert platform.used(caller.id) == 2


async def test_many_racing_connections_take_each_point_once(platform: Platform) -> None:
    caller, values = await platform.caller(), series(40, seed=4)
    async with connected(caller) as client:
        stream = await client.open(outputs=OUTPUTS)

    rng = random.Random(6)

    async def race() -> None:
        while True:
            # Who does nothing but take the stream from others never sends a point.
            await asyncio.sleep(rng.uniform(0, 0.3))
            with suppress(ConnectionClosed):
                async with connected(caller) as client:
                    resumed = await client.ask(type="resume", stream=stream, after=0)
                    reached = resumed["sequence"]
                    heard = 0
                    while heard < reached:
                        heard += len((await client.hear())["points"])
                    while reached < len(values):
                        answer = await client.points(reached + 1, [values[reached]])
                        assert answer["type"] == "filtered", answer
                        reached += 1
                    return

    await asyncio.gather(*(race() for _ in range(4)))
    async with connected(caller) as client:
        resumed = await client.ask(type="resume", stream=stream, after=0)
        assert resumed["sequence"] == len(values)
        points = [point for _ in values for point in (await client.hear())["points"]]
    assert platform.used(caller.id) == len(values)
    assert_one_pass(points, await one_pass(caller, LEVEL, values), values)


async def test_points_that_were_taken_are_answered_again_and_not_charged(platform: Platform) -> None:
    caller = await platform.caller()
    async with connected(caller) as client:
        stream = await client.open()
        first = await client.points(1, [1.0, 2.0, 3.0])
        second = await client.points(4, [4.0])
        assert await client.points(1, [1.0, 2.0, 3.0]) == first
        again = await client.points(2, [2.0, 3.0, 4.0])
        assert again == {"type": "filtered", "sequence": 2, "points": [*first["points"][1:], *second["points"]]}
        for sequence, values in ((6, [6.0]), (3, [3.0, 4.0, 5.0])):
            wrong = await client.points(sequence, values)
            assert (wrong["problem"]["type"], wrong["problem"]["expected"]) == (
                "https://luna.dev/problems/out-of-step",
                5,
            )
            assert wrong["sequence"] == sequence
        assert (await client.points(5, [5.0]))["type"] == "filtered"
    async with connected(caller) as client:
        resumed = await client.ask(type="resume", stream=stream, after=2)
        assert resumed["sequence"] == 5
        heard = [await client.hear() for _ in range(3)]
        assert [(m["sequence"], len(m["points"])) for m in heard] == [(3, 1), (4, 1), (5, 1)]
        assert heard[0]["points"] == first["points"][2:]
    assert platform.used(caller.id) == 3


async def test_a_spike_is_an_outlier_and_the_smoothed_state_follows_by_its_lag(platform: Platform) -> None:
    caller, rng = await platform.caller(), random.Random(3)
    values = [rng.gauss(0, 1) for _ in range(30)]
    values[20] += 25
    async with connected(caller) as client:
        await client.open(model={"kind": "local_level", "obs_var": 1.0, "level_var": 0.01}, lag=3, outlier_threshold=5)
        points = [(await client.points(t + 1, [value]))["points"][0] for t, value in enumerate(values)]
    assert [t for t, p in enumerate(points) if p["outlier"]] == [20]
    assert [p["smoothed_state"] for p in points[:3]] == [None] * 3
    async with caller.client() as http:
        body = {"model": {"kind": "local_level", "obs_var": 1.0, "level_var": 0.01}, "observations": [values[:29]]}
        whole = (await http.post("/kalman/smooth", json=body)).json()["results"][0]["smoothed_state"]
    assert points[28]["smoothed_state"] == pytest.approx(whole[25], rel=1e-9)


@pytest.mark.parametrize(
    ("message", "pointer"),
    [
        ("nothing", ""),
        ("[]", ""),
        ('{"type": "shut"}', "/type"),
        ('{"type": "points", "sequence": 1, "values": [1]}', "/type"),
        ('{"type": "open"}', "/model"),
        ('{"type": "open", "model": {"kind": "local_level", "obs_var": -1, "level_var": 1}}', "/model/obs_var"),
        ('{"type": "open", "model": {"kind": "local_level", "obs_var": 1, "level_var": 1}, "lags": 3}', "/lags"),
        ('{"type": "open", "model": {"kind": "local_level", "obs_var": 1, "level_var": 1}, "lag": 1000}', "/lag"),
        ('{"type": "open", "model": {"kind": "local_level", "obs_var": 1, "level_var": 1}, "outputs": []}', "/outputs"),
        ('{"type": "resume", "stream": "mine", "after": 0}', "/stream"),
        ('{"type": "resume", "stream": "7b1f5a44-0000-4000-8000-000000000000", "after": -1}', "/after"),
    ],
)
async def test_a_bad_first_message_is_told_where_and_may_be_repaired(
    platform: Platform, message: str, pointer: str
) -> None:
    async with connected(await platform.caller()) as client:
        await client.connection.send(message)
        heard = await client.hear()
        assert heard["type"] == "error"
        assert heard["problem"]["status"] == 422
        assert heard["problem"]["errors"][0]["pointer"] == pointer
        await client.open()


async def test_bad_points_cost_nothing_and_leave_the_stream_where_it_was(platform: Platform) -> None:
    caller = await platform.caller()
    async with connected(caller) as client:
        await client.open()
        for values, pointer in (
            (["1"], "/values/0"),
            ([], "/values"),
            ([1.0, [2.0]], "/values/1"),
            ([1.0] * 1001, "/values"),
            ([1e308, -1e308, 1e308], "/values"),
        ):
            heard = await client.points(1, values)
            assert heard["problem"]["errors"][0]["pointer"] == pointer, heard
            assert heard["sequence"] == 1
        await client.connection.send(b"\x00")
        assert (await client.hear())["problem"]["status"] == 422
        assert (await client.ask(type="open", model=LEVEL))["problem"]["errors"][0]["pointer"] == "/type"
        assert len((await client.points(1, [1.0]))["points"]) == 1
    assert platform.used(caller.id) == 1


async def test_refusals_before_the_upgrade_are_problems(platform: Platform) -> None:
    caller, other = await platform.caller(), await platform.caller()
    url = socket_url(caller)
    for headers, status, slug in (
        ({}, 401, "unauthenticated"),
        ({"X-API-Key": "nonsense"}, 401, "unauthenticated"),
        ({"X-API-Key": other.key.secret}, 403, "other-account"),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers=headers):
                pass
        response = refused.value.response
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["x-request-id"]
        assert json.loads(response.body)["type"].endswith(slug)
    with pytest.raises(InvalidStatus) as missing:
        async with connect(url + "s", additional_headers={"X-API-Key": caller.key.secret}):
            pass
    assert missing.value.response.status_code == 404


async def test_a_browser_may_send_its_key_as_a_subprotocol(platform: Platform) -> None:
    caller = await platform.caller()
    protocols: Any = ["luna.v1", f"luna.key.{caller.key.secret}"]
    async with connect(socket_url(caller), subprotocols=protocols) as connection:
        assert connection.subprotocol == "luna.v1"
        assert connection.response is not None
        assert connection.response.headers["x-request-id"]
        assert connection.response.headers["ratelimit"]
        await Client(connection).open()


async def test_a_spent_quota_is_told_and_the_stream_goes_on_when_there_is_more(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=2)
    async with connected(caller) as client:
        await client.open()
        assert [(await client.points(t, [1.0 * t]))["type"] for t in (1, 2)] == ["filtered"] * 2
        for _ in range(2):
            denied = await client.points(3, [3.0])
            assert denied["problem"]["type"].endswith("quota-exhausted")
            assert denied["retry_after"] > 0
        await platform.change(caller.id, quota_limit=3)
        assert (await client.points(3, [3.0]))["type"] == "filtered"
    assert platform.used(caller.id) == 3


async def test_a_suspended_account_is_told_and_closed(platform: Platform) -> None:
    caller = await platform.caller()
    async with connected(caller) as client:
        await client.open()
        await client.points(1, [1.0])
        await platform.change(caller.id, state="suspended")
        denied = await client.points(2, [2.0])
        assert denied["problem"]["status"] == 403
        with pytest.raises(ConnectionClosed) as closed:
            await client.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert platform.used(caller.id) == 1


async def test_a_message_that_is_too_big_ends_the_connection(platform: Platform) -> None:
    async with connected(await platform.caller()) as client:
        await client.open()
        await client.connection.send(" " * (1024 * 1024 + 1))
        assert (await client.hear())["problem"]["status"] == 413
        with pytest.raises(ConnectionClosed) as closed:
            await client.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_streams_are_listed_and_deleted_by_their_owner(platform: Platform) -> None:
    caller, other = await platform.caller(), await platform.caller()
    async with connected(caller) as client, caller.client() as http, other.client() as stranger:
        stream = await client.open()
        await client.points(1, [1.0, 2.0])
        (listed,) = (await http.get("/kalman/streams")).json()["streams"]
        assert (listed["stream"], listed["model"], listed["sequence"]) == (stream, "local_level", 2)
        assert (await stranger.get("/kalman/streams")).json() == {"streams": [], "next_cursor": None}
        assert (await stranger.delete(f"/kalman/streams/{stream}")).status_code == 404
        gone: httpx.Response = await http.delete(f"/kalman/streams/{stream}")
        assert (gone.status_code, gone.content) == (204, b"")
        await client.tell(type="points", sequence=3, values=[3.0])
        with pytest.raises(ConnectionClosed) as closed:
            await client.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4004
        for id_ in (stream, "nonsense"):
            assert (await http.delete(f"/kalman/streams/{id_}")).status_code == 404
    async with connected(caller) as client:
        missing = await client.ask(type="resume", stream=stream, after=2)
        assert missing["problem"]["status"] == 404
    assert platform.used(caller.id) == 1
