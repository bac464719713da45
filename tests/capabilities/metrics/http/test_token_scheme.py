"""InfluxDB's `Authorization: Token <key>`."""

import time

import httpx
from tests.capabilities.metrics.http.in_process import client, served
from tests.capabilities.metrics.shard.shards import opened
from tests.store.stores import Store

from luna_store.accounts.api_keys import ApiKey


async def test_line_protocol_takes_the_scheme_token_and_no_other_route_does(store: Store) -> None:
    caller = await store.account()
    line = f"cpu,host=a idle=97.5 {time.time_ns()}"
    async with opened(store) as shard, served(store, shard) as url, client(url, caller) as luna:
        own = f"{url}/{caller.account_id}"
        async with httpx.AsyncClient(timeout=30) as telegraf:

            async def post(path: str, authorization: str) -> httpx.Response:
                return await telegraf.post(path, content=line, headers={"Authorization": authorization})

            key = caller.key.secret
            written = [
                await post(f"{url}/influx/write?bucket=b&org=o", f"Token {key}"),
                await post(f"{own}/influx/write", f"token  {key}"),
                await post(f"{own}/influx/write", f"Bearer {key}"),
            ]
            refused = [
                await post(f"{own}/influx/write", f"Token {ApiKey.issue().secret}"),
                await post(f"{own}/influx/write", "Token nothing"),
                await post(f"{own}/influx/write", f"Basic {key}"),
                await post(f"{own}/prometheus/write", f"Token {key}"),
                await telegraf.get(f"{own}/metrics/names", headers={"Authorization": f"Token {key}"}),
            ]
        stored = await luna.get("/metrics/latest/cpu_idle")
    assert [each.status_code for each in written] == [204] * 3, [each.text for each in written]
    assert [each.status_code for each in refused] == [401] * 5
    assert all("www-authenticate" in each.headers for each in refused)
    assert stored.json()["series"][0]["value"] == 97.5
