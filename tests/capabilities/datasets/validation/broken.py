"""Broken tables, made by code: what is wrong with each, and the finding that must say so."""
# ruff: noqa: E501  a table: a line for each file

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SERIES = {"time_column": "ts", "value_columns": ["y"]}
PANEL = {"time_column": "ts", "series_column": "shop", "value_columns": ["y"]}
BARS = {"time_column": "date", "series_column": "symbol"}


@dataclass(frozen=True)
class Broken:
    """A file with one fault."""

    name: str
    content: Callable[[], bytes]
    rule: str
    contract: dict = field(default_factory=lambda: SERIES)
    type: str = "series"
    row: int | None = None
    count: int = 1
    column: str | None = None
    id: str = ""


def lines(*changes: tuple[int, str], header: str = "ts,y", rows: int = 30) -> bytes:
    """Daily CSV with some rows changed."""
    body = [f"2024-01-{i + 1:02},{(i * 7) % 11}.5" for i in range(rows)]
    for at, text in changes:
        body[at] = text
    return ("\n".join([header, *body]) + "\n").encode()


def panel(*changes: tuple[int, str]) -> bytes:
    body = [f"2024-01-{i // 2 + 1:02},{'ab'[i % 2]},{(i * 7) % 11}.5" for i in range(40)]
    for at, text in changes:
        body[at] = text
    return ("\n".join(["ts,shop,y", *body]) + "\n").encode()


def bars(*changes: tuple[int, str]) -> bytes:
    body = [f"2024-01-{i + 1:02},X,10,12,9,11,{100 + i}" for i in range(20)]
    for at, text in changes:
        body[at] = text
    return ("\n".join(["date,symbol,open,high,low,close,volume", *body]) + "\n").encode()


def days(count: int) -> pa.Array:
    return pa.array(
        [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(count)], pa.timestamp("us", "UTC")
    )


def parquet(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def plain(values: object = None, count: int = 30) -> pa.Table:
    return pa.table({"ts": days(count), "y": pa.array(np.arange(count) % 7 + 0.5) if values is None else values})


def arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("a.csv", lines())
    return out.getvalue()


def tape() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("a.csv")
        info.size = len(lines())
        tar.addfile(info, io.BytesIO(lines()))
    return out.getvalue()


def npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return out.getvalue()


def lying_footer() -> bytes:
    """A column of one value: 182 kB that unpack to 320 MB."""
    rows = 20_000_000
    table = pa.table({"ts": pa.array(np.zeros(rows, np.int64)).cast(pa.timestamp("us")), "y": np.zeros(rows)})
    return parquet(table, compression="zstd", row_group_size=rows)


def gzip_bomb() -> bytes:
    block = gzip.compress(b"2024-01-01,1.5\n" * 70_000)
    return gzip.compress(b"ts,y\n") + block * 80


def zstd_bomb() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(b"ts,y\n")
        for _ in range(200):
            stream.write(b" " * (1 << 20))
    return sink.getvalue().to_pybytes()


def page_bomb() -> bytes:
    """Cells of a megabyte, one in the dictionary page, 800 in the table."""
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 800, pa.int32()), pa.array(["x" * (1 << 20)]))
    return parquet(pa.table({"ts": cells, "y": np.zeros(800)}), compression="zstd", store_schema=False)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


