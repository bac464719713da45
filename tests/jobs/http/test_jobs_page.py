"""The page about jobs: its calls work as pasted, and what it lists is what there is."""

import asyncio
import json
import os
import re
from pathlib import Path

import pyarrow.parquet as pq
from tests.serving.platform import Platform

from luna_serving.app import CAPABILITIES
from luna_serving.jobs.routes import creation, events
from luna_serving.settings import read_settings
from luna_store.limits import LIMITS

PAGE = (Path(__file__).parents[3] / "docs" / "jobs.md").read_text()
CALLS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


async def test_the_calls_of_the_page_work_as_pasted(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    environment = os.environ | {"LUNA_URL": platform.url, "LUNA_API_KEY": caller.key.secret}
    process = await asyncio.create_subprocess_exec(
        "sh", "-ec", "\necho ---\n".join(CALLS), cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    created, cost, result, listed, told = printed.decode().split("---\n")
    assert created == ""
    job = json.loads((tmp_path / "job.json").read_text())
    assert job["labels"] == {"desk": "rivers"}
    assert json.loads(cost)["units"] == 1
    assert len(json.loads(result)["results"]) == 2
    assert pq.read_table(tmp_path / "fits.parquet").num_rows == 2
    assert [each["id"] for each in json.loads(listed)["items"]] == [job["id"]]
    assert re.findall("^event: (.*)$", told, re.MULTILINE)[-1] == "succeeded"


def test_the_page_has_every_kind_and_no_other() -> None:
    settings = read_settings({each.name: each.settings for each in CAPABILITIES}, {}).capabilities
    kinds = {kind.name for each in CAPABILITIES for kind in each.job_kinds(settings[each.name]) if kind.public}
    assert set(re.findall(r"^\| `([a-z/]+)` \| [a-z].* \|.*\|.*\|$", PAGE, re.MULTILINE)) == kinds


def test_the_page_has_every_limit_of_jobs() -> None:
    named = set(re.findall(r"`limits\.(jobs\w+)`", PAGE))
    assert named == {limit.field for limit in LIMITS if limit.name.startswith("jobs.")}


def test_the_page_states_the_bounds() -> None:
    low, high = creation.PRIORITIES
    assert f"{low} to {high}, by default 0" in PAGE
    assert f"up to {creation.MOST_LABELS}, keys of 1 to {creation.LONGEST_KEY} and values of up to" in PAGE
    assert f"{creation.LONGEST_VALUE} characters" in PAGE
    assert f"have {events.MOST_OF_ACCOUNT} streams open" in PAGE
    assert f"a replica {events.MOST_STREAMS:,}" in PAGE
