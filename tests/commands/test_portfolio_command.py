"""`luna portfolio`: arguments become a body, an answer a table."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest
from tests.capabilities.markowitz.asking import COV, MEAN, answer

from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.portfolio import add_portfolio, shown, wanted

if TYPE_CHECKING:
    from pathlib import Path


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("--data-dir")
    add_portfolio(parser.add_subparsers(required=True), folder)
    return parser.parse_args(["portfolio", *arguments])


def test_prices_of_a_csv_file_with_dates(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("date,a,b\n2024-01-01,1,2\n2024-01-02,1.1,2.1\n2024-01-03,1,2.2\n2024-01-04,1.2,2.1\n")
    body = wanted(parsed("min_variance", "--prices", str(path), "--estimator", "oas", "--max-weight", "0.7"))
    assert body["prices"][1] == [1.1, 2.1]
    assert body["constraints"] == {"bounds": [0.0, 0.7]}
    assert sum(answer(**body)["weights"]) == pytest.approx(1)
    assert answer(**body)["assets"][1]["name"] == "b"


def test_arguments_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    path.write_text(json.dumps({"mean": MEAN, "cov": COV, "objective": "hrp", "risk_free": 0.02}))
    body = wanted(parsed("max_sharpe", "--file", str(path), "--risk-free", "0.01"))
    assert (body["objective"], body["risk_free"]) == ("max_sharpe", 0.01)
    assert wanted(parsed("hrp", "--symbols", "A,B"))["symbols"] == ["A", "B"]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,x\n")
    with pytest.raises(CommandFailed, match="no number"):
        wanted(parsed("hrp", "--returns", str(tmp_path / "bad.csv")))
    with pytest.raises(CommandFailed, match="cannot be read"):
        wanted(parsed("hrp", "--returns", str(tmp_path / "none.csv")))
    with pytest.raises(CommandFailed, match="Name an objective"):
        wanted(parsed())


def test_the_answer_as_a_table() -> None:
    found = shown(answer(mean=MEAN, cov=COV, objective="max_sharpe", constraints={"bounds": [0, 0.4]}))
    assert "Sharpe" in found
    assert "binds  /constraints/bounds/" in found
    frontier = shown(answer(mean=MEAN, cov=COV, objective="efficient_frontier"))
    assert len(frontier.splitlines()) == 1 + len(answer(mean=MEAN, cov=COV, objective="efficient_frontier")["corners"])
