"""Claims about canonical copies: the same rows, sorted, whatever the files' order and form; series are found fast."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from luna_serving.capabilities.datasets.validation.canonical import building, merging
from luna_serving.capabilities.datasets.validation.canonical.building import build, write_copy
from luna_serving.capabilities.datasets.validation.canonical.reading import CanonicalCopy
from luna_serving.capabilities.datasets.validation.check import TABLE_PRELOAD
from luna_serving.capabilities.datasets.validation.contract import SetType, contract_json
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

CONTRACT = contract_of(
    SetType.SERIES,
    {"time_column": "ts", "series_column": "shop", "value_columns": ["y", "z"], "enums": {"kind": ["a", "b"]}},
)


def shuffled_panel(rows: int, seed: int) -> pa.Table:
    """Series of different length whose rows are spread over the whole table; names are not in order."""
    random = np.random.default_rng(seed)
    shops = np.array([f"shop {i * 7919 % 97:02}" for i in range(40)])
    shop = shops[np.minimum(random.geometric(0.08, rows) - 1, 39)]
    ts = np.datetime64("2024-01-01T00", "us") + np.arange(rows) * np.timedelta64(3600, "s")
    y = random.normal(size=rows).round(6)
    y[random.random(rows) < 0.05] = np.nan
    return pa.table(
        {
            "ts": ts,
            "shop": shop,
            "y": pa.array(y, from_pandas=True),
            "z": random.integers(0, 100, rows),
            "kind": np.array(["a", "b"])[random.integers(0, 2, rows)],
        }
    )


def reference(table: pa.Table) -> dict[str, dict[str, np.ndarray]]:
    rows = sorted(table.to_pylist(), key=lambda row: (row["shop"], row["ts"]))
    found: dict[str, dict[str, list]] = {}
    for row in rows:
        series = found.setdefault(row["shop"], {"ts": [], "y": [], "z": []})
        for column in series:
            series[column].append(row[column])
    return {
        name: {
            "ts": np.array(columns["ts"], "M8[us]").astype(np.int64),
            "y": np.array(columns["y"], float),
            "z": np.array(columns["z"], float),
        }
        for name, columns in found.items()
    }


def assert_equal(copy: CanonicalCopy, table: pa.Table) -> None:
    expected = reference(table)
    assert list(copy.series) == sorted(expected)
    assert copy.rows == table.num_rows
    read = copy.read(copy.series)
    for name, columns in expected.items():
        np.testing.assert_array_equal(read[name].us, columns["ts"])
        for column in ("y", "z"):
            np.testing.assert_array_equal(read[name].columns[column], columns[column])
    assert list(copy.lengths(copy.series)) == [len(expected[name]["ts"]) for name in copy.series]


@pytest.mark.parametrize("run_bytes", [1 << 30, 150_000], ids=["in memory", "on disk"])
def test_a_copy_holds_the_same_rows_sorted(tmp_path, monkeypatch, run_bytes):
    monkeypatch.setattr(building, "RUN_BYTES", run_bytes)
    monkeypatch.setattr(building, "GROUP_ROWS", 1000)
    monkeypatch.setattr(merging, "_MERGE_BYTES", 100_000)
    table = shuffled_panel(20_000, 1)
    arrow_csv.write_csv(table.slice(0, 7_000), tmp_path / "a.csv")
    pq.write_table(table.slice(7_000, 6_000), tmp_path / "b.parquet")
    pq.write_table(table.slice(13_000), tmp_path / "c.parquet", row_group_size=2_000)
    names = ["b.parquet", "a.csv", "c.parquet"]
    result = build(
        {
            "files": [[name, str(tmp_path / name)] for name in names],
            "type": "series",
            "contract": contract_json(CONTRACT),
            "work": str(tmp_path),
        },
        lambda _: None,
    )
    assert (len([*tmp_path.glob("run-*")]) > 3) == (run_bytes < 1 << 20)
    assert result == {"rows": 20_000, "series": len(set(table["shop"].to_pylist()))}
    copy = CanonicalCopy(tmp_path / "copy.parquet")
    assert_equal(copy, table)
    written = pq.read_table(tmp_path / "copy.parquet")
    assert written["kind"].to_pylist() == [
        row["kind"] for row in sorted(table.to_pylist(), key=lambda row: (row["shop"], row["ts"]))
    ]


def test_a_read_of_few_series_and_columns_gives_those(tmp_path):
    table = shuffled_panel(5_000, 2)
    pq.write_table(table, tmp_path / "a.parquet")
    build(
        {
            "files": [["a.parquet", str(tmp_path / "a.parquet")]],
            "type": "series",
            "contract": contract_json(CONTRACT),
            "work": str(tmp_path),
        },
        lambda _: None,
    )
    copy = CanonicalCopy(tmp_path / "copy.parquet")
    chosen = [copy.series[5], copy.series[2]]
    read = copy.read(chosen, ["z"])
    assert list(read) == chosen
    assert all(list(each.columns) == ["z"] for each in read.values())
    np.testing.assert_array_equal(read[chosen[0]].columns["z"], reference(table)[chosen[0]]["z"])
    with pytest.raises(KeyError):
        copy.read(["no such shop"])
    with pytest.raises(KeyError):
        copy.read(chosen, ["kind"])


async def test_a_copy_is_written_in_the_sandbox_and_its_digest_does_not_depend_on_the_order_of_files(tmp_path):
    table = shuffled_panel(3_000, 3)
    files = []
    for i in range(3):
        file = tmp_path / f"{i}.csv"
        arrow_csv.write_csv(table.slice(i * 1_000, 1_000), file)
        files.append(SetFile(file.name, file, file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()))
    async with Sandbox(preload=TABLE_PRELOAD) as sandbox:
        first = await write_copy(sandbox, files, CONTRACT, tmp_path / "first.parquet")
        second = await write_copy(sandbox, files[::-1], CONTRACT, tmp_path / "second.parquet")
    assert first == second
    assert first.rows == 3_000
    assert first.sha256 == sha256_of(tmp_path / "first.parquet")
    assert_equal(CanonicalCopy(tmp_path / "first.parquet"), table)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".copy")] == []


def test_files_without_a_series_column_are_series_of_their_names(tmp_path):
    for name in ("north.csv", "south.csv.gz"):
        with (
            pa.CompressedOutputStream(str(tmp_path / name), "gzip")
            if name.endswith("gz")
            else (pa.OSFile(str(tmp_path / name), "wb")) as stream
        ):
            stream.write(b"ts,y\n2024-01-02,1\n2024-01-01,2\n")
    build(
        {
            "files": [[name, str(tmp_path / name)] for name in ("south.csv.gz", "north.csv")],
            "type": "series",
            "contract": {"time_column": "ts", "value_columns": ["y"]},
            "work": str(tmp_path),
        },
        lambda _: None,
    )
    copy = CanonicalCopy(tmp_path / "copy.parquet")
    assert copy.series == ("north", "south")
    assert copy.read(["south"])["south"].columns["y"].tolist() == [2, 1]
