"""What the report of a portfolio job shows: weights, prices of constraints, and the frontier with the assets."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from luna_serving.jobs.report.charts import Points, bar_chart, plane_chart
from luna_serving.jobs.report.frame import Svg
from luna_serving.jobs.report.numbers import number
from luna_serving.jobs.report.page import (
    MOST_ROWS,
    Block,
    Chart,
    Charts,
    Column,
    Figure,
    KeyFigures,
    Section,
    Table,
)

# Weights below this are not drawn.
SHOWN: Final = 1e-9
MOST_BARS: Final = 20


def frontier_chart(answer: Mapping[str, Any]) -> Svg | None:
    """The frontier with the assets, or the portfolio among them; None without expected returns."""
    assets = answer["assets"]
    risks, returns = [a["risk"] for a in assets], [a["expected_return"] for a in assets]
    alone = Points("assets", risks, returns, [a["name"] for a in assets])
    if "points" in answer:
        curve = sorted([*answer["points"], *answer["corners"]], key=lambda p: (p["risk"], p["expected_return"]))
        risks, returns = [p["risk"] for p in curve], [p["expected_return"] for p in curve]
        said = (
            f"Risk from {number(risks[0])} to {number(risks[-1])}, expected return from {number(returns[0])} to "
            f"{number(returns[-1])}."
        )
        places = [Points("efficient frontier", risks, returns, joined=True), alone]
        return plane_chart("Efficient frontier", said, places, x_label="risk", y_label="expected return")
    risk, expected = answer["risk"], answer["expected_return"]
    if expected is None:
        return None
    said = f"The portfolio has a risk of {number(risk)} and an expected return of {number(expected)}."
    places = [Points("portfolio", [risk], [expected]), alone]
    return plane_chart("Portfolio and assets", said, places, x_label="risk", y_label="expected return")


def sections(_: bytes, result: bytes) -> Sequence[Section]:
    """Of `markowitz`."""
    answer: dict[str, Any] = orjson.loads(result)
    chart = frontier_chart(answer)
    drawn: list[Block] = [] if chart is None else [Charts([Chart(chart, "Risk and expected return per period.")])]
    if "points" in answer:
        return (Section("Efficient frontier", (*_summary_of_frontier(answer), *drawn, _corners(answer))),)
    return (Section("Portfolio", (_summary(answer), *drawn)), Section("Weights", _weights(answer)))


def _summary_of_frontier(answer: Mapping[str, Any]) -> tuple[Block, ...]:
    points = answer["points"]
    figures = (
        Figure("Assets", number(len(answer["assets"]))),
        Figure("Corners", number(len(answer["corners"]))),
        Figure("Least risk", number(points[0]["risk"])),
        Figure("Largest return", number(points[-1]["expected_return"])),
        Figure("KKT residual", number(answer["kkt_residual"])),
    )
    return (KeyFigures(figures),)


def _corners(answer: Mapping[str, Any]) -> Table:
    shown = answer["corners"] or answer["points"]
    names = [asset["name"] for asset in answer["assets"]]
    columns = [Column(name, numeric=True) for name in ("expected return", "risk", "Sharpe ratio")]
    rows = [
        (
            number(each["expected_return"]),
            number(each["risk"]),
            number(each["sharpe"]),
            ", ".join(f"{names[i]} {100 * w:.2f} %" for i, w in _largest(each["weights"], 6)),
        )
        for each in shown[:MOST_ROWS]
    ]
    return Table("Portfolios on the frontier", [*columns, Column("largest weights")], rows, len(shown))


def _summary(answer: Mapping[str, Any]) -> KeyFigures:
    figures = [
        Figure("Expected return", number(answer["expected_return"])),
        Figure("Risk", number(answer["risk"])),
        Figure("Sharpe ratio", number(answer["sharpe"])),
        Figure("KKT residual", number(answer["kkt_residual"])),
    ]
    if "cvar" in answer:
        figures.append(Figure("CVaR", number(answer["cvar"]), f"at {100 * answer['level']:g} %"))
    return KeyFigures(figures)


def _weights(answer: Mapping[str, Any]) -> tuple[Block, ...]:
    names = [asset["name"] for asset in answer["assets"]]
    largest = _largest(answer["weights"], MOST_ROWS)
    contributions = answer["risk_contributions"]
    columns = [Column("asset"), *(Column(name, numeric=True) for name in ("weight", "contribution to risk"))]
    rows = [(names[i], f"{100 * w:.4f} %", number(contributions[i])) for i, w in largest]
    blocks: list[Block] = [Table("Weights, the largest first", columns, rows, len(largest))]
    if all(w >= 0 for w in answer["weights"]):
        bars = [(names[i], 100 * w) for i, w in largest[:MOST_BARS]]
        said = f"The largest is {names[largest[0][0]]} with {100 * largest[0][1]:.2f} %."
        blocks.append(Charts([Chart(bar_chart("Weights", said, bars, x_label="%"), f"Weights. {said}")]))
    priced = sorted(answer["binding"], key=lambda each: -each["price"])
    if priced:
        columns = [Column("constraint"), Column("price", numeric=True)]
        prices = [(each["constraint"], number(each["price"])) for each in priced[:MOST_ROWS]]
        caption = "Constraints that bind, with what a unit more of each would improve the objective by"
        blocks.append(Table(caption, columns, prices, len(priced)))
    return tuple(blocks)


def _largest(weights: Sequence[float], most: int) -> list[tuple[int, float]]:
    held = [(i, w) for i, w in enumerate(weights) if abs(w) > SHOWN]
    return sorted(held, key=lambda each: -abs(each[1]))[:most]
