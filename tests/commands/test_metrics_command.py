"""`luna metrics tail` against a running Luna, as a user runs it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from typing import TYPE_CHECKING

from luna_serving.commands.metrics_view import identity, sparkline

if TYPE_CHECKING:
    from tests.serving.platform import Caller, Platform


def environment(caller: Caller) -> dict[str, str]:
    given = {n: v for n, v in os.environ.items() if not n.startswith("LUNA_")}
    return given | {"LUNA_URL": caller.base_url, "LUNA_API_KEY": caller.key.secret, "COLUMNS": "120", "LINES": "30"}


async def started(caller: Caller, *arguments: str, stdout: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "luna_serving.cli", "metrics", "tail", *arguments),
        env=environment(caller),
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )


async def write(caller: Caller, value: float) -> None:
    async with caller.client() as client:
        answer = await client.post("/metrics/ingest", json={"name": "tailed", "value": value, "labels": {"host": "a"}})
        assert answer.status_code == 200


async def test_lines_follow_a_series_until_it_is_interrupted(platform: Platform) -> None:
    caller = await platform.caller()
    await write(caller, 1.5)
    process = await started(caller, "tailed", "--rate", "10")
    assert process.stdout
    first = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    assert first.split("  ")[1:] == ['tailed{host="a"}', "1.5\n"]
    await write(caller, 2.5)
    second = (await asyncio.wait_for(process.stdout.readline(), 10)).decode()
    assert second.endswith('tailed{host="a"}  2.5\n')
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 20) == 130


async def test_json_lines_are_the_messages(platform: Platform) -> None:
    caller = await platform.caller()
    await write(caller, 1.5)
    process = await started(caller, "tailed", "--json")
    assert process.stdout
    kinds = [json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["type"] for _ in range(2)]
    assert kinds == ["subscribed", "update"]
    process.kill()
    await process.wait()


async def test_a_terminal_shows_a_table_that_moves(platform: Platform) -> None:
    caller = await platform.caller()
    await write(caller, 1.0)
    parent, child = pty.openpty()
    process = await started(caller, "tailed", "--rate", "10", stdout=child)
    os.close(child)
    shown = ""
    os.set_blocking(parent, False)
    async with asyncio.timeout(60):
        # Values that no time of day has in it; the bar of the highest one is full.
        for value in (101.25, 808.25, 404.25):
            await write(caller, value)
            while str(value) not in shown:
                try:
                    shown += os.read(parent, 65_536).decode()
                except BlockingIOError:
                    await asyncio.sleep(0.05)
    assert 'tailed{host="a"}' in shown
    assert "█" in shown
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.wait(), 20)
    os.close(parent)


async def test_a_wrong_selector_and_a_wrong_key_end_it_with_the_reason(platform: Platform) -> None:
    caller = await platform.caller()
    process = await started(caller, "tailed{")
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert "/selectors/0" in err.decode()
    process = await started(caller)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert b"at least one selector" in err


def test_a_sparkline_spans_its_values() -> None:
    assert sparkline([1.0, 8.0, 4.5]) == "▁█▅"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([]) == ""


def test_a_series_is_named_as_promql_writes_it() -> None:
    assert identity({"name": "cpu", "labels": {"host": 'a"b'}}) == 'cpu{host="a\\"b"}'
    assert identity({"name": "cpu", "labels": {}}) == "cpu"
