"""`luna portfolio`: the best portfolio for an objective, at once or by a job with its progress."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from luna_serving.commands.calculations import add_calculation, body_of, over
from luna_serving.commands.errors import CommandFailed

if TYPE_CHECKING:
    import argparse

OBJECTIVES: Final = (
    "max_sharpe",
    "min_variance",
    "target_return",
    "target_risk",
    "risk_parity",
    "hrp",
    "min_cvar",
    "efficient_frontier",
)
ESTIMATORS: Final = ("sample", "ledoit_wolf", "oas", "ewm", "kalman")
# Weights below this are left out of the table.
SHOWN: Final = 1e-9
MOST_BINDING: Final = 10


def add_portfolio(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], folder: argparse.ArgumentParser
) -> None:
    """Add the parser."""
    text = "find the best portfolio for an objective"
    parser = add_calculation(commands, folder, "portfolio", text, "markowitz", wanted, shown)
    parser.add_argument("objective", choices=OBJECTIVES, nargs="?", help="what the portfolio shall do best")
    parser.add_argument("--returns", metavar="CSV", help="names of assets in the first line, a period in each other")
    parser.add_argument("--prices", metavar="CSV", help="as --returns, with prices")
    parser.add_argument("--symbols", metavar="A,B,...", help="symbols of a market, daily")
    parser.add_argument("--dataset", metavar="NAME", help="a data set of returns")
    parser.add_argument("--estimator", choices=ESTIMATORS, help="of means and covariances (default: sample)")
    parser.add_argument("--target", type=float, metavar="X", help="of target_return and target_risk, per period")
    parser.add_argument("--risk-free", type=float, metavar="X", help="per period (default: 0)")
    parser.add_argument("--level", type=float, metavar="P", help="of min_cvar (default: 0.95)")
    parser.add_argument("--points", type=int, metavar="N", help="of efficient_frontier (default: 50)")
    parser.add_argument("--max-weight", type=float, metavar="W", help="of every asset (default: 1)")
    parser.add_argument("--min-weight", type=float, metavar="W", help="of every asset; negative: short (default: 0)")


def wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    """The body: the file's members, and the arguments over them.

    Raises:
        CommandFailed: a file cannot be read.
    """
    body = body_of(arguments)
    over(body, arguments, ("objective", "dataset", "estimator", "target", "risk_free", "level", "points"))
    if arguments.symbols is not None:
        body["symbols"] = arguments.symbols.split(",")
    for member in ("returns", "prices"):
        if (path := getattr(arguments, member)) is not None:
            body["assets"], body[member] = _table(Path(path))
    if arguments.min_weight is not None or arguments.max_weight is not None:
        low = 0.0 if arguments.min_weight is None else arguments.min_weight
        high = 1.0 if arguments.max_weight is None else arguments.max_weight
        body["constraints"] = {**(body.get("constraints") or {}), "bounds": [low, high]}
    if "objective" not in body:
        raise CommandFailed(f"Name an objective: {', '.join(OBJECTIVES)}.")
    return body


def _table(path: Path) -> tuple[list[str], list[list[float]]]:
    """The names and the rows of a CSV file; a first column that is no number, such as dates, is left out."""
    try:
        with path.open(newline="") as file:
            head, *rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, ValueError) as e:
        raise CommandFailed(f"{path} cannot be read: {e}.") from e
    begin = 1 if rows and not _is_number(rows[0][0]) else 0
    try:
        return head[begin:], [[float(each) for each in row[begin:]] for row in rows]
    except ValueError as e:
        raise CommandFailed(f"{path} holds something that is no number: {e}.") from e


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shown(result: dict[str, Any]) -> str:
    """The answer for people."""
    names = [asset["name"] for asset in result["assets"]]
    if "points" in result:
        corners = result["corners"] or result["points"]
        lines = [f"{'return':>12} {'risk':>12} {'Sharpe':>8}"]
        lines += [f"{p['expected_return']:12.6g} {p['risk']:12.6g} {_number(p['sharpe']):>8}" for p in corners]
        return "\n".join(lines)
    held = sorted(((w, name) for w, name in zip(result["weights"], names, strict=True) if abs(w) > SHOWN), reverse=True)
    lines = [f"{100 * weight:9.4f} %  {name}" for weight, name in held]
    expected, sharpe = _number(result["expected_return"]), _number(result["sharpe"])
    lines.append(f"return {expected}  risk {result['risk']:.6g}  Sharpe {sharpe}")
    if "cvar" in result:
        lines.append(f"CVaR {result['cvar']:.6g}  VaR {result['var']:.6g}  at {100 * result['level']:g} %")
    priced = sorted(result["binding"], key=lambda each: -each["price"])[:MOST_BINDING]
    lines += [f"binds  {each['constraint']}  price {each['price']:.4g}" for each in priced if each["price"] > 0]
    lines.append(f"KKT residual {result['kkt_residual']:.1e}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
