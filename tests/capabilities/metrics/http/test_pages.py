"""The pages about metrics: their calls work as pasted, on a running Luna."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.capabilities.indicators.whole_luna import pasted
from tests.serving.platform import Platform

DOCS = Path(__file__).parents[4] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def documents(printed: str) -> list[Any]:
    """The JSON documents that calls printed, one behind the other."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(printed):
        if printed[at].isspace():
            at += 1
            continue
        document, at = decoder.raw_decode(printed, at)
        found.append(document)
    return found


async def test_the_first_calls(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    [calls] = blocks("metrics.md", "sh")
    one, batch, latest, stats, averages = documents(await pasted(platform, tmp_path, calls, caller))
    assert (one, batch) == ({"accepted": 1}, {"accepted": 2})
    assert {each["labels"]["host"]: each["value"] for each in latest["series"]} == {"a": 0.5, "b": 0.7}
    # Milliseconds in answers of Luna's own, seconds in those of PromQL.
    assert all(each["timestamp"] > 1e12 for each in latest["series"])
    assert (stats["count"], stats["max"]) == (2, 0.7)
    found = {each["metric"]["host"]: each["value"] for each in averages["data"]["result"]}
    assert {host: value for host, (_, value) in found.items()} == {"a": "0.5", "b": "0.7"}
    assert all(at < 1e11 for at, _ in found.values())


async def test_the_calls_of_the_protocols(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    item, lines = blocks("metrics-protocols.md", "sh")
    assert documents(await pasted(platform, tmp_path, item, caller)) == [{"accepted": 1}]
    assert await pasted(platform, tmp_path, lines, caller) == ""
    bodies, answer, _ = blocks("metrics-protocols.md", "json")
    first, columns = bodies.splitlines()
    async with caller.client() as client:
        names = await client.get("/metrics/names")
        assert names.json() == {"names": ["cpu", "cpu_idle", "cpu_user"]}
        headers = {"content-type": "application/json"}
        found = await client.post("/metrics/batch", content=first, headers=headers)
        assert found.json() == json.loads(answer)
        # The page's times may be older than the retention by now: then the answer says so.
        found = await client.post("/metrics/batch", content=columns, headers=headers)
        taken = found.json()
        assert taken["accepted"] == 2 or taken["rejected"][0]["type"].endswith(("sample-too-old", "sample-too-new"))


async def test_the_calls_for_live_updates(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post("/metrics/ingest", json={"name": "cpu", "value": 0.5, "labels": {"host": "a"}})
        assert answer.json() == {"accepted": 1}
    [calls] = blocks("live.md", "sh")
    # Both run until Ctrl-C, which the test sends.
    ended = f"""
        luna() {{ timeout -s INT 8 "{sys.executable}" -m luna_serving.cli "$@" || echo "ended $?"; }}
        curl() {{ timeout -s INT 4 curl "$@" || true; }}
    """
    shown = (await pasted(platform, tmp_path, ended + calls, caller)).splitlines()
    assert 'cpu{host="a"}  0.5' in shown[0]
    events = [line.removeprefix("event: ") for line in shown if line.startswith("event: ")]
    assert events[:2] == ["subscribed", "update"]


def test_the_configurations_are_yaml() -> None:
    for page in ("metrics.md", "metrics-protocols.md"):
        found = [yaml.safe_load(each) for each in blocks(page, "yaml")]
        writing = [each["remote_write"][0] for each in found if "remote_write" in each]
        assert [each["authorization"] for each in writing] == [{"credentials": "YOUR_API_KEY"}]
        assert all(each["url"].endswith("/api/v1/prometheus/write") for each in writing)


async def test_the_openapi_document_is_made_and_shows_metrics_and_alerts(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.get(f"{platform.url}/openapi.json")
    # Two schemas of one name are a 500.
    assert answer.status_code == 200, answer.text
    document = answer.json()
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
    assert named <= document["components"]["schemas"].keys()
    bodies = {"/metrics/ingest", "/metrics/batch", "/metrics/query", "/alerts/rules", "/alerts/silences"}
    for path in bodies:
        body = document["paths"][f"/api/v1{path}"]["post"]["requestBody"]["content"]["application/json"]
        assert body.get("example") or body["schema"]["examples"], path


async def test_names_that_promql_reads_as_numbers_are_metrics(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        for name in ("nan", "Inf", "sum", "my.metric"):
            sent = await client.post("/metrics/ingest", json={"name": name, "value": 2})
            assert sent.json() == {"accepted": 1}
            assert (await client.get(f"/metrics/latest/{name}")).json()["series"][0]["value"] == 2.0
            assert (await client.get(f"/metrics/stats/{name}")).json()["count"] == 1
