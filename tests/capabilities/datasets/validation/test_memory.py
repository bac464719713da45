"""Claims about memory and time: neither the rows of a file nor the worst of them take more than they may."""

import hashlib
from pathlib import Path

import pytest
from benchmarks.validation.__main__ import CONTRACT, write

from luna_serving.capabilities.datasets.validation.check import TABLE_PRELOAD, check_table
from luna_serving.capabilities.datasets.validation.manifest import SetFile
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

MOST_BYTES = 300 << 20


async def peak_of(file: Path) -> int:
    async with Sandbox(preload=TABLE_PRELOAD) as sandbox:
        report = await check_table(
            sandbox, SetFile("a.csv", file, 1, hashlib.sha256(b"").hexdigest()), CONTRACT, lambda *_: None, b""
        )
    assert report.summary["complete"]
    return report.peak_bytes


async def test_two_hundred_thousand_rows_take_less_than_300_mebibytes(tmp_path):
    write(tmp_path / "a.csv", 200_000)
    assert await peak_of(tmp_path / "a.csv") < MOST_BYTES


@pytest.mark.slow
async def test_a_million_rows_take_less_than_300_mebibytes_also_read_as_text_and_out_of_order(tmp_path):
    clean = tmp_path / "a.csv"
    write(clean, 1_000_000)
    assert await peak_of(clean) < MOST_BYTES
    with clean.open("a") as stream:
        stream.write("2014-12-31,shop000,no number,1\n")
    assert await peak_of(clean) < MOST_BYTES
