"""Indicators through a whole Luna: jobs over a market, data sets, accounts of a Tier, and a new version under load."""

import asyncio
import csv
import io
import itertools
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.capabilities.indicators.market import walk
from tests.capabilities.indicators.whole_luna import luna
from tests.objects.fixture import store_on
from tests.serving.platform import Caller, Platform

from luna_serving.capabilities.market.importing.publishing import Order, import_files
from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.engines.indicators.compute import compute
from luna_store.platform.postgres import async_engine

ARROW = "application/vnd.apache.arrow.stream"
NAMES = ("sma", "ema", "rsi", "macd", "bbands", "atr", "cci", "mfi", "obv", "roc")
ITEMS = [{"name": name} for name in NAMES]


def values_of(name: str, bars: Bars) -> dict[str, Any]:
    return dict(compute(CATALOGUE[name], checked(CATALOGUE[name], {}), bars))


def written(path: Path, market: dict[str, Bars]) -> Path:
    """The bars as CSV."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["symbol", "timestamp", "open", "high", "low", "close", "volume"])
        for symbol, bars in market.items():
            days = np.datetime_as_string(bars.timestamps, unit="D")
            columns = [getattr(bars, name).tolist() for name in ("open", "high", "low", "close", "volume")]
            rows.writerows([symbol, *row] for row in zip(days.tolist(), *columns, strict=True))
    return path


async def ended(client: httpx.AsyncClient, job_id: str, status: str) -> dict[str, Any]:
    """A job that has ended so."""
    for _ in range(300):
        job: dict[str, Any] = (await client.get(f"/jobs/{job_id}")).json()
        if job["status"] in {"succeeded", "failed", "cancelled"}:
            assert job["status"] == status, job
            return job
        await asyncio.sleep(0.2)
    raise AssertionError(job)


async def bars_of(client: httpx.AsyncClient, symbol: str) -> Bars:
    """All bars of a symbol, as the route of prices answers them."""
    answer = await client.get("/prices", params={"symbols": symbol}, headers={"Accept": ARROW})
    assert answer.status_code == 200, answer.text
    table = pa.ipc.open_stream(answer.content).read_all()
    times = table.column("timestamp").to_numpy().astype("datetime64[us]")
    return Bars(times, **{name: table.column(name).to_numpy() for name in ("open", "high", "low", "close", "volume")})


def check_table(table: pa.Table, market: dict[str, Bars], names: tuple[str, ...]) -> None:
    """Every value of a table is the engine's over these bars, and none is missing."""
    place = {(s, i): j for j, (s, i) in enumerate(itertools.product(market, names))}
    symbols, ids = (table.column(name).cast(pa.string()).to_numpy(zero_copy_only=False) for name in ("symbol", "id"))
    of = np.array([place[pair] for pair in zip(symbols, ids, strict=True)])
    for (symbol, name), number in place.items():
        rows = np.flatnonzero(of == number)
        assert len(rows) == len(market[symbol]), (symbol, name)
        part = table.take(pa.array(rows))
        for output, column in values_of(name, market[symbol]).items():
            np.testing.assert_allclose(
                part.column(output).to_numpy(zero_copy_only=False), column, rtol=1e-12, err_msg=f"{symbol} {name}"
            )


async def test_a_job_over_symbols_makes_tables_of_the_engines_values(platform: Platform) -> None:
    caller = await platform.caller()
    parameters = {"symbols": ["AAPL", "MSFT"], "indicators": [{"name": "rsi"}, {"name": "macd"}]}
    async with caller.client() as client:
        created = await client.post("/jobs/", json={"kind": "indicators", "parameters": parameters})
        assert created.status_code == 201, created.text
        job = await ended(client, created.json()["id"], "succeeded")
        result = (await client.get(f"/jobs/{job['id']}/result")).json()
        arrow, parquet, report = [
            (await client.get(f"/jobs/{job['id']}/artifacts/{name}", follow_redirects=True)).content
            for name in ("indicators.arrow", "indicators.parquet", "report.html")
        ]
        market = {symbol: await bars_of(client, symbol) for symbol in parameters["symbols"]}
        used = platform.used(caller.id)
    table = pa.ipc.open_stream(arrow).read_all()
    assert (result["symbols"], result["rows"]) == (2, table.num_rows)
    assert pyarrow.parquet.read_table(io.BytesIO(parquet)).equals(table)
    check_table(table, market, ("rsi", "macd"))
    assert b"<html" in report.lower()
    assert used == 2 * 2 + 2, "of the job, and of the prices"


