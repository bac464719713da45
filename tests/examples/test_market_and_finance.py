"""The examples of prices, indicators and finance run unchanged against a running Luna."""

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.examples.running import run, variables
from tests.serving.platform import Platform


async def test_market_sh_shows_a_split_with_and_without_adjustment(platform: Platform) -> None:
    caller = await platform.caller()
    page, apple, traded, split, whole, *table = (await run("market.sh", env=variables(caller))).output.splitlines()
    assert {"AAPL", "MSFT"} <= {each["symbol"] for each in json.loads(page)["items"]}
    assert "2005-02-28" in {each["ex_date"] for each in json.loads(apple)["corporate_actions"]}
    closes = [json.loads(each)["results"][0]["values"]["close"] for each in (traded, split, whole)]
    ratios = [after / before for before, after in closes]
    assert ratios[0] == pytest.approx(0.5, abs=0.03)
    assert ratios[1:] == pytest.approx([2 * ratios[0]] * 2)
    assert [row["symbol"] for row in csv.DictReader(table)] == ["AAPL"] * 3 + ["MSFT"] * 3
    assert platform.used(caller.id) == 3 + 2


async def test_market_py_compares_yearly_returns(platform: Platform) -> None:
    caller = await platform.caller()
    ran = await run("market.py", "AAPL", "IBM", env=variables(caller))
    heading, *rows = ran.output.splitlines()
    assert heading.split() == ["year", "AAPL", "IBM"]
    returns = {row.split()[0]: row.split()[1] for row in rows}
    # Apple's shares closed 2011 at 405.00, 2012 at 532.17, and paid twice 2.65.
    assert returns["2012"] == "+32.6%"
    assert "splits: 2000-06-21 2 for 1, 2005-02-28 2 for 1" in ran.errors
    assert platform.used(caller.id) == 2


async def test_indicators_sh_calls_the_catalogue_a_batch_an_expression_and_sent_bars(platform: Platform) -> None:
    caller = await platform.caller()
    lines = (await run("indicators.sh", env=variables(caller))).output.splitlines()
    catalogue, rsi, batch, kept, *table, sent = lines
    assert "rsi" in {each["name"] for each in json.loads(catalogue)["indicators"]}
    [one] = json.loads(rsi)["results"]
    assert (one["lookback"], len(one["values"]["rsi"])) == (14, len(one["timestamps"]))
    assert [(each["symbol"], each["id"]) for each in json.loads(batch)["results"]] == [
        ("AAPL", "fast"),
        ("AAPL", "macd"),
        ("MSFT", "fast"),
        ("MSFT", "macd"),
    ]
    assert json.loads(kept)["lookback"] == 25
    assert len(list(csv.DictReader(table))) == len(one["timestamps"])
    assert json.loads(sent)["results"][0]["values"] == {"sma": [None, 10.5, None, 12.0]}
    assert platform.used(caller.id) == 1 + 4 + 1 + 1


async def test_indicators_py_draws_a_chart(platform: Platform, tmp_path: Path) -> None:
    caller, chart = await platform.caller(), tmp_path / "aapl.svg"
    ran = await run("indicators.py", "AAPL", str(chart), env=variables(caller))
    assert ran.output.splitlines()[0] == "AAPL on 2013-03-01, close 430.47"
    root = ET.parse(chart).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"AAPL, daily, adjusted for splits", "EMA 20", "RSI 14", "MACD 12, 26", "2013-01"} <= words
    assert platform.used(caller.id) == 1 + 5


async def test_indicators_py_shows_a_refusal(platform: Platform) -> None:
    caller = await platform.caller()
    ran = await run("indicators.py", "NOPE", env=variables(caller), status=1)
    assert ran.errors.startswith("404 ")


async def test_markowitz_sh_computes_a_portfolio_and_shows_a_conflict(platform: Platform) -> None:
    caller = await platform.caller()
    portfolio, conflict = (await run("markowitz.sh", env=variables(caller))).output.splitlines()
    assert sum(json.loads(portfolio)["weights"]) == pytest.approx(1, abs=1e-12)
    assert json.loads(conflict)["gap"] == pytest.approx(0.2)
    assert platform.used(caller.id) == 1


async def test_markowitz_py_prints_the_frontier(platform: Platform, tmp_path: Path) -> None:
    caller, chart = await platform.caller(), tmp_path / "frontier.svg"
    lines = (await run("markowitz.py", str(chart), env=variables(caller))).output.splitlines()
    assert len(lines) == 1 + 10
    assert chart.read_text().startswith("<svg")
    assert platform.used(caller.id) == 2


async def test_montecarlo_sh_values_an_option_and_runs_a_job(platform: Platform) -> None:
    caller = await platform.caller()
    ran = await run("montecarlo.sh", env=variables(caller))
    value, cost, job = (json.loads(line) for line in ran.output.splitlines())
    assert value["std_error"] < 0.01
    assert cost["units"] == 100
    assert job["kind"] == "montecarlo"


async def test_montecarlo_py_prints_losses_and_goes_on(platform: Platform) -> None:
    caller = await platform.caller()
    ran = await run("montecarlo.py", env=variables(caller))
    printed = [line for line in ran.output.splitlines() if "blocks" not in line]
    assert [line.split()[0] for line in printed] == ["2015232", "0.95:", "0.99:", "4014080", "0.95:", "0.99:"]
    assert platform.used(caller.id) == 4


async def test_blackscholes_sh_prices_inverts_and_exercises(platform: Platform) -> None:
    caller = await platform.caller()
    lines = (await run("blackscholes.sh", env=variables(caller))).output.splitlines()
    priced, implied, american = (json.loads(line)["results"] for line in lines)
    assert set(priced) == {"price", "delta", "gamma"}
    assert implied["implied_volatility"] == [pytest.approx(0.2, abs=1e-4)]
    assert american["price"] == [pytest.approx(7.97448234, abs=1e-8)]
    assert 0 < american["exercise_boundary"][0] < 100
    assert platform.used(caller.id) == 3


async def test_blackscholes_py_prints_a_smile(platform: Platform) -> None:
    caller = await platform.caller()
    heading, *rows = (await run("blackscholes.py", env=variables(caller))).output.splitlines()
    assert heading.split() == ["strike", "price", "implied", "volatility"]
    volatilities = [float(row.split()[2]) for row in rows]
    assert len(volatilities) == 9
    # Jumps make both wings dearer than the middle.
    assert min(volatilities) not in {volatilities[0], volatilities[-1]}
    assert platform.used(caller.id) == 2
