"""The command line that benchmarks share."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import command
from benchmarks.command import Number

NUMBERS = (Number("sockets", 1_000, "that are open"), Number("seconds", 30.0, "of the measurement"))


class Measured:
    """Two figures."""

    def rows(self) -> list[tuple[str, str]]:
        return [("delay", "12 ms"), ("lost", "0")]

    def as_dict(self) -> dict[str, Any]:
        return {"delay_ms": 12, "lost": 0}


def test_numbers_have_their_defaults_and_their_types(capsys: pytest.CaptureFixture[str]) -> None:
    defaults = command.parse("live", "What it measures.", NUMBERS, [])
    assert (defaults.sockets, defaults.seconds, defaults.json) == (1_000, 30.0, None)
    given = command.parse("live", None, NUMBERS, ["--sockets", "7", "--seconds", "0.5", "--json", "a.json"])
    assert (given.sockets, given.seconds, given.json) == (7, 0.5, Path("a.json"))
    with pytest.raises(SystemExit):
        command.parse("live", None, NUMBERS, ["--sockets", "1.5"])
    with pytest.raises(SystemExit):
        command.parse("live", "What it measures.", NUMBERS, ["--help"])
    shown = capsys.readouterr().out
    assert "python -m benchmarks.live" in shown
    assert "that are open (1000)" in shown


def test_a_report_is_for_people_and_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    command.report("Live", Measured(), ["numpy"], file, {"stolen": "0 %"})
    shown = capsys.readouterr().out
    assert "machine: " in shown
    assert "stolen: 0 %" in shown
    assert "12 ms" in shown
    assert json.loads(file.read_text()) == {"delay_ms": 12, "lost": 0}
