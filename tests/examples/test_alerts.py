"""The examples of alerts."""

import json

from tests.examples.running import run, variables
from tests.serving.platform import Platform


async def test_alerts_sh_fires_and_is_history(platform: Platform) -> None:
    caller = await platform.caller()
    lines = (await run("alerts.sh", env=variables(caller))).output.splitlines()
    active, history = (json.loads(line) for line in lines if line.startswith(('{"alerts"', '{"items"')))
    (alert,) = active["alerts"]
    assert (alert["state"], alert["labels"]["oven"]) == ("firing", "left")
    assert alert["annotations"] == {"summary": "The left oven is at 231 degrees."}
    assert [each["resolved_by"] for each in history["items"]] == ["rule"]


async def test_alerts_py_simulates_with_several_values_of_for(platform: Platform) -> None:
    caller = await platform.caller()
    lines = (await run("alerts.py", env=variables(caller))).output.splitlines()
    firings = [int(line.split(": ")[1].split()[0]) for line in lines]
    assert len(lines) == 4
    assert firings[0] > 0
    assert firings == sorted(firings, reverse=True)
