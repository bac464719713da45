"""Arrow answers that are computed into the bytes that are sent: the same table as pyarrow's writer makes."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pytest
from tests.capabilities.indicators.market import Market, served, walk
from tests.store.stores import Store

from luna_serving.capabilities.indicators import streams
from luna_serving.capabilities.indicators.compute import history_of, label_of
from luna_serving.capabilities.indicators.jobs.batches import Batch, InlineBars, Order
from luna_serving.capabilities.indicators.jobs.tasks import Formula
from luna_serving.capabilities.indicators.jobs.windows import Miss, Window
from luna_serving.capabilities.indicators.rendering.answers import tag_of
from luna_serving.capabilities.indicators.rendering.pieces import Piece
from luna_serving.capabilities.indicators.rendering.tables import written
from luna_serving.dispatch.pieces import Body, fetched
from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.prices.located import Adjust, Located

ARROW = "application/vnd.apache.arrow.stream"
WHOLE = Window()
LENGTHS = {"AAPL": 400, "MSFT": 300, "IBM": 5, "GE": 1}


def order(name: str, id_: str | None = None, **params: Any) -> Order:
    full = checked(CATALOGUE[name], params)
    return Order(id_ or name, Formula(name, tuple(sorted(full.items())), gaps="skip"), dict(full))


def custom() -> Order:
    return Order("custom:mine", Formula("custom:mine", expression="close / (close - lag(close, 1))"), {})


def with_gaps(bars: Bars) -> Bars:
    close = np.array(bars.close)
    close[10::50] = np.nan
    close[11::50] = close[12::50][: len(close[11::50])]
    return bars.with_column("close", close)


def batch_of(tmp_path: Path, window: Window = WHOLE) -> tuple[Batch, list[Bars]]:
    market = Market(tmp_path)
    bars = {symbol: with_gaps(walk(i, length)) for i, (symbol, length) in enumerate(LENGTHS.items())}
    market.put(bars)
    orders = (order("macd"), order("ema", "fast", period=3), order("stoch"), custom(), order("cdldoji"), order("roc"))
    errors = (Miss("fast", "NOPE", "https://luna.dev/problems/not-found", "There is none.", 404),)
    located = tuple(market.versions[-1].values())
    return Batch(located, orders, Adjust.NONE, window, ARROW, errors), list(bars.values())


def whole(batch: Batch, bars: list[Bars]) -> pa.Table:
    """By pyarrow's writer, from histories."""
    pieces = []
    for instrument, each in zip(batch.instruments, bars, strict=True):
        located = instrument if isinstance(instrument, Located) else None
        for of in batch.orders:
            history = history_of(of.formula, each)
            label = label_of(of, instrument, batch.adjust)
            pieces.append(Piece(label, history, batch.window.cut(history, located)))
    return pa.ipc.open_stream(written(pieces, batch.errors, ARROW)).read_all()


async def streamed(batch: Batch, bars: list[Bars]) -> Body:
    with ThreadPoolExecutor(2) as pool:
        return await fetched(streams.Stream(batch, bars, {}).stored(pool, streams.Scratch()))


def rows(table: pa.Table) -> pa.Table:
    """In an order of their own: blocks come as they are cut."""
    for name in ("symbol", "id"):
        table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(pa.string()))
    return table.sort_by([("symbol", "ascending"), ("id", "ascending"), ("timestamp", "ascending")])


@pytest.mark.parametrize("block_bytes", [1 << 23, 20_000, 1])
@pytest.mark.parametrize("start", [None, datetime(2012, 1, 5, tzinfo=UTC), datetime(2013, 1, 20, tzinfo=UTC)])
async def test_it_is_the_table_of_pyarrow_however_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, start: datetime | None
) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", block_bytes)
    batch, bars = batch_of(tmp_path, Window(start))
    body = await streamed(batch, bars)
    assert body.size == len(body.joined())
    found, wanted = pa.ipc.open_stream(body.joined()).read_all(), whole(batch, bars)
    found.validate(full=True)
    assert found.schema.equals(wanted.schema)
    facts = orjson.loads(found.schema.metadata[b"luna"])
    assert facts == orjson.loads(wanted.schema.metadata[b"luna"])
    assert rows(found).equals(rows(wanted))
    assert 0 < found.column("ema").null_count < found.num_rows


