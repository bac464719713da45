"""`luna simulate`: arguments become a body, and answers become lines."""

import json
from pathlib import Path

import pytest

from luna_serving import cli
from luna_serving.commands import calculations, simulate

RESULT = {
    "value": 9.227,
    "std_error": 0.001,
    "interval": {"level": 0.95, "lower": 9.225, "upper": 9.229},
    "paths": 16384,
    "plan": {"steps": 1, "sampling": "sobol", "seed": 7},
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict]]:
    found: list[tuple[str, dict]] = []

    def calculated(arguments, route, body):
        found.append((route, body))
        return RESULT

    monkeypatch.setattr(calculations, "calculated", calculated)
    return found


def test_arguments_win_over_the_members_of_a_file(sent, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "body.json"
    model = {"kind": "merton", "spot": 100, "volatility": 0.2, "intensity": 1, "jump_mean": 0, "jump_std": 0.1}
    file.write_text(json.dumps({"model": model, "expiry": 2, "paths": 10}))
    arguments = [
        "--file",
        str(file),
        "--spot",
        "90",
        "--type",
        "put",
        "--strike",
        "95",
        "--paths",
        "500",
        "--seed",
        "7",
    ]
    assert cli.main(["simulate", *arguments, "--std-error", "0.01"]) == 0
    assert sent == [
        (
            "montecarlo",
            {
                "model": {**model, "spot": 90.0},
                "payoff": {"kind": "european", "type": "put", "strike": 95.0},
                "expiry": 2,
                "paths": 500,
                "seed": 7,
                "stop": {"std_error": 0.01},
            },
        )
    ]
    printed = capsys.readouterr().out
    assert "value        9.227 +- 0.001" in printed
    assert "16,384 of 1 steps, sobol, seed 7" in printed


def test_json_is_the_answer(sent, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", "--spot", "100", "--volatility", "0.2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == RESULT
    assert sent[0][1] == {"model": {"kind": "gbm", "spot": 100.0, "volatility": 0.2}}


def test_risks_and_bounds_have_lines() -> None:
    bound = {"value": 0.1, "std_error": 0.01}
    text = simulate.shown({**RESULT, "upper_bound": bound, "var": {"0.95": bound}, "es": {"0.95": bound}})
    assert [line.split()[0] for line in text.splitlines()] == ["value", "95", "upper", "VaR", "ES", "paths"]
