"""What the report of a job shows, and the charts that it leaves as artifacts."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from luna_serving.capabilities.montecarlo.wire.requests import parse
from luna_serving.engines.finance.montecarlo.api.compute import pictures, pilot
from luna_serving.jobs.report.charts import Band, Mark, Series, counted, line_chart
from luna_serving.jobs.report.numbers import number
from luna_serving.jobs.report.page import Chart, Charts, Column, Figure, KeyFigures, Section, Table
from luna_store.jobs.ending import Artifact

SVG: Final = "image/svg+xml"
# Pairs of quantiles, from the widest band to the narrowest; the middle one is the median.
BANDS: Final = (("middle 95 %", 0, 6), ("middle 80 %", 1, 5), ("middle 50 %", 2, 4))
MEDIAN: Final = 3


def sections(parameters: bytes, result: bytes) -> Sequence[Section]:
    """The sections of `report.html`."""
    document = orjson.loads(result)
    plan = document["plan"]
    figures = [
        Figure(
            "Value",
            _meant(document["value"], document["std_error"]),
            f"± {number(document['std_error'], 3)}, one standard error",
        ),
        Figure("Paths", number(document["paths"]), f"{plan['steps']} steps each, {plan['sampling']}"),
        Figure("95 % interval", _interval(document)),
    ]
    if "upper_bound" in document:
        upper = document["upper_bound"]
        figures.append(
            Figure("Upper bound", _meant(upper["value"], upper["std_error"]), f"± {number(upper['std_error'], 3)}")
        )
    found: list[Section] = [
        Section(
            "Estimate",
            (
                KeyFigures(figures),
                Charts([chart for _, chart in _charts(parameters, result)]),
            ),
        )
    ]
    if "var" in document:
        rows = [
            (f"{100 * float(level):g} %", *(_written(document[name][level]) for name in ("var", "es")))
            for level in document["var"]
        ]
        columns = [Column("level"), Column("value at risk", numeric=True), Column("expected shortfall", numeric=True)]
        found.append(Section("Risk", (Table("Losses as a fraction, with standard errors after ±", columns, rows),)))
    return tuple(found)


def artifacts_of(parameters: bytes, result: bytes) -> tuple[Artifact, ...]:
    """The charts as files."""
    return tuple(Artifact.of(f"{name}.svg", SVG, chart.svg.encode()) for name, chart in _charts(parameters, result))


def _written(estimate: dict[str, Any]) -> str:
    return f"{number(estimate['value'], 6)} ± {number(estimate['std_error'], 2)}"


def _interval(document: dict[str, Any]) -> str:
    error, bounds = document["std_error"], document["interval"]
    return f"{_meant(bounds['lower'], error)} to {_meant(bounds['upper'], error)}"


def _meant(value: float, error: float) -> str:
    """A number to the second digit of its error: further digits say nothing."""
    if not value or not error:
        return number(value, 8)
    digits = math.floor(math.log10(abs(value))) - math.floor(math.log10(error)) + 2
    return number(value, min(max(digits, 2), 8))


# The report follows the artifacts at once, with the same charts.
@lru_cache(maxsize=2)
def _charts(parameters: bytes, result: bytes) -> tuple[tuple[str, Chart], ...]:
    document = orjson.loads(result)
    asked = parse(orjson.loads(parameters))
    drawn = pictures(asked.problem, pilot(asked.problem))
    unit = "period" if asked.problem.model.periodic else "years"
    assets = len(drawn["fan"]["assets"])
    charts = [(_named("fan", i, assets), _fan(drawn["fan"], i, unit)) for i in range(assets)]
    charts.append(("histogram", _histogram(drawn["histogram"], document)))
    charts.append(("convergence", _convergence(document["convergence"])))
    return tuple(charts)


def _named(name: str, i: int, count: int) -> str:
    return name if count == 1 else f"{name}-{i}"


def _fan(fan: dict[str, Any], i: int, unit: str) -> Chart:
    rows = fan["assets"][i]
    bands = [Band(name, rows[low], rows[high]) for name, low, high in BANDS]
    last = [row[-1] for row in rows]
    said = (
        f"The median ends at {number(last[MEDIAN], 4)}; 95 % of the paths end between {number(last[0], 4)} and "
        f"{number(last[-1], 4)}."
    )
    title = "Paths" if len(fan["assets"]) == 1 else f"Paths of asset {i}"
    svg = line_chart(
        title, said, fan["times"], [Series("median", rows[MEDIAN])], bands=bands, x_label=unit, y_label="price"
    )
    return Chart(svg, f"{title}. {said}")


def _histogram(histogram: dict[str, Any], document: dict[str, Any]) -> Chart:
    if "var" in document:
        marks = [
            Mark(f"{name} {100 * float(level):g} %", -document[key][level]["value"])
            for key, name in (("var", "VaR"), ("es", "ES"))
            for level in document["var"]
        ]
        title, x_label = "Profit and loss", "profit"
        said = "; ".join(f"{mark.name} at a loss of {number(-mark.at, 4)}" for mark in marks) + "."
    else:
        marks = [Mark("value", document["value"])]
        title, x_label, said = "What paths pay", "discounted", f"Their mean is {number(document['value'], 6)}."
    svg = counted(title, said, histogram["bounds"], histogram["counts"], marks=marks, x_label=x_label, y_label="paths")
    return Chart(svg, f"{title}. {said}")


def _convergence(rows: list[dict[str, Any]]) -> Chart:
    x = [math.log2(row["paths"]) for row in rows]
    values = [row["value"] for row in rows]
    low = [row["value"] - 2 * row["std_error"] for row in rows]
    high = [row["value"] + 2 * row["std_error"] for row in rows]
    last = rows[-1]
    said = f"After {last['paths']:,} paths {number(last['value'], 7)} ± {number(last['std_error'], 2)}."
    band = Band("± two standard errors", low, high)
    svg = line_chart(
        "Convergence", said, x, [Series("estimate", values)], bands=[band], x_label="log2 of the paths", y_label="value"
    )
    return Chart(svg, f"The estimate as paths were added, with its error. {said}")