async def test_polars_reads_it_too(tmp_path: Path) -> None:
    batch, bars = batch_of(tmp_path)
    body = await streamed(batch, bars)
    found = pl.read_ipc_stream(io.BytesIO(body.joined()))
    assert found.height == sum(LENGTHS.values()) * len(batch.orders)
    fast = found.filter(pl.col("id").cast(pl.String) == "fast")
    shown = [history_of(batch.orders[1].formula, each).values["ema"] for each in bars]
    np.testing.assert_array_equal(fast["ema"].fill_null(np.nan).to_numpy(), np.concatenate(shown))


async def test_inline_bars_have_no_symbol(tmp_path: Path) -> None:
    batch, bars = batch_of(tmp_path)
    columns = {name: column for name in ("high", "low", "close") if (column := bars[0].column(name)) is not None}
    inline = replace(batch, instruments=(InlineBars(bars[0].timestamps, columns, intraday=False),), errors=())
    body = await streamed(inline, bars[:1])
    found = pa.ipc.open_stream(body.joined()).read_all()
    found.validate(full=True)
    assert found.column("symbol").null_count == found.num_rows
    assert rows(found).equals(rows(whole(inline, bars[:1])))


async def test_memory_that_was_used_before_shows_in_no_answer(tmp_path: Path) -> None:
    batch, bars = batch_of(tmp_path)
    stream = streams.Stream(batch, bars, {})
    with ThreadPoolExecutor(1) as pool:
        scratch = streams.Scratch()
        pool.submit(lambda: scratch.of(2 * streams.BLOCK_BYTES).fill(0xAB)).result()
        dirty = (await fetched(stream.stored(pool, scratch))).joined()
        pool.submit(lambda: scratch.of(2 * streams.BLOCK_BYTES).fill(0)).result()
        clean = (await fetched(stream.stored(pool, scratch))).joined()
    # Values under a null may be anything that the formula left; what is sent beside columns may not.
    assert dirty == clean


async def test_no_rows_are_an_empty_table(tmp_path: Path) -> None:
    batch, bars = batch_of(tmp_path, Window(datetime(2030, 1, 1, tzinfo=UTC)))
    found = pa.ipc.open_stream((await streamed(batch, bars)).joined()).read_all()
    assert found.num_rows == 0
    assert {"macd", "ema", "slowk", "custom:mine"} <= set(found.column_names)


def test_the_validator_follows_all_that_the_answer_depends_on(tmp_path: Path) -> None:
    batch, bars = batch_of(tmp_path)
    first = batch.instruments[0]
    assert isinstance(first, Located)
    inline = InlineBars(bars[0].timestamps, {"close": np.arange(400.0)}, intraday=False)
    others = [
        replace(batch, window=Window(history_days=90)),
        replace(batch, orders=batch.orders[:-1]),
        replace(batch, adjust=Adjust.ALL),
        replace(batch, errors=()),
        replace(batch, form="text/csv"),
        replace(batch, instruments=(replace(first, data_version=2), *batch.instruments[1:])),
        replace(batch, instruments=(replace(first, last_bar_closed=False), *batch.instruments[1:])),
        replace(batch, instruments=(inline,)),
        replace(batch, instruments=(replace(inline, columns={"close": np.ones(400)}),)),
    ]
    tags = [tag_of(each) for each in (batch, *others)]
    assert len(set(tags)) == len(tags)
    assert tag_of(replace(batch)) == tags[0]


async def test_a_known_answer_is_304_and_is_not_computed(store: Store, tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1)})
    caller = await store.account()
    body = {"symbols": ["AAPL"], "indicators": [{"name": "ema"}]}
    async with served(store, market, cached_pairs=0) as luna, luna.client(caller, Accept=ARROW) as client:
        answer = await client.post("/indicators", json=body)
        computed = luna.replicas.computed
        known = await client.post("/indicators", json=body, headers={"If-None-Match": answer.headers["etag"]})
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert pa.ipc.open_stream(answer.content).read_all().num_rows == 400
    assert (known.status_code, known.content, luna.replicas.computed) == (304, b"", computed)
    assert known.headers["etag"] == answer.headers["etag"]
    assert await store.left(caller.account_id) == 500 - 2, "a 304 costs what the answer does"
