"""The benchmark of the operator, short: three hundred Accounts of the ten thousand."""

import json

import pytest
from benchmarks.accounts.__main__ import main

# Four that write, a Secret read now and then, and the sweeps' pages, which a short run has more of for each Account.
REQUESTS_PER_ACCOUNT = 7


@pytest.mark.timeout(600)
def test_three_hundred_accounts_become_ready_with_few_requests_and_a_restart_writes_nothing(tmp_path, capsys):
    figures = tmp_path / "figures.json"
    options = ["--accounts", "300", "--sweep", "5", "--json", str(figures), "--keep", str(tmp_path / "logs")]
    assert main(options) == 0
    measured = json.loads(figures.read_text())
    assert measured["accounts"] == 300
    assert measured["restart_writes"] == {}
    writes = {
        kind: count
        for kind, count in measured["requests"].items()
        if kind.split()[0] not in {"get", "list"} and kind.split()[-1] < "300"
    }
    assert writes == {
        "patch accounts 200": 300,
        "patch accounts/status 200": 300,
        "create secrets 201": 300,
        "create events 201": 300,
    }
    assert sum(measured["requests"].values()) < REQUESTS_PER_ACCOUNT * 300
    assert 0 < measured["memory_peak_mib"] < 512
    assert "memory: " in capsys.readouterr().out