FILES = [
    Broken("a.csv", lambda: b"", "TBL009", id="no bytes"),
    Broken("a.csv", lambda: b"ts,y\n", "TBL009", id="no rows"),
    Broken("a.csv", lambda: lines(header="ts,ts"), "TBL004", id="column twice"),
    Broken("a.csv", lambda: lines(header="ts,"), "TBL004", id="column without a name"),
    Broken("a.csv", lambda: b"1,2\n3,4\n", "TBL004", id="no header"),
    Broken("a.csv", lambda: lines(header="time,y"), "TBL005", column="ts", id="no time column"),
    Broken("a.csv", lambda: lines(header="ts,Y"), "TBL005", column="y", id="value column in other case"),
    Broken("a.csv", lambda: lines((5, "2024-01-06,abc")), "TBL006", row=5, column="y", id="word among numbers"),
    Broken("a.csv", lambda: lines((5, '2024-01-06,"1,5"'), (7, '2024-01-08,"1,5"')), "TBL006", row=5, count=2, column="y",
           id="decimal comma"),
    Broken("a.csv", lambda: lines((8, "2024-01-09,1,2,3")), "TBL008", row=8, id="too many fields"),
    Broken("a.csv", lambda: lines((8, "2024-01-09"), (9, "2024-01-10")), "TBL008", row=8, count=2, id="too few fields"),
    Broken("a.csv", lambda: lines((3, '2024-01-04,"1')), "TBL014", row=3, column="y", id="unclosed quote at the end"),
    Broken("a.csv", lambda: lines((3, '2024-01-04,"1')) + b"2024-01-04,1\n" * 600_000, "TBL014", row=3, id="unclosed quote"),
    Broken("a.csv", lambda: panel().replace(b",b,", b",\xe9,", 1), "TBL007", PANEL, row=1, column="shop", id="Latin-1"),
    Broken("a.csv", lambda: lines().decode().encode("utf-16"), "TBL007", id="UTF-16"),
    Broken("a.pkl", lambda: pickle.dumps({"y": [1]}), "TBL002", id="pickle"),
    Broken("a.csv", lambda: pickle.dumps({"y": [1]}), "TBL002", id="pickle under another name"),
    Broken("a.npy", npy, "TBL002", id="objects of NumPy"),
    Broken("a.h5", lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "TBL002", id="HDF5"),
    Broken("a.xlsx", archive, "TBL002", id="Excel"),
    Broken("a.csv", archive, "TBL002", id="ZIP under another name"),
    Broken("a.tar", tape, "TBL002", id="tar"),
    Broken("a.csv.gz", lambda: gzip.compress(tape()), "TBL002", id="tar in gzip"),
    Broken("a.csv.gz", lambda: gzip.compress(gzip.compress(lines())), "TBL002", id="gzip in gzip"),
    Broken("a.csv", lambda: bytes(range(256)), "TBL001", id="binary"),
    Broken("a.csv.gz", lambda: gzip.compress(lines() * 5)[:-30], "TBL003", id="truncated gzip"),
    Broken("a.parquet", lambda: parquet(plain())[:-10], "TBL003", id="Parquet without a footer"),
    Broken("a.parquet", lambda: flipped(parquet(plain(), compression="zstd"), 30), "TBL003", row=0, id="damaged Parquet page"),
    Broken("a.parquet", lines, "TBL003", id="CSV called Parquet"),
    Broken("a.arrow", lambda: arrow(plain())[:-200], "TBL003", id="truncated Arrow"),
    Broken("a.parquet", lambda: parquet(plain(pa.array(["1"] * 30))), "TBL006", column="y", id="numbers as text"),
    Broken("a.parquet", lambda: parquet(plain(pa.array([[1.0]] * 30))), "TBL006", column="y", id="lists"),
    Broken("a.parquet", lying_footer, "TBL011", id="Parquet bomb"),
    Broken("a.csv.gz", gzip_bomb, "TBL011", id="gzip bomb"),
    Broken("a.csv.zst", zstd_bomb, "TBL014", row=0, id="Zstandard bomb in one row"),
    Broken("a.parquet", page_bomb, "TBL010", id="page bomb"),
    Broken("a.csv", lambda: lines((4, "05/01/2024,1")), "TS001", row=4, column="ts", id="date of another form"),
    Broken("a.csv", lambda: lines((4, "2024-02-30,1")), "TS001", row=4, column="ts", id="30 February"),
    Broken("a.csv", lambda: lines((10, "2024-01-02,1")), "TS002", row=10, column="ts", id="order"),
    Broken("a.csv", lambda: lines((10, "2024-01-10,1"), (11, "2024-01-10,1")), "TS003", row=10, count=2, column="ts",
           id="duplicates"),
    Broken("a.csv", lambda: panel((6, "2024-01-01,a,3")), "TS003", PANEL, row=6, column="ts", id="duplicate far away"),
    Broken("a.csv", lines, "TS005", {**SERIES, "frequency": "h"}, column="ts", id="another frequency"),
    Broken("a.csv", lambda: lines((9, "2024-01-10T05:00,1")), "TS005", {**SERIES, "frequency": "D"}, row=9, count=2,
           column="ts", id="off the grid"),
    Broken("a.csv", lambda: lines((6, "2024-01-07T00:00:00Z,1")), "TS006", row=6, column="ts", id="mixed zones"),
    Broken("a.csv", lambda: b"ts,y\n" + b"".join(b"2024-03-31T0%d:30,%d\n" % (i, i) for i in range(8)), "TS007",
           {**SERIES, "timezone": "Europe/Berlin"}, row=2, column="ts", id="hour that clocks skip"),
    Broken("a.csv", lambda: b"ts,y\n" + b"".join(b"%d,%d\n" % (1704067200 + i * 60, i) for i in range(20))
           + b"1704068400000,1\n", "TS010", row=20, column="ts", id="epochs of two units"),
    Broken("a.csv", lambda: lines((12, ",4")), "TS014", row=12, column="ts", id="no time"),
    Broken("a.csv", lambda: lines((12, "2024-01-13,inf"), (14, "2024-01-15,-inf")), "VAL003", row=12, count=2, column="y",
           id="infinite"),
    Broken("a.csv", lambda: lines((12, "2024-01-13,99")), "VAL005", {**SERIES, "ranges": {"y": [0, 20]}}, row=12, column="y",
           id="out of range"),
    Broken("a.csv", lambda: panel((9, "2024-01-05,c,1")), "VAL006", {**PANEL, "enums": {"shop": ["a", "b"]}}, row=9,
           column="shop", id="not in the list"),
    Broken("a.csv", lambda: panel((9, "2024-01-05," + "x" * 300 + ",1")), "VAL013", PANEL, column="shop", id="long name"),
    Broken("a.csv", lambda: panel((9, "2024-01-05,,1")), "VAL010", PANEL, row=9, column="shop", id="no series"),
    Broken("a.csv", lambda: lines((3, "2024-01-04,")), "VAL011", {**SERIES, "nullable": False}, row=3, column="y",
           id="missing against the contract"),
    Broken("a.csv", lambda: lines((3, "2024-01-04,NaN")), "VAL011", {**SERIES, "nullable": False}, row=3, column="y",
           id="NaN against the contract"),
    Broken("a.csv", lambda: bars((7, "2024-01-08,X,10,9.5,9,11,1")), "VAL007", BARS, "ohlcv", row=7, column="high",
           id="high below open"),
    Broken("a.csv", lambda: bars((7, "2024-01-08,X,10,12,10.5,11,1")), "VAL007", BARS, "ohlcv", row=7, column="low",
           id="low above open"),
    Broken("a.csv", lambda: bars((7, "2024-01-08,X,10,12,9,11,-5")), "VAL008", BARS, "ohlcv", row=7, column="volume",
           id="negative volume"),
]  # fmt: skip
