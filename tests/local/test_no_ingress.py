"""A whole Luna whose ingress replicas are killed or hang: each call is answered or refused in time."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from tests.local.serve_haproxy import NEEDS_HAPROXY
from tests.serving.platform import Caller
from tests.threats.running import LocalLuna, local_luna

from luna_serving.local.loopback.haproxy_deadlines import VARIABLE, answer_s

pytestmark = [
    pytest.mark.timeout(900),
    NEEDS_HAPROXY,
]

DEADLINE_S = 5
# Beside the deadlines: connections, and a machine that does other things.
SLACK_S = 5
# Serve calls a replica that hangs dead after three checks of 30 s.
BACK_S = 300
SERIES = {"results": [1120, 1160, 963]}
# In place of a status: HAProxy closes the connection of a call that it had begun to send to a replica that died, where
# no other replica is left to send it to (docs/decisions/0067).
CLOSED = 0


@pytest.fixture(scope="module")
def luna(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalLuna]:
    settings = {
        "LUNA_EDGE_REQUEST_TIMEOUT_S": str(DEADLINE_S),
        "LUNA_EDGE_REPLICAS_MIN": "2",
        "LUNA_EDGE_REPLICAS_MAX": "2",
    }
    with local_luna(tmp_path_factory.mktemp("no-ingress"), "--only", "kalman", **settings) as running:
        yield running


async def calls_until_answered(caller: Caller) -> list[tuple[int, float]]:
    """The status and the seconds of one call after another, from the first refusal until the next answer."""
    found: list[tuple[int, float]] = []
    until = time.monotonic() + BACK_S
    async with caller.client() as client:
        while time.monotonic() < until:
            begun = time.monotonic()
            try:
                answer = await client.post("/kalman", json=SERIES)
            except httpx.RemoteProtocolError:
                found.append((CLOSED, time.monotonic() - begun))
                continue
            found.append((answer.status_code, time.monotonic() - begun))
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.headers["content-type"] == "application/problem+json"
            elif answer.status_code == 200 and any(status == 503 for status, _ in found):
                return found
            await asyncio.sleep(0.1)
    raise AssertionError(f"no answer after a refusal: {found[-20:]}")


async def both(luna: LocalLuna) -> list[psutil.Process]:
    """The two ingress replicas, once both run."""
    until = time.monotonic() + BACK_S
    while len(found := luna.ingresses()) < 2:
        assert time.monotonic() < until, found
        await asyncio.sleep(0.2)
    return found


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, id="killed"),
        # Serve needs minutes to give them up.
        pytest.param(signal.SIGSTOP, id="hung", marks=pytest.mark.slow),
    ],
)
async def test_without_an_ingress_replica_every_call_is_answered_or_refused_in_time(
    luna: LocalLuna, number: signal.Signals
) -> None:
    caller = await luna.caller()
    async with caller.client() as client:
        assert (await client.post("/kalman", json=SERIES)).status_code == 200
    for replica in await both(luna):
        replica.send_signal(number)
    calls = await calls_until_answered(caller)
    statuses = [status for status, _ in calls]
    assert set(statuses) <= {200, 503, CLOSED}
    assert statuses.count(CLOSED) <= 1, "of one connection, and of the first call alone"
    assert max(seconds for _, seconds in calls) < answer_s({VARIABLE: str(DEADLINE_S)}) + SLACK_S
    assert luna.used(caller.id) == statuses.count(200) + 1


async def test_the_node_says_that_it_has_no_ingress_replica(luna: LocalLuna) -> None:
    for replica in await both(luna):
        replica.kill()
    async with httpx.AsyncClient(base_url=luna.url, timeout=30) as client:
        statuses = []
        until = time.monotonic() + BACK_S
        while time.monotonic() < until and (503 not in statuses or statuses[-1] != 200):
            statuses.append((await client.get("/-/healthz")).status_code)
            await asyncio.sleep(0.1)
    assert statuses[-1] == 200
    assert 503 in statuses
