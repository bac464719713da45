"""While the object store is down, what needs it answers 503, and the rest goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.capabilities.datasets.sets import body, judged, started, table

if TYPE_CHECKING:
    from tests.serving.platform import Platform

MODEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}


async def test_only_what_needs_the_object_store_answers_503(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        assert (await judged(client, {"a.csv": table("a")}))["state"] == "valid"
        dataset_id = (await started(client, {"b.csv": table("b")}))["dataset_id"]
        platform.objects.kill()
        try:
            # The last sign of life of the store counts for five seconds.
            await asyncio.sleep(5.5)
            for answer in (
                await client.post("/upload/start", json=body({"c.csv": table("c")})),
                await client.get(f"/upload/{dataset_id}"),
                await client.post("/upload/complete", json={"dataset_id": dataset_id}),
                await client.get("/datasets/sales@1/files/a.csv"),
            ):
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.json()["type"].endswith("/dependencies-gone")
            assert (await client.get("/datasets")).status_code == 200
            assert (await client.get("/datasets/sales@1")).status_code == 200
            assert (await client.get("/datasets/sales@1/report")).status_code == 200
            assert (await client.get(f"/validation/{dataset_id}/status")).status_code == 200
            numbers = {"model": MODEL, "observations": [[1.0, 2.0, 3.0]]}
            assert (await client.post("/kalman/filter", json=numbers)).status_code == 200
        finally:
            await asyncio.to_thread(platform.objects.start)
        assert (await client.get(f"/upload/{dataset_id}")).status_code == 200
