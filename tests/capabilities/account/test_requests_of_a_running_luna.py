"""The request log of a whole Luna: through the proxy, from two ingress replicas, with its loop."""

import asyncio
import uuid

import psycopg
from tests.serving.platform import Platform

JSON = {"Content-Type": "application/json"}


async def test_every_call_through_the_proxy_is_listed_once_within_seconds(platform: Platform) -> None:
    caller = await platform.caller()
    names = [uuid.uuid4().hex for _ in range(40)]
    async with caller.client() as client:
        answers = await asyncio.gather(
            *(client.post("/kalman", json={"results": [1, 2, 3]}, headers={"X-Request-ID": name}) for name in names)
        )
        assert {answer.status_code for answer in answers} == {200}
        async with asyncio.timeout(60):
            while len(items := (await client.get("/requests?route=kalman")).json()["items"]) < len(names):  # noqa: ASYNC110  rows come by the second
                await asyncio.sleep(0.2)
    assert sorted(item["request_id"] for item in items) == sorted(names)
    assert {item["principal"] for item in items} == {caller.key.prefix}
    assert {item["bytes"] for item in items} == {len(answers[0].content)}
    # The client's, not the proxy's; both are on this machine.
    assert {item["address"] for item in items} == {"127.0.0.0/24"}


async def test_the_partitions_of_the_next_days_are_there(platform: Platform) -> None:
    days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'request_log'::regclass"
    async with asyncio.timeout(120):
        while True:
            with psycopg.connect(platform.database_url) as sql:
                row = sql.execute(days).fetchone()
            if row is not None and row[0] >= 8:
                return
            await asyncio.sleep(0.5)