async def test_a_job_can_be_cancelled_and_a_wrong_one_is_refused_with_a_pointer(platform: Platform) -> None:
    caller = await platform.caller()
    many = [{"id": f"e{i}", "name": "ema", "params": {"period": 2 + i}} for i in range(150)]
    async with caller.client() as client:
        wrong = {"symbols": ["AAPL"], "indicators": [{"name": "smaa"}]}
        refused = await client.post("/jobs/", json={"kind": "indicators", "parameters": wrong})
        created = await client.post("/jobs/", json={"kind": "indicators", "parameters": {"indicators": many}})
        assert created.status_code == 201, created.text
        cancelled = await client.delete(f"/jobs/{created.json()['id']}")
        for _ in range(200):
            job = (await client.get(f"/jobs/{created.json()['id']}")).json()
            if job["status"] in {"succeeded", "failed", "cancelled"}:
                break
            await asyncio.sleep(0.2)
    assert refused.status_code in {404, 422}
    assert "Did you mean 'sma'?" in refused.text
    assert cancelled.status_code in {200, 202}
    assert job["status"] == "cancelled"


async def test_a_data_set_of_bars_is_a_source_of_prices_and_indicators(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller(allowed={"indicators": ["ema"], "datasets": ["*"], "kalman": ["*"]})
    market = {"OWN1": walk(1, 120), "OWN2": walk(2, 90)}
    file = written(tmp_path / "own.csv", market)
    await luna(platform, tmp_path, "data", "push", str(file), "--name", "own", "--type", "ohlcv", caller=caller)
    body = {"dataset": "own", "indicators": [{"name": "ema"}]}
    async with caller.client() as client:
        whole = await client.post("/indicators", json=body, headers={"Accept": ARROW})
        chosen = await client.post("/indicators", json=body | {"symbols": ["OWN2"]})
        unknown = await client.post("/indicators", json=body | {"symbols": ["NONE"]})
        created = await client.post("/jobs/", json={"kind": "indicators", "parameters": body})
        assert created.status_code == 201, created.text
        job = await ended(client, created.json()["id"], "succeeded")
        path = f"/jobs/{job['id']}/artifacts/indicators.arrow"
        artifact = (await client.get(path, follow_redirects=True)).content
    async with (await platform.caller()).client() as stranger:
        hidden = await stranger.post("/indicators", json=body)
    assert whole.status_code == 200, whole.text
    check_table(pa.ipc.open_stream(whole.content).read_all(), market, ("ema",))
    check_table(pa.ipc.open_stream(artifact).read_all(), market, ("ema",))
    [one] = chosen.json()["results"]
    assert (one["symbol"], one["dataset"]["name"], one["dataset"]["version"]) == ("OWN2", "own", 1)
    assert (unknown.status_code, hidden.status_code) == (422, 422)
    assert unknown.json()["errors"][0]["pointer"] == "/symbols/0"


async def test_an_account_that_the_command_line_made_has_the_grants_and_limits_of_its_tier(
    platform: Platform, tmp_path: Path
) -> None:
    made = await luna(platform, tmp_path, "account", "create", "team/free", "--tier", "free")
    narrow = await luna(
        platform, tmp_path, "account", "create", "team/own", "--tier", "pro", "--allow", "indicators=sma"
    )
    async with httpx.AsyncClient(base_url=f"{platform.url}/api/v1", timeout=60) as client:
        key = {"X-API-Key": made["api_key"]}
        shown = await client.get("/indicators/sma?symbol=AAPL", headers=key)
        denied = await client.get("/indicators/macd?symbol=AAPL", headers=key)
        calls = [(await client.get("/indicators/sma?symbol=AAPL", headers=key)).status_code for _ in range(50)]
        of_pro = await client.get("/indicators/rsi?symbol=AAPL", headers={"X-API-Key": narrow["api_key"]})
    assert shown.status_code == 200, shown.text
    times = shown.json()["results"][0]["timestamps"]
    assert 50 < len(times) <= 64
    assert times[-1] == "2013-03-01"
    assert denied.status_code == 403
    assert calls == [200] * 49 + [429], "50 calls a day"
    assert of_pro.status_code == 403, "what is given beside a tier wins"


@dataclass
class Seen:
    """What callers were answered, by the version that each answer names."""

    tables: dict[int, list[tuple[str, bytes]]] = field(default_factory=lambda: defaultdict(list))
    last: dict[int, set[tuple[str, float]]] = field(default_factory=lambda: defaultdict(set))
    calls: int = 0
    unready: int = 0


async def ask_for_tables(caller: Caller, symbols: list[str], seen: Seen, stop: asyncio.Event) -> None:
    """Large calls: more pairs than are looked for in the cache, so that replicas compute them."""
    async with caller.client(Accept=ARROW) as client:
        while not stop.is_set():
            answer = await client.post("/indicators", json={"symbols": symbols, "indicators": ITEMS})
            assert answer.status_code == 200, answer.text
            facts = json.loads(pa.ipc.open_stream(answer.content).schema.metadata[b"luna"])
            [version] = {each["data_version"] for each in facts["results"]}
            seen.tables[version].append((answer.headers["etag"], answer.content))
            seen.calls += 1


async def ask_for_one(caller: Caller, symbols: list[str], seen: Seen, stop: asyncio.Event) -> None:
    """Calls of the hot route."""
    async with caller.client() as client:
        for symbol in itertools.cycle(symbols):
            if stop.is_set():
                return
            answer = await client.get(f"/indicators/ema?symbol={symbol}")
            assert answer.status_code == 200, answer.text
            [result] = answer.json()["results"]
            seen.last[result["data_version"]].add((symbol, result["values"]["ema"][-1]))
            seen.calls += 1


async def look_whether_it_is_ready(platform: Platform, seen: Seen, stop: asyncio.Event) -> None:
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        while not stop.is_set():
            seen.unready += (await client.get("/health/ready")).status_code != 200
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("versions", "least_s"), [(3, 3.0), pytest.param(12, 10.0, marks=pytest.mark.slow)], ids=["short", "long"]
)
async def test_new_versions_under_load_give_no_wrong_or_mixed_answer(
    platform: Platform, tmp_path: Path, versions: int, least_s: float
) -> None:
    caller = await platform.caller()
    symbols = [f"VL{versions}X{i}" for i in range(8)]

    async def publish(number: int) -> tuple[int, dict[str, Bars]]:
        market = {symbol: walk(100 * number + i, 300 + number) for i, symbol in enumerate(symbols)}
        file = written(tmp_path / f"{number}.csv", market)
        async with store_on(platform.objects) as objects:
            imported = await import_files(engine, objects, Order((file,)))
        return imported.data_version, market

    engine = async_engine(platform.database_url)
    known = dict([await publish(0)])
    [first] = known
    async with caller.client() as client:
        until = time.monotonic() + 20
        while (await client.get(f"/indicators/ema?symbol={symbols[0]}")).status_code != 200:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
    seen, stop = Seen(), asyncio.Event()
    async with asyncio.TaskGroup() as load:
        load.create_task(look_whether_it_is_ready(platform, seen, stop))
        for _ in range(2):
            load.create_task(ask_for_tables(caller, symbols, seen, stop))
            load.create_task(ask_for_one(caller, symbols, seen, stop))
        begun = time.monotonic()
        for number in range(1, versions):
            version, market = await publish(number)
            known[version] = market
        until = time.monotonic() + 20
        while version not in seen.tables or version not in seen.last or time.monotonic() < begun + least_s:
            assert time.monotonic() < until, (version, sorted(seen.tables), sorted(seen.last))
            await asyncio.sleep(0.05)
        stop.set()
    await engine.dispose()
    assert seen.unready == 0
    assert len(seen.tables) > 1
    assert set(seen.tables) | set(seen.last) <= set(known), "others do not import meanwhile"
    assert first in seen.tables
    for version, answers in seen.tables.items():
        for _, content in {content: (tag, content) for tag, content in answers}.values():
            check_table(pa.ipc.open_stream(content).read_all(), known[version], NAMES)
        assert len({tag for tag, _ in answers}) == 1, "one validator per version"
    for version, pairs in seen.last.items():
        for symbol, value in pairs:
            assert value == pytest.approx(values_of("ema", known[version][symbol])["ema"][-1], rel=1e-12)
