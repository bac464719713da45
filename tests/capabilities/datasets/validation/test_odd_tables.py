"""Claims about tables that are odd, not broken: each gets a verdict by rules, never an error of the validator."""

import gzip
import random

import numpy as np
import pyarrow as pa
import pytest
from tests.capabilities.datasets.validation.broken import arrow, days, lines, panel, parquet

from luna_serving.capabilities.datasets.validation.check import TABLE_PRELOAD, check_set
from luna_serving.capabilities.datasets.validation.contract import SetType
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

SERIES = contract_of(SetType.SERIES, {"time_column": "ts", "value_columns": ["y"]})
PANEL = contract_of(SetType.SERIES, {"time_column": "ts", "series_column": "shop", "value_columns": ["y"]})


@pytest.fixture(scope="module")
async def sandbox():
    async with Sandbox(preload=TABLE_PRELOAD) as sandbox:
        yield sandbox


async def verdict(sandbox, folder, content: bytes, name="a.csv", contract=SERIES):
    (folder / name).write_bytes(content)
    file = SetFile(name, folder / name, len(content), sha256_of(folder / name))
    report = await check_set([file], contract, sandbox=sandbox)
    return report, {finding.id for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize(
    "content",
    [
        b"\n\n" + lines(),
        lines().replace(b"\n", b"\r"),
        lines().replace(b"\n", b"\n\n"),
        lines()[:-1],
        lines().replace(b"ts,y", b'"ts","y"'),
        lines().replace(b",", b"|"),
        lines((3, " 2024-01-04 , 1.5 ")),
        lines((3, '"2024-01-04","1.5"')),
        lines(header="ts,y,note").replace(b".5\n", b'.5,"two\nlines"\n'),
    ],
    ids=[
        "empty lines first",
        "CR",
        "empty lines",
        "no last newline",
        "quoted names",
        "bars",
        "spaces",
        "quotes",
        "notes",
    ],
)
async def test_forms_of_csv_that_mean_the_same_are_valid(sandbox, tmp_path, content):
    report, errors = await verdict(sandbox, tmp_path, content)
    assert errors == set(), [*report.findings]
    assert report.summary["rows"] == 30


@pytest.mark.parametrize(
    ("content", "name", "errors"),
    [
        (parquet(pa.table({"ts": days(0), "y": pa.array([], pa.float64())})), "a.parquet", {"TBL009"}),
        (arrow(pa.table({"ts": days(0), "y": pa.array([], pa.float64())})), "a.arrow", {"TBL009"}),
        (parquet(pa.table({"ts": pa.nulls(5), "y": np.arange(5.0)})), "a.parquet", {"TS014"}),
        (parquet(pa.table({"ts": days(30), "y": pa.nulls(30)})), "a.parquet", set()),
        (parquet(pa.table({"ts": days(30), "y": pa.array([1] * 29 + [2**60])})), "a.parquet", set()),
        (b"ts\n2024-01-01\n", "a.csv", {"TBL005"}),
        (b"ts,y", "a.csv", {"TBL009"}),
        (b"ts,y" + b",x" * 20_000 + b"\n", "a.csv", {"TBL012"}),
        (b"ts,y\n2024-01-01," + b"1" * 5_000_000 + b"\n", "a.csv", {"TBL014"}),
        (b"ts,y\n" + b"12:30,1\n" * 20, "a.csv", {"TS001"}),
        (b"ts,y\n" + b"true,1\n" * 20, "a.csv", {"TS001"}),
        (b"ts,y\n2024-01-01,1\n9999-12-31,2\n", "a.csv", set()),
    ],
    ids=["no rows", "no batches", "no times", "no values", "digits", "one column", "header", "wide", "long", "clock",
         "booleans", "year 9999"],
)  # fmt: skip
async def test_extremes_end_by_rules(sandbox, tmp_path, content, name, errors):
    report, found = await verdict(sandbox, tmp_path, content, name)
    assert found == errors, [*report.findings]


async def test_a_file_of_many_series_has_a_report(sandbox, tmp_path):
    rows = b"".join(b"2024-01-%02d,%d %s,%d.5\n" % (d, i, b"x" * 200, d) for i in range(15_000) for d in (1, 2, 3))
    report, errors = await verdict(sandbox, tmp_path, b"ts,shop,y\n" + rows, contract=PANEL)
    assert errors == set()
    assert report.summary["series"] == 15_000
    assert "series across files" in {gap["check"] for gap in report.coverage}


async def test_damaged_files_never_stop_the_validator(sandbox, tmp_path):
    table = pa.table({"ts": days(200), "shop": pa.array(["a", "b"] * 100), "y": np.arange(200.0) % 7})
    wholes = [
        ("a.csv", panel()),
        ("a.csv.gz", gzip.compress(panel())),
        ("a.parquet", parquet(table)),
        ("b.parquet", parquet(table, compression="none", use_dictionary=False)),
        ("a.arrow", arrow(table)),
    ]
    chosen = random.Random(11)
    for _ in range(40):
        name, whole = chosen.choice(wholes)
        damaged = bytearray(whole)
        for _ in range(chosen.choice([1, 3, 20])):
            damaged[chosen.randrange(len(damaged))] = chosen.randrange(256)
        report, errors = await verdict(sandbox, tmp_path, bytes(damaged), name, PANEL)
        assert "TBL013" not in errors, [*report.findings]
