"""Draws the options of a job: payoff, value and Greeks of the first, and the smile of implied volatilities."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from luna_serving.capabilities.blackscholes.curves import Option, curves
from luna_serving.capabilities.blackscholes.job import PricingJob
from luna_serving.jobs.report.charts import Series, line_chart
from luna_serving.jobs.report.frame import Svg
from luna_serving.jobs.report.numbers import number
from luna_serving.jobs.report.page import Chart
from luna_store.jobs.ending import Artifact

SVG: Final = "image/svg+xml"
IMPLIED: Final = "implied_volatility"
# A smile has at least so many strikes.
_LEAST_STRIKES: Final = 3


def charts(job: PricingJob, results: Mapping[str, np.ndarray]) -> dict[str, Chart]:
    """The charts that a job has something for, by the name of their file."""
    if IMPLIED in results:
        return _smile(job, results[IMPLIED])
    return {**_of_first(job), **_by_strike(job, results)}


def artifacts(job: PricingJob, results: Mapping[str, np.ndarray]) -> tuple[Artifact, ...]:
    """The charts as files."""
    drawn = charts(job, results)
    return tuple(Artifact.of(f"{name}.svg", SVG, chart.svg.encode()) for name, chart in drawn.items())


def _of_first(job: PricingJob) -> dict[str, Chart]:
    option = _first(job)
    found = None if job.style != "european" else curves(option)
    if found is None:
        return {}
    kind, what = "call" if option.sign > 0 else "put", "forward" if job.forward else "spot"
    now = f"The value is {number(found.value[len(found.value) // 2])} in the middle of the range"
    payoff = line_chart(
        f"Payoff and value of the first option, a {kind}",
        f"{now}, above its payoff at expiry near the strike {number(option.strike)}.",
        found.spots,
        [Series("value now", found.value), Series("payoff at expiry", found.payoff)],
        x_label=what,
        y_label="value",
    )
    drawn: dict[str, Chart] = {"payoff": Chart(payoff, f"Payoff and value of the first option, a {kind}.")}
    for name, values in (("delta", found.delta), ("gamma", found.gamma), ("vega", found.vega)):
        most = max(range(len(values)), key=lambda i: abs(values[i]))
        said = f"The largest in size is {number(values[most])}, at a {what} of {number(found.spots[most])}."
        title = f"{name.capitalize()} of the first option"
        svg = line_chart(title, said, found.spots, [Series(name, values)], x_label=what, y_label=name)
        drawn[name] = Chart(svg, f"{title}. {said}")
    return drawn


def _smile(job: PricingJob, volatilities: np.ndarray) -> dict[str, Chart]:
    strikes, at = _strikes(job, volatilities)
    if len(strikes) < _LEAST_STRIKES:
        return {}
    low = int(np.argmin(at))
    said = f"The lowest is {number(float(at[low]))}, at the strike {number(float(strikes[low]))}."
    lines = [Series(IMPLIED.replace("_", " "), at.tolist())]
    svg = _line("Smile", said, strikes, lines, "strike", "implied volatility")
    return {"smile": Chart(svg, f"Implied volatility by strike, for the expiry of the first option. {said}")}


def _by_strike(job: PricingJob, results: Mapping[str, np.ndarray]) -> dict[str, Chart]:
    prices = results.get("price")
    if prices is None:
        return {}
    strikes, at = _strikes(job, prices)
    if len(strikes) < _LEAST_STRIKES:
        return {}
    said = f"From {number(float(at[0]))} at the lowest strike to {number(float(at[-1]))} at the highest."
    svg = _line("Prices by strike", said, strikes, [Series("price", at.tolist())], "strike", "price")
    return {"prices": Chart(svg, f"Prices by strike, for the type and expiry of the first option. {said}")}


def _line(title: str, said: str, x: np.ndarray, lines: list[Series], x_label: str, y_label: str) -> Svg:
    return line_chart(title, said, x.tolist(), lines, x_label=x_label, y_label=y_label)


def _strikes(job: PricingJob, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strikes and values of the rows that differ from the first in the strike alone, by increasing strike."""
    same = np.isfinite(values)
    implied = IMPLIED in job.outputs
    for name, column in job.columns.items():
        # Call and put of a strike have one implied volatility.
        if name not in {"strike", "price"} and not (implied and name == "sign") and isinstance(column, np.ndarray):
            same &= column == column[0]
    strikes = np.broadcast_to(np.asarray(job.columns["strike"], float), values.shape)[same]
    unique, first = np.unique(strikes, return_index=True)
    return unique, values[same][first]


def _first(job: PricingJob) -> Option:
    def of(name: str) -> float:
        column: Any = job.columns.get(name, math.nan)
        return float(column[0]) if isinstance(column, np.ndarray) else float(column)

    carry = of("rate") if job.forward else of("dividend_yield")
    return Option(of("sign"), of("underlying"), of("strike"), of("rate"), carry, of("volatility"), of("expiry"))
