"""A wrong case made small.

`python -m tests.engines.statespace.oracles.shrink structural 7` prints it as JSON for `found.json`.

Parts are dropped, the series shortened and numbers rounded for as long as the engine is still wrong about the case.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from math import floor, isfinite, log10
from typing import Any

from .cases import Case, Words
from .draw_models import DRAWS, case_of
from .judge import judged

PLAIN = 1e-5
OPTIONAL = ("trend", "level", "seasonal", "cycle", "ar", "regression", "initial", "intercept")
# Coefficients and the place of their number in an ARIMA's orders.
LAGS = {
    "ar": ("order", 0),
    "ma": ("order", 2),
    "seasonal_ar": ("seasonal_order", 0),
    "seasonal_ma": ("seasonal_order", 2),
}


def shrunk(case: Case, seconds: float) -> Case:
    """The smallest case found that the engine is wrong about in one of the same tasks."""
    wrong = judged(case).wrong
    tasks = {each.output.partition("/")[0] for each in wrong}
    # A plain error must not shrink to one that is hardly beyond the bound.
    least = min(max((each.error for each in wrong), default=0.0), PLAIN)
    until = time.monotonic() + seconds
    progress = True
    while progress and time.monotonic() < until:
        progress = False
        for smaller in _smaller(case):
            if time.monotonic() < until and _wrong(smaller, tasks, least):
                case, progress = smaller, True
                break
    return case


def _wrong(case: Case, tasks: set[str], least: float) -> bool:
    try:
        wrong = judged(case, tasks).wrong
    except (ValueError, ZeroDivisionError, IndexError):
        # The smaller words are no model.
        return False
    return any(each.error >= least and not each.output.endswith("/refused") for each in wrong)


def _smaller(case: Case) -> Iterator[Case]:
    """From the boldest change to the mildest."""
    length = len(case.series)
    if case.copies > 1:
        yield replace(case, copies=1)
    for cut in (length // 2, length // 4, length // 8, 1):
        if 0 < cut < length:
            yield replace(case, series=case.series[:-cut])
            if not _by_period(case.model):
                yield replace(case, series=case.series[cut:])
    yield from (replace(case, model=model) for model in _simpler(case.model))
    if None in case.series:
        yield replace(case, series=[1.0 if y is None else y for y in case.series])
    if case.steps > 1:
        yield replace(case, steps=1)
    for digits in (1, 2, 3):
        rounded = [None if y is None else _rounded(y, digits) for y in case.series]
        if rounded != case.series:
            yield replace(case, series=rounded)
        model = _map(case.model, digits)
        if model != case.model:
            yield replace(case, model=model)


def _by_period(model: Words) -> bool:
    return "regression" in model or isinstance(model.get("dt"), list)


def _simpler(model: Words) -> Iterator[Words]:
    for name in OPTIONAL:
        if name in model and not (name == "ar" and model["kind"] == "arima"):
            yield {key: value for key, value in model.items() if key != name}
    waves = model.get("freq_seasonal", [])
    for i, each in enumerate(waves):
        yield {**model, "freq_seasonal": waves[:i] + waves[i + 1 :]}
        if each["harmonics"] > 1:
            yield {**model, "freq_seasonal": [*waves[:i], {**each, "harmonics": 1}, *waves[i + 1 :]]}
    if "regression" in model:
        rows = model["regression"]["regressors"]
        for j in range(len(rows[0])) if len(rows[0]) > 1 else ():
            left = {name: value for name, value in model["regression"].items() if name != "var"}
            yield {**model, "regression": {**left, "regressors": [row[:j] + row[j + 1 :] for row in rows]}}
    if model["kind"] == "arima":
        yield from _lower_orders(model)


def _lower_orders(model: Words) -> Iterator[Words]:
    for name, (orders, place) in LAGS.items():
        if model.get(name):
            lower = list(model[orders])
            lower[place] -= 1
            yield {**model, name: model[name][:-1], orders: lower}
    for orders in ("order", "seasonal_order"):
        if orders in model and model[orders][1]:
            lower = list(model[orders])
            lower[1] -= 1
            yield {**model, orders: lower}


def _map(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {name: _map(each, digits) for name, each in value.items()}
    if isinstance(value, list):
        return [_map(each, digits) for each in value]
    return _rounded(value, digits) if isinstance(value, float) else value


def _rounded(value: float, digits: int) -> float:
    if value == 0 or not isfinite(value):
        return value
    return float(round(value, digits - 1 - floor(log10(abs(value)))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=DRAWS)
    parser.add_argument("seed", type=int, nargs="+")
    parser.add_argument("--seconds", type=float, default=60, help="for each case")
    options = parser.parse_args()
    for seed in options.seed:
        case = shrunk(case_of(options.kind, seed), options.seconds)
        wrong = judged(case).wrong
        worst = max(wrong, key=lambda each: each.error, default=None)
        print(json.dumps({"name": f"{options.kind} {seed}", "was": str(worst), **case.words()}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
