"""The examples of metrics."""

import json

from tests.examples.running import run, variables
from tests.serving.platform import Platform


async def test_metrics_sh_sends_samples_and_asks_in_four_ways(platform: Platform) -> None:
    caller = await platform.caller()
    lines = (await run("metrics.sh", env=variables(caller))).output.splitlines()
    one, batch, latest, stats, maxima, buckets = (json.loads(line) for line in lines)
    assert (one, batch) == ({"accepted": 1}, {"accepted": 60})
    assert {each["labels"]["room"] for each in latest["series"]} == {"kitchen", "cellar"}
    assert (stats["count"], stats["min"], stats["max"]) == (61, 18.0, 22.0)
    found = {each["metric"]["room"]: each["value"][1] for each in maxima["data"]["result"]}
    assert found == {"kitchen": "21.5", "cellar": "22"}
    assert sum(each["count"] for series in buckets["series"] for each in series["buckets"]) > 20
    assert platform.used(caller.id) == 6


async def test_metrics_py_keeps_lunas_own_metrics_and_draws_a_rate(platform: Platform) -> None:
    caller = await platform.caller()
    ran = await run("metrics.py", "4", env=variables(caller))
    told = ran.errors.splitlines()
    assert len(told) == 4
    assert all(line.endswith("0 rejected") for line in told)
    drawn = {line.split()[0]: line.split()[-1] for line in ran.output.splitlines()}
    assert drawn["metrics/batch"].endswith("/s")
