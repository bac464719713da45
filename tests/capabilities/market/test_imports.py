"""Imports: what is refused and where, what is added and replaced, and versions."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry
from tests.capabilities.market.market import HEADER, csv_file, imported, rows
from tests.store.stores import Store

from luna_serving.capabilities.market.importing.refusals import ImportRefused
from luna_serving.engines.indicators.bars import Bars
from luna_serving.objects.client import ObjectStore
from luna_serving.prices.intervals import Interval
from luna_serving.prices.local_files import LocalFiles
from luna_serving.prices.located import ActionKind, Adjust
from luna_serving.prices.mapped import MappedMarkets, VersionGone
from luna_serving.prices.metrics import MappedMetrics
from luna_serving.prices.stored import StoredPrices
from luna_store.prices import reading
from luna_store.prices.publishing import MarketChanged

GOOD = ["A,2020-01-01,10,12,9,11,100", "A,2020-01-02,11,12,10,11,100"]
SEVERAL = {
    "twice": ([*GOOD, "A,2020-01-02,11,12,10,11,100"], 2, "The bar of 2020-01-02 is there twice."),
    "unsorted": ([*GOOD, "A,2019-12-31,11,12,10,11,100"], 2, "comes after that of 2020-01-02"),
    "high below low": ([*GOOD, "A,2020-01-03,9,9,10,9,100"], 2, "The high is below the low."),
    "open above high": ([*GOOD, "B,2020-01-03,13,12,10,11,100"], 2, "The open is outside low and high."),
    "close below low": ([*GOOD, "B,2020-01-03,11,12,10,9,100"], 2, "The close is outside low and high."),
    "negative volume": ([GOOD[0], "A,2020-01-02,11,12,10,11,-1", GOOD[1]], 1, "The volume is negative."),
    "infinity": ([*GOOD, "A,2020-01-03,11,inf,10,11,100"], 2, "A value is infinite."),
}


class Market:
    """Reads the bars of the newest version, or as of a time."""

    def __init__(self, store: Store, objects: ObjectStore, folder: Path) -> None:
        self.stored = StoredPrices(store.engine, fresh_s=0)
        self.markets = MappedMarkets(objects, LocalFiles(folder / "here", 1 << 30), MappedMetrics(CollectorRegistry()))

    async def bars(self, symbol: str, as_of: datetime | None = None, interval: Interval = Interval.DAY) -> Bars | None:
        located = (await self.stored.locate(0, [symbol], interval, as_of)).get(symbol)
        return None if located is None else await self.markets.bars(located, Adjust.NONE)


@pytest.fixture
def market(store: Store, objects: ObjectStore, tmp_path: Path) -> Market:
    return Market(store, objects, tmp_path)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(("lines", "row", "why"), SEVERAL.values(), ids=SEVERAL)
async def test_wrong_bars_are_refused_with_file_and_row(
    store: Store, objects: ObjectStore, tmp_path: Path, form: str, lines: list[str], row: int, why: str
) -> None:
    path = csv_file(tmp_path / "bars.csv", lines)
    if form == "parquet":
        columns = zip(*(line.split(",") for line in lines), strict=True)
        names = HEADER.split(",")
        kinds = [pa.string(), pa.string(), *[pa.float64()] * 5]
        arrays = [
            pa.array([float(each) for each in c] if k == pa.float64() else list(c), k)
            for c, k in zip(columns, kinds, strict=True)
        ]
        path = tmp_path / "bars.parquet"
        pq.write_table(pa.table(arrays, names=names), path)
    with pytest.raises(ImportRefused) as refused:
        await imported(store, objects, path)
    first = refused.value.wrong[0]
    assert (first.file, first.row) == (str(path), row)
    assert why in first.what
    assert await reading.newest(store.engine) is None


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (["2020-13-99"], "row 0 (?): '2020-13-99' is no date or time."),
        (["2020-01-01", "yesterday"], "row 1 (?): 'yesterday' is no date or time."),
        (
            ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00"],
            "row 1 (?): '2020-01-02T00:00:00' is a time without an offset",
        ),
        (["2020-01-01T00:00:00", "2020-01-02T00:00:00Z"], "row 1 (?): '2020-01-02T00:00:00Z' is a time with an offset"),
    ],
    ids=["wrong", "a word", "no offset", "an offset"],
)
async def test_a_time_that_cannot_be_read_is_shown_with_its_row(
    store: Store, objects: ObjectStore, tmp_path: Path, times: list[str], why: str
) -> None:
    file = csv_file(tmp_path / "a.csv", [f"A,{time},10,12,9,11,100" for time in times])
    with pytest.raises(ImportRefused) as refused:
        await imported(store, objects, file)
    assert why in str(refused.value)
    assert "CSV conversion" not in str(refused.value)


async def test_a_time_far_below_is_shown_too(store: Store, objects: ObjectStore, tmp_path: Path) -> None:
    # More than a block of the file, whose first rows say of which type a column is.
    lines = [line for i in range(60) for line in rows(f"S{i:02}", 4_000, "2000-01-01")]
    file = csv_file(tmp_path / "a.csv", [*lines, "S99,then,10,12,9,11,100"])
    assert file.stat().st_size > 2 * (4 << 20)
    with pytest.raises(ImportRefused, match="'then' is no date or time of ISO 8601, as the rows before have it"):
        await imported(store, objects, file)


async def test_a_number_that_cannot_be_read_is_shown(store: Store, objects: ObjectStore, tmp_path: Path) -> None:
    file = csv_file(tmp_path / "a.csv", ["A,2020-01-01,10,twelve,9,11,100"])
    with pytest.raises(ImportRefused, match="'twelve' is no number"):
        await imported(store, objects, file)


async def test_a_file_that_is_not_there_is_named(store: Store, objects: ObjectStore, tmp_path: Path) -> None:
    for name in ("bars.csv", "bars.parquet"):
        with pytest.raises(ImportRefused, match=f"There is no file .*{name}"):
            await imported(store, objects, tmp_path / name)


async def test_a_bar_in_two_files_is_refused_and_one_series_in_two_files_is_joined(
    store: Store, objects: ObjectStore, tmp_path: Path, market: Market
) -> None:
    late, early = csv_file(tmp_path / "b.csv", rows("A", 3, "2020-01-04")), csv_file(tmp_path / "a.csv", rows("A", 3))
    with pytest.raises(ImportRefused) as refused:
        await imported(store, objects, late, early, csv_file(tmp_path / "c.csv", rows("B", 2) + rows("A", 1)))
    assert (refused.value.wrong[0].file, refused.value.wrong[0].row) == (str(tmp_path / "c.csv"), 2)
    done = await imported(store, objects, late, early)
    assert (done.data_version, done.bars, done.added) == (1, 6, 6)
    bars = await market.bars("A")
    assert bars is not None
    assert [str(each) for each in bars.timestamps.astype("datetime64[D]")] == [f"2020-01-0{day}" for day in range(1, 7)]


async def test_other_columns_order_and_compression_are_read(
    store: Store, objects: ObjectStore, tmp_path: Path, market: Market
) -> None:
    path = tmp_path / "intraday.csv.gz"
    text = (
        "Volume,Close,Low,High,Open,Note,Interval,Timestamp,Symbol\n"
        "5,2,1,3,2,x,1h,2024-01-01T09:00:00Z,BTC/USD\n"
        ",2,1,3,,y,1h,2024-01-01T10:00:00Z,BTC/USD\n"
        "7,2,1,3,2,z,5m,2024-01-01T09:05:00+02:00,NA\n"
    )
    path.write_bytes(gzip.compress(text.encode()))
    assert (await imported(store, objects, path)).symbols == 2
    hourly = await market.bars("BTC/USD", interval=Interval.HOUR)
    assert hourly is not None
    assert hourly.volume is not None
    assert hourly.open is not None
    # Nulls are kept.
    np.testing.assert_array_equal(hourly.volume, [5, np.nan])
    np.testing.assert_array_equal(hourly.open, [2, np.nan])
    shifted = await market.bars("NA", interval=Interval.FIVE_MINUTES)
    assert shifted is not None
    assert str(shifted.timestamps[0]) == "2024-01-01T07:05:00.000000"


async def test_each_import_is_a_version_that_adds_and_replaces_bars_and_as_of_reads_the_old_one(
    store: Store, objects: ObjectStore, tmp_path: Path, market: Market
) -> None:
    await imported(store, objects, csv_file(tmp_path / "one.csv", rows("A", 3) + rows("B", 2)))
    then = datetime.now(UTC)
    corrected = csv_file(tmp_path / "two.csv", rows("A", 3, "2020-01-02", close=500))
    done = await imported(store, objects, corrected)
    assert (done.data_version, done.bars, done.added, done.replaced) == (2, 6, 1, 2)
    new, old, kept = await market.bars("A"), await market.bars("A", then), await market.bars("B")
    assert new is not None
    assert old is not None
    assert kept is not None
    np.testing.assert_array_equal(new.close, [100, 500, 501, 502])
    np.testing.assert_array_equal(old.close, [100, 101, 102])
    np.testing.assert_array_equal(kept.close, [100, 101])
    assert await market.bars("A", then - timedelta(days=1)) is None
    done = await imported(store, objects, csv_file(tmp_path / "three.csv", rows("C", 2)), replace=True)
    assert (done.data_version, done.bars, done.symbols) == (3, 2, 1)
    assert await market.bars("A") is None


async def test_facts_and_actions_are_kept_until_others_replace_them(
    store: Store, objects: ObjectStore, tmp_path: Path, market: Market
) -> None:
    bars = csv_file(tmp_path / "bars.csv", rows("A", 5) + rows("B", 5))
    facts = csv_file(tmp_path / "facts.csv", ["A,Alpha,XNYS", "B,Beta,"], "symbol,name,exchange")
    actions = csv_file(tmp_path / "actions.csv", ["A,2020-01-03,split,2"], "symbol,ex_date,kind,value")
    await imported(store, objects, bars, symbols=facts, actions=actions)
    await imported(store, objects, csv_file(tmp_path / "more.csv", rows("B", 1, "2020-01-06")))
    found = await market.stored.locate(0, ["A", "B"], Interval.DAY)
    assert [(a.ex_date.isoformat(), a.kind, a.value) for a in found["A"].actions] == [
        ("2020-01-03", ActionKind.SPLIT, 2.0)
    ]
    assert found["B"].actions == ()
    row = await reading.one(store.engine, reading.Seen(0), "A")
    assert row is not None
    assert (row.name, row.exchange, row.currency) == ("Alpha", "XNYS", None)
    for name, lines, why in (
        ("unknown", ["C,2020-01-03,split,2"], "'C'"),
        ("kind", ["A,2020-01-03,merger,2"], "row 0"),
        ("value", ["A,2020-01-03,split,0"], "row 0"),
        ("day", ["A,2020-13-03,split,2"], "row 0"),
        ("twice", ["A,2020-01-03,split,2", "A,2020-01-03,split,2"], "row 1"),
    ):
        wrong = csv_file(tmp_path / f"{name}.csv", lines, "symbol,ex_date,kind,value")
        with pytest.raises(ImportRefused, match=why):
            await imported(store, objects, bars, actions=wrong)


async def test_of_two_imports_at_once_one_is_refused_whole(
    store: Store, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = csv_file(tmp_path / "a.csv", rows("A", 3)), csv_file(tmp_path / "b.csv", rows("B", 3))
    put_file = ObjectStore.put_file

    async def meanwhile(self: ObjectStore, key: str, path: Path, media_type: str = "") -> None:
        monkeypatch.setattr(ObjectStore, "put_file", put_file)
        await imported(store, objects, second)
        await put_file(self, key, path, media_type)

    monkeypatch.setattr(ObjectStore, "put_file", meanwhile)
    with pytest.raises(MarketChanged):
        await imported(store, objects, first)
    newest = await reading.newest(store.engine)
    assert newest is not None
    assert (newest.version, newest.bars) == (1, 3)
    assert await store.scalar("SELECT count(*) FROM price_versions") == 1


async def test_a_pruned_version_says_so(store: Store, objects: ObjectStore, tmp_path: Path, market: Market) -> None:
    await imported(store, objects, csv_file(tmp_path / "a.csv", rows("A", 3)))
    located = (await market.stored.locate(0, ["A"], Interval.DAY))["A"]
    await objects.delete(located.file.key)
    with pytest.raises(VersionGone):
        await market.markets.bars(located)
