"""What the reports of this capability's jobs show: sections of tables and charts, from parameters and results."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson

from luna_serving.jobs.report.charts import Band, Series, bar_chart, histogram, line_chart
from luna_serving.jobs.report.numbers import number
from luna_serving.jobs.report.page import (
    MOST_ROWS,
    Chart,
    Charts,
    Column,
    Figure,
    KeyFigures,
    Section,
    Table,
    Text,
)

# Parameters that get a column, and elements or states that get a chart.
MOST_PARAMETERS: Final = 8
MOST_CHARTS: Final = 4
# Of the drawn paths, in a fan chart: the middle 95, 80 and 50 %.
BANDS: Final = (("middle 95 %", 2.5, 97.5), ("middle 80 %", 10.0, 90.0), ("middle 50 %", 25.0, 75.0))
# Below this many draws quantiles say nothing, and the paths themselves are drawn.
LEAST_FOR_BANDS: Final = 20


def fit_sections(_: bytes, result: bytes) -> Sequence[Section]:
    """Of `kalman/fit`."""
    fits: list[dict[str, Any]] = orjson.loads(result)["results"]
    if not fits:
        return ()
    return (_summary(fits), _estimates(fits))


def _summary(fits: list[dict[str, Any]]) -> Section:
    converged = sum(fit["converged"] for fit in fits)
    edge = sum(bool(fit["at_bound"]) for fit in fits)
    several = sum(fit["agreed"] < fit["starts"] for fit in fits)
    figures = KeyFigures(
        (
            Figure("Series", number(len(fits))),
            Figure("Converged", number(converged), f"{100 * converged / len(fits):.1f} % of all"),
            Figure("At a bound", number(edge), "an estimate on the edge of what it may be"),
            Figure("Searches disagree", number(several), "a sign of several maxima"),
        )
    )
    reasons = Counter(fit["why_stopped"] for fit in fits).most_common()
    logs = [fit["loglike"] for fit in fits]
    iterations = [fit["iterations"] for fit in fits]
    said = f"Most often: {reasons[0][0]}, {reasons[0][1]} of {len(fits)} series."
    stopped = bar_chart("Why the searches stopped", said, reasons)
    charts = [Chart(stopped, "Why the searches stopped, by number of series.")]
    if len(fits) > 1:
        charts += [
            _spread("Log-likelihoods", logs, "log-likelihood", "Log-likelihoods at the estimates."),
            _spread("Iterations", iterations, "iterations", "Iterations of the search that found the estimates."),
        ]
    return Section("Summary", (figures, Charts(charts)))


def _spread(title: str, values: Sequence[float | None], x_label: str, caption: str) -> Chart:
    known = [v for v in values if v is not None and math.isfinite(v)]
    said = "There are no values."
    if known:
        low, middle, high = (number(float(v)) for v in np.quantile(known, (0.0, 0.5, 1.0)))
        said = f"From {low} to {high}, with the median {middle}, over {len(known)} series."
    return Chart(histogram(title, said, values, x_label=x_label, y_label="series"), f"{caption} {said}")


def _estimates(fits: list[dict[str, Any]]) -> Section:
    names = list(dict.fromkeys(name for fit in fits[:MOST_ROWS] for name in fit["estimates"] or {}))
    shown = names[:MOST_PARAMETERS]
    columns = [Column("series", numeric=True), *(Column(name, numeric=True) for name in shown)]
    columns += [Column("log-likelihood", numeric=True), Column("iterations", numeric=True), Column("converged")]
    rows = [
        (
            number(i),
            *(_with_error(fit, name) for name in shown),
            number(fit["loglike"], 6),
            number(fit["iterations"]),
            "yes" if fit["converged"] else f"no: {fit['why_stopped']}",
        )
        for i, fit in enumerate(fits[:MOST_ROWS])
    ]
    caption = "Estimates, with standard errors after ±. Series are counted from 0, as in the request."
    blocks: list[Any] = [Table(caption, columns, rows, len(fits))]
    if len(names) > len(shown):
        blocks.insert(0, Text(f"The first {len(shown)} of {len(names)} parameters are shown; the result has all."))
    if len(fits) > 1:
        charts = [
            _spread(name, [(fit["estimates"] or {}).get(name) for fit in fits], name, f"Estimates of {name}.")
            for name in shown[:MOST_CHARTS]
        ]
        blocks.append(Charts(charts))
    return Section("Estimates", blocks)


def _with_error(fit: dict[str, Any], name: str) -> str:
    written = number((fit["estimates"] or {}).get(name))
    error = (fit["standard_errors"] or {}).get(name)
    return written if error is None else f"{written} ± {number(error, 2)}"


def simulate_sections(parameters: bytes, result: bytes) -> Sequence[Section]:
    """Of `kalman/simulate`."""
    answers: list[dict[str, Any]] = orjson.loads(result)["results"]
    given: list[Any] = orjson.loads(parameters).get("observations") or []
    return tuple(_paths(i, answer, given=i < len(given)) for i, answer in enumerate(answers[:MOST_CHARTS]))


def _paths(i: int, answer: dict[str, Any], *, given: bool) -> Section:
    name = "observations" if answer.get("observations") is not None else "states"
    drawn = np.asarray(answer[name], dtype=float)
    if drawn.ndim == 2:
        drawn = drawn[..., None]
    draws, periods, elements = drawn.shape
    figures = KeyFigures(
        (
            Figure("Draws", number(draws)),
            Figure("Periods", number(periods)),
            Figure("Elements", number(elements), f"of the {name}"),
        )
    )
    charts = [_fan(drawn[..., e], f"{name[:-1]} {e}") for e in range(min(elements, MOST_CHARTS))]
    last = drawn[:, -1, :]
    rows = [
        (number(e), *(number(float(v)) for v in (last[:, e].mean(), *np.quantile(last[:, e], (0.05, 0.5, 0.95)))))
        for e in range(min(elements, MOST_ROWS))
    ]
    columns = [Column(c, numeric=True) for c in ("element", "mean", "5 %", "median", "95 %")]
    table = Table(f"The {name} in the last period, over all draws", columns, rows, elements)
    title = f"Series {i}: paths given the observations" if given else "Drawn paths"
    return Section(title, (figures, Charts(charts), table))


def _fan(paths: np.ndarray, what: str) -> Chart:
    draws, periods = paths.shape
    x = [float(t) for t in range(periods)]
    median = np.median(paths, axis=0)
    said = f"The median goes from {number(float(median[0]))} to {number(float(median[-1]))} over {periods} periods."
    if draws < LEAST_FOR_BANDS:
        lines = [Series(f"draw {d}", path.tolist()) for d, path in enumerate(paths[:MOST_CHARTS])]
        svg = line_chart(f"Draws of {what}", said, x, lines, x_label="period", y_label=what)
        return Chart(svg, f"The first {len(lines)} of {draws} draws of {what}.")
    bands = []
    for name, low, high in BANDS:
        lower, upper = np.percentile(paths, (low, high), axis=0)
        bands.append(Band(name, lower.tolist(), upper.tolist()))
    line = [Series("median", median.tolist())]
    svg = line_chart(f"Paths of {what}", said, x, line, bands=bands, x_label="period", y_label=what)
    return Chart(svg, f"Paths of {what}: the median of {draws:,} draws and the bands that hold most of them. {said}")
