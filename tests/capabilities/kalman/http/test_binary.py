"""Arrow and NumPy over real HTTP, as docs/kalman.md shows them."""

import asyncio
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tests.serving.platform import Platform

from luna_serving.wire.npy import NPY, written_npy
from luna_serving.wire.tabular import ARROW

LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}
PAGE = (Path(__file__).parents[4] / "docs" / "kalman.md").read_text()
(SNIPPET,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def test_the_call_of_the_page_is_answered(platform: Platform) -> None:
    caller = await platform.caller()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SNIPPET,
        env={"LUNA_URL": platform.url, "LUNA_API_KEY": caller.key.secret, "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    assert printed.decode().split() == ["(1000,", "200,", "1)", "(1000,", "200,", "1)"]
    assert platform.used(caller.id) == 2000


async def test_each_form_is_answered_in_its_type_and_charged_by_the_series(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    request = json.dumps({"model": LEVEL, "outputs": ["filtered_state"]})
    y = np.array([[1.0, 2.0, np.nan], [3.0, 2.0, 1.0]])
    async with caller.client() as client:
        sent: dict[str, Any] = {"content": written_npy(y), "params": {"request": request}}
        array = await client.post("/kalman/filter", headers={"Content-Type": NPY, "Accept": NPY}, **sent)
        table = await client.post("/kalman/filter", headers={"Content-Type": NPY, "Accept": ARROW}, **sent)
        plain = await client.post("/kalman/filter", headers={"Content-Type": NPY}, **sent)
        unknown = await client.post("/kalman/filter", headers={"Content-Type": "text/csv"}, **sent)
        pickled = await client.post("/kalman/filter", headers={"Content-Type": NPY}, content=b"\x80\x04.")
        elsewhere = await client.post("/kalman/fit", headers={"Content-Type": NPY}, content=written_npy(y))
    assert [array.headers["content-type"], table.headers["content-type"]] == [NPY, ARROW]
    assert array.headers["vary"] == "accept"
    expected = np.array([each["filtered_state"] for each in plain.json()["results"]])
    np.testing.assert_array_equal(np.load(io.BytesIO(array.content)), expected)
    rows = pa.ipc.open_stream(table.content).read_all().column("filtered_state").to_pylist()
    np.testing.assert_array_equal(np.array(rows), expected)
    assert (unknown.status_code, pickled.status_code, elsewhere.status_code) == (415, 422, 415)
    assert ARROW in unknown.json()["detail"]
    assert "RateLimit" in array.headers
    assert platform.used(caller.id) == 6


async def test_the_forms_are_in_the_document(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        document = (await client.get(f"{platform.url}/openapi.json")).json()
    for task in ("filter", "smooth", "forecast"):
        described = document["paths"][f"/api/v1/{{account_id}}/kalman/{task}"]["post"]
        assert {ARROW, NPY, "application/json"} == set(described["requestBody"]["content"])
        assert {ARROW, NPY, "application/json"} == set(described["responses"]["200"]["content"])
        assert "request" in [each["name"] for each in described["parameters"]]
