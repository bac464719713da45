"""The benchmark of the parsers of metrics, short."""

import json

from benchmarks.metrics.parsing import main


def test_every_protocol_is_measured(tmp_path, capsys):
    figures = tmp_path / "figures.json"
    assert main(["--series", "20", "--rounds", "2", "--json", str(figures)]) == 0
    measured = json.loads(figures.read_text())["parsing"]
    assert len(measured) == 7
    assert all(each["samples_per_s"] > 0 and each["new_per_s"] > 0 for each in measured)
    assert "| remote write 1.0 |" in capsys.readouterr().out
