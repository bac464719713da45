"""The benchmark of the kernels, on a machine without a GPU."""

import pytest
from benchmarks.statespace.gpu import main


def test_without_a_gpu_it_says_so_and_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "No NVIDIA GPU here" in capsys.readouterr().out


def test_interpreted_the_kernels_agree_with_the_scans(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--interpret", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out
    assert lines.count("kernel") == lines.count("scan") - 1 == lines.count("copy of [T, B]") == 2
