"""The calls of docs/market.md, docs/indicators.md and docs/blackscholes.md run as pasted."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.capabilities.indicators.whole_luna import pasted
from tests.serving.platform import Platform

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text() for name in ("market", "indicators", "blackscholes")}
BLOCKS = {name: re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for name, page in PAGES.items()}
SHOWN = {
    name: [json.loads(each) for each in re.findall(r"```json\n(.*?)```", PAGES[name], re.DOTALL)] for name in PAGES
}


def documents(printed: str) -> list[Any]:
    """The JSON documents that calls printed one after the other, whatever follows them."""
    decoder, found = json.JSONDecoder(), []
    while printed.startswith("{"):
        document, end = decoder.raw_decode(printed)
        found.append(document)
        printed = printed[end:].lstrip()
    return found


def close_to(shown: Any) -> Any:
    """What a page shows, with room for the digits that it leaves out; a version of the market may be any."""
    match shown:
        case {**members}:
            return {name: close_to(each) for name, each in members.items() if name != "data_version"}
        case list():
            return [close_to(each) for each in shown]
        case float():
            return pytest.approx(shown, rel=1e-3)
        case _:
            return shown


def without_versions(found: Any) -> Any:
    match found:
        case {**members}:
            return {name: without_versions(each) for name, each in members.items() if name != "data_version"}
        case list():
            return [without_versions(each) for each in found]
        case _:
            return found


async def test_the_calls_for_prices(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    [calls] = [block for block in BLOCKS["market"] if "curl" in block]
    printed = await pasted(platform, tmp_path, calls, caller)
    symbols, prices = documents(printed)
    assert {"AAPL", "MSFT", "IBM"} <= {each["symbol"] for each in symbols["items"]}
    [shown] = [each for each in SHOWN["market"] if "next_cursor" in each and "results" in each]
    wanted, found = close_to(shown), without_versions(prices)
    assert found["results"][0] == wanted["results"][0]
    assert [each["symbol"] for each in found["results"]] == ["AAPL", "MSFT"]
    table = list(csv.DictReader(io.StringIO(printed[printed.index('"symbol",') :])))
    assert [row["symbol"] for row in table] == ["AAPL"] * 5
    assert table[0]["timestamp"] == "2013-03-01"


async def test_the_calls_for_indicators(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    blocks = [block for block in BLOCKS["indicators"] if "curl" in block]
    assert len(blocks) == 4
    answers = [await pasted(platform, tmp_path, block, caller) for block in blocks]
    [single] = documents(answers[0])
    [shown] = SHOWN["indicators"]
    wanted = close_to(shown)["results"][0]
    found = without_versions(single)["results"][0]
    end = len(found["timestamps"])
    assert {name: value for name, value in found.items() if name not in {"timestamps", "values", "warmup_bars"}} == {
        name: value for name, value in wanted.items() if name not in {"timestamps", "values", "warmup_bars"}
    }
    last = {time: found["values"]["rsi"][i] for i, time in enumerate(found["timestamps"])}
    for time, value in zip(shown["results"][0]["timestamps"], shown["results"][0]["values"]["rsi"], strict=True):
        assert last[time] == pytest.approx(value, abs=0.005), time
    rest = answers[0][answers[0].index('"symbol",') :]
    table = list(csv.DictReader(io.StringIO(rest[: rest.index("{")])))
    assert list(table[0]) == ["symbol", "id", "timestamp", "macd", "macdsignal", "macdhist"]
    assert len(table) == end
    [batch] = documents(rest[rest.index("{") :])
    assert [(each["symbol"], each["id"]) for each in batch["results"]] == [
        ("AAPL", "fast"),
        ("AAPL", "slow"),
        ("MSFT", "fast"),
        ("MSFT", "slow"),
    ]
    [inline] = documents(answers[1])
    assert inline["results"][0]["values"] == {"sma": [None, None, 11.25]}
    [job] = documents(answers[2])
    assert (job["kind"], job["units_reserved"] > 0) == ("indicators", True)
    kept, spread = documents(answers[3])
    assert kept["lookback"] == 25
    assert list(spread["results"][0]["values"]) == ["custom:spread"]


async def test_the_calls_for_options(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    body, shown = SHOWN["blackscholes"][:2]
    async with caller.client() as client:
        answer = await client.post("/blackscholes", json=body)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in ("results", "codes")} == {
        "results": {
            name: [pytest.approx(value, abs=1e-9) for value in column] for name, column in shown["results"].items()
        },
        "codes": shown["codes"],
    }
    (tmp_path / "options.json").write_text(json.dumps(body))
    [block] = [each for each in BLOCKS["blackscholes"] if "luna price" in each]
    printed = await pasted(platform, tmp_path, block.replace("\nluna", "\necho =\nluna"), caller)
    calls, implied, american, file = printed.split("=\n")
    assert [line.split()[0] for line in calls.splitlines()[1:]] == ["16.69944841", "6.04008813"]
    assert implied.split()[0] == "implied_volatility"
    assert american.split()[0] == "price"
    assert json.loads(file)["results"]["price"] == pytest.approx(shown["results"]["price"], abs=1e-9)
