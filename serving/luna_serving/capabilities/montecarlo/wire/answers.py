"""The answer of a run as JSON."""

from typing import Any

import orjson

from luna_serving.capabilities.montecarlo.wire.requests import Asked
from luna_serving.engines.finance.montecarlo.api.description import (
    LEVEL,
    SCRAMBLES,
    Estimate,
    Run,
    Sampling,
    reproducible_on,
)


def answer_of(asked: Asked, run: Run, stopped: str) -> bytes:
    """The body of the answer, and the result of the job."""
    document: dict[str, Any] = {**bound(run.value), "paths": run.paths, "stopped": stopped}
    upper = run.upper_bound
    if upper is not None:
        document["upper_bound"] = bound(upper)
    risks = run.risks()
    if risks:
        document["var"] = {f"{level:g}": bound(var) for level, (var, _) in risks.items()}
        document["es"] = {f"{level:g}": bound(es) for level, (_, es) in risks.items()}
    document["convergence"] = [{"paths": n, "value": value, "std_error": error} for n, value, error in run.trace]
    if asked.origin is not None:
        document["origin"] = asked.origin
    document["plan"] = plan_of(asked)
    return orjson.dumps(document)


def bound(estimate: Estimate) -> dict[str, Any]:
    """An estimate with its error and interval."""
    lower, upper = estimate.interval()
    return {
        "value": estimate.value,
        "std_error": estimate.std_error,
        "interval": {"level": LEVEL, "lower": lower, "upper": upper},
    }


def plan_of(asked: Asked) -> dict[str, Any]:
    """How it is computed; the same before and after."""
    drawing = asked.problem.drawing
    net = drawing.sampling is Sampling.SOBOL
    return {
        "model": asked.names[0],
        "payoff": asked.names[1],
        "sampling": drawing.sampling.value,
        "scrambles": SCRAMBLES if net else None,
        "antithetic": drawing.antithetic,
        "control_variates": list(asked.problem.layout.controls),
        "steps": asked.steps,
        "block_paths": drawing.paths,
        "blocks": asked.blocks,
        "seed": asked.problem.seed,
        "reproducible_on": reproducible_on(),
    }
