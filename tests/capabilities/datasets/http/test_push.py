"""`luna data push` against a running Luna: cut off, resumed, judged."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.capabilities.datasets.sets import CONTRACT, table

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from tests.serving.platform import Caller, Platform


async def pushing(caller: Caller, folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    contract = folder.parent / "contract.json"
    contract.write_text(json.dumps(CONTRACT))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LUNA_")}
    environment |= {"LUNA_URL": caller.base_url, "LUNA_API_KEY": caller.key.secret}
    command = ["data", "push", str(folder), "--contract", str(contract), "--type", "series", *arguments]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "luna_serving.cli",
        *command,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def cut_off(caller: Caller, client: httpx.AsyncClient, folder: Path, at: int) -> None:
    """Push, and kill the program once so many files are stored."""
    process = await pushing(caller, folder, "--at-once", "2")
    until = time.monotonic() + 120
    stored = 0
    while stored < at:
        assert process.returncode is None, (await process.communicate())[1].decode()
        assert time.monotonic() < until
        for each in (await client.get("/datasets")).json()["items"]:
            files = (await client.get(f"/upload/{each['dataset_id']}", params={"renew": "false"})).json()["files"]
            stored = sum(file["state"] == "stored" for file in files)
        await asyncio.sleep(0.02)
    process.kill()
    await process.wait()


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
async def test_a_folder_is_pushed_though_it_is_cut_off_twice(platform: Platform, tmp_path: Path, count: int) -> None:
    caller = await platform.caller()
    folder = tmp_path / "Sales of May"
    folder.mkdir()
    for i in range(count):
        (folder / f"{i}.csv").write_bytes(table("a", salt=float(i)).replace(b",a,", b",shop-%d," % i))
    async with caller.client() as client:
        await cut_off(caller, client, folder, count // 8)
        await cut_off(caller, client, folder, count // 4)
        process = await pushing(caller, folder)
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert output.startswith(b"sales-of-may@1 is valid: 0 error")
        (only,) = (await client.get("/datasets")).json()["items"]
        assert (only["state"], only["version"], only["file_count"]) == ("valid", 1, count)
        # The same again is the same set, and costs nothing.
        process = await pushing(caller, folder, "--json")
        output, _ = await process.communicate()
        assert json.loads(output)["dataset_id"] == only["dataset_id"]
    assert platform.used(caller.id) == 1


async def test_an_invalid_set_says_why_and_fails_the_command(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    folder = tmp_path / "sales"
    folder.mkdir()
    (folder / "a.csv").write_bytes(table(twice=True))
    process = await pushing(caller, folder, "--name", "bad")
    output, _ = await process.communicate()
    assert process.returncode == 1
    assert b"TS003 a.csv, row 56:" in output
    assert b"bad@1 is invalid: 1 error" in output


async def test_a_name_that_cannot_be_used_is_refused_with_the_cure(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    folder = tmp_path / "sales"
    folder.mkdir()
    (folder / "a.csv").write_bytes(table())
    process = await pushing(caller, folder, "--name", "Sales")
    _, errors = await process.communicate()
    assert (process.returncode, b"--name must be 1 to 63 characters" in errors) == (2, True)
