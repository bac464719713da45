"""What charts show beside the estimates: quantiles of the paths over time, and what they pay."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from luna_serving.engines.finance.montecarlo.blocks import Pilot, moves, simulate
from luna_serving.engines.finance.montecarlo.problems import Problem
from luna_serving.engines.finance.montecarlo.sampling.counters import Use, stream
from luna_serving.engines.finance.montecarlo.sampling.draws import Pseudo

PATHS: Final = 4096
# Dates and assets of a fan chart.
DATES: Final = 60
ASSETS: Final = 4
QUANTILES: Final = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
BARS: Final = 40


def pictures(problem: Problem, known: Pilot) -> dict[str, Any]:
    """The fan of each of the first assets, and the histogram of what paths pay, of paths that no estimate uses.

    Returns:
        `fan`: `times`, and for each asset a list by quantile of lists over time; `histogram`: `bounds` and `counts`.
    """
    values = simulate(problem, _draws(problem), known).values["value"]
    counts, bounds = np.histogram(values, BARS)
    return {"fan": _fan(problem), "histogram": {"bounds": bounds.tolist(), "counts": counts.tolist()}}


def _fan(problem: Problem) -> dict[str, Any]:
    if len(problem.times) < DATES and not problem.model.periodic:
        # Few steps would draw a corner where paths are smooth.
        problem = replace(problem, steps=DATES)
    assets = min(ASSETS, problem.model.assets)
    start = np.exp(problem.model.begin(1).logs[:assets, 0])
    times, rows = [0.0], [[[float(s)] * len(QUANTILES) for s in start]]
    every = max(1, -(-len(problem.times) // DATES))
    for k, (move, _) in enumerate(moves(problem, _draws(problem))):
        if (k + 1) % every == 0 or k == len(problem.times) - 1:
            times.append(problem.times[k])
            rows.append([np.exp(np.quantile(move.end[i], QUANTILES)).tolist() for i in range(assets)])
    by_asset = np.array(rows).transpose(1, 2, 0)
    return {"times": times, "quantiles": list(QUANTILES), "assets": by_asset.tolist()}


def _draws(problem: Problem) -> Pseudo:
    generator = stream(problem.seed, Use.PICTURE, 0)
    return Pseudo(PATHS, len(problem.times), problem.needs, generator, antithetic=False)
