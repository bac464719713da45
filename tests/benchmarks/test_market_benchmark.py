"""The benchmark of imports, short: its figures are there, and memory does not grow with the file."""

import json
from pathlib import Path

import pytest
from benchmarks.market.__main__ import SHAPES, main


def test_imports_are_measured_beside_a_copy_in_memory_that_is_bounded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for bars in (200_000, 1_000_000):
        assert main(["--bars", str(bars), "--rounds", "1", "--json", str(tmp_path / "m.json")]) == 0
        found[bars] = json.loads((tmp_path / "m.json").read_text())
    assert "million bars per second and core" in capsys.readouterr().out
    for shape in SHAPES:
        assert found[1_000_000][shape]["bars_per_core_second"] > 50_000
        # Five times the rows: 56 bytes each would be 43 MiB more.
        assert found[1_000_000][shape]["memory_bytes"] < 300 * 2**20
