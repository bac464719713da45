"""The parts of the benchmark of indicators that need no server."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.http.servers import WrongAnswerError
from benchmarks.indicators import load, report, serving
from benchmarks.indicators.peers import talib_seconds
from benchmarks.indicators.workload import TEN, Market, make_market, talib_loop

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.engines.indicators.compute import compute


@pytest.fixture(scope="module")
def market() -> Market:
    return make_market(3, 80)


def answer_of(market: Market, change: float = 0.0) -> bytes:
    """An answer as Luna gives it, from TA-Lib's values."""
    outputs = [name for each in TEN for name in each.outputs]
    pieces = []
    for i, found in enumerate(talib_loop(market, range(len(market.symbols)))):
        for each, values in zip(TEN, found, strict=True):
            columns = {"symbol": [market.symbols[i]] * len(market.days), "id": [each.name] * len(market.days)}
            columns |= {name: [None] * len(market.days) for name in outputs}
            columns |= {name: column + change for name, column in zip(each.outputs, values, strict=True)}
            pieces.append(
                pa.table(
                    columns,
                    pa.schema(
                        [("symbol", pa.string()), ("id", pa.string())] + [(name, pa.float64()) for name in outputs]
                    ),
                )
            )
    table = pa.concat_tables(pieces)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_the_bars_are_sound_and_written_as_they_are(market: Market, tmp_path) -> None:
    assert (market.values["high"] >= np.maximum(market.values["open"], market.values["close"])).all()
    assert (market.values["low"] <= np.minimum(market.values["open"], market.values["close"])).all()
    table = pq.read_table(market.write(tmp_path / "bars.parquet", symbols_per_group=2))
    assert table.num_rows == 3 * 80
    np.testing.assert_array_equal(table.column("close").to_numpy()[80:160], market.values["close"][1])


def test_talibs_parameters_are_lunas(market: Market) -> None:
    bars = Bars(market.days, **{name: np.ascontiguousarray(values[0]) for name, values in market.values.items()})
    for each, wanted in zip(TEN, talib_loop(market, [0])[0], strict=True):
        found = compute(CATALOGUE[each.name], checked(CATALOGUE[each.name], each.params), bars)
        assert tuple(found) == each.outputs
        for name, column in zip(each.outputs, wanted, strict=True):
            np.testing.assert_allclose(found[name], column, rtol=1e-9, err_msg=name)


def test_a_right_answer_passes_and_a_wrong_one_does_not(market: Market) -> None:
    serving.check(answer_of(market), market, every=2)
    with pytest.raises(WrongAnswerError, match="differs"):
        serving.check(answer_of(market, change=1e-3), market, every=2)
    with pytest.raises(WrongAnswerError, match="rows"):
        serving.check(answer_of(make_market(2, 80)), market, every=2)


def test_talib_is_timed_over_all_symbols(market: Market) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert talib_seconds(market, pool, 2) > 0


@pytest.fixture
def server():
    """Answers /good with 200 and everything else with 503, in two pieces."""
    ready, seen = threading.Event(), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                seen.append(head)
                status = b"200 OK" if b" /good" in head else b"503 Service Unavailable"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 10\r\n\r\n01234")
                await writer.drain()
                writer.write(b"56789")
        except asyncio.IncompleteReadError:
            writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        places.append(listening.sockets[0].getsockname()[1])
        ready.set()
        async with listening:
            await stop.wait()

    places: list[int] = []
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    ready.wait()
    yield f"http://127.0.0.1:{places[0]}", seen
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def test_the_client_counts_answers_and_faults(server) -> None:
    url, seen = server
    good = load.measure(load.Request("good", f"{url}/good?a=1", {"X-API-Key": "k"}), 2, 0.2)
    assert (good.faults, good.answer_bytes) == (0, 10)
    assert good.requests == len(seen) > 2
    assert good.p50_ms <= good.p99_ms
    assert b"GET /good?a=1 HTTP/1.1" in seen[0]
    assert b"X-API-Key: k" in seen[0]
    bad = load.measure(load.Request("bad", f"{url}/bad", {}), 1, 0.1)
    assert bad.faults == bad.requests > 0


def test_the_figures_are_ratios_within_rounds() -> None:
    one = load.Slice(100, 200.0, 1.0, 3.0, 10, 0)
    figures = report.Figures(
        {"luna": [1.0, 3.0, 2.0], "TA-Lib": [1.0, 1.0, 1.0]},
        5.0,
        {"kalman": [one], "rsi": [one]},
        serving.Imported(1_000_000, 2.0, 0.5, 300.0, ""),
        0.1,
    )
    batch, http, imported = figures.tables()
    assert batch[2][1][-1] == "2 (1 to 3)"
    assert http[2][1][-1] == "1 (1 to 1)"
    assert ["bars per second of processor", "2,000,000"] in imported[2]
    assert figures.faults == 0
    assert report.Figures().tables() == []
