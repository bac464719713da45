"""The code of docs/streaming.md runs unchanged."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.serving.platform import Platform
from tests.serving.stream_client import connected

PAGE = (Path(__file__).parents[4] / "docs" / "streaming.md").read_text()
CONVERSATIONS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
(CLIENT,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def close_to(expected: Any) -> Any:
    """The same, with room for the last digit of numbers that a page shows."""
    match expected:
        case bool() | None | str():
            return expected
        case float() | int():
            return pytest.approx(expected, rel=1e-12)
        case list():
            return [close_to(each) for each in expected]
        case dict():
            return {name: close_to(each) for name, each in expected.items()}


async def test_the_conversations_go_as_the_page_says(platform: Platform) -> None:
    caller, stream = await platform.caller(), "STREAM"
    assert len(CONVERSATIONS) == 2
    for conversation in CONVERSATIONS:
        async with connected(caller) as client:
            for line in conversation.splitlines():
                said = line[2:].replace("STREAM", stream)
                if line.startswith("> "):
                    await client.connection.send(said)
                    continue
                heard = await client.hear()
                if heard["type"] == "opened":
                    stream = heard["stream"]
                    said = line[2:].replace("STREAM", stream)
                assert heard == close_to(json.loads(said))
                assert list(heard) == list(json.loads(said)), "in the page's order"


async def test_the_client_runs_as_it_stands(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    environment = os.environ | {
        "LUNA_URL": platform.url,
        "LUNA_ACCOUNT_ID": str(caller.id),
        "LUNA_API_KEY": caller.key.secret,
    }
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    run = await asyncio.create_subprocess_exec(
        sys.executable, str(script), env=environment, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await run.communicate()
    assert run.returncode == 0
    points = [json.loads(line) for line in printed.splitlines()]
    assert len(points) == 5
    assert points[1]["filtered_state"] == pytest.approx([1140.928], rel=1e-4)
    assert platform.used(caller.id) == 5
