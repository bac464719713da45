"""Random valid requests of every Kalman route that computes: all kinds, starts, tasks and lengths, named by a seed."""

from typing import Any, Final, NamedTuple

import numpy as np
from tests.engines.statespace.oracles.cases import Rng, covering, some_start, with_gaps
from tests.engines.statespace.oracles.draw_models import DRAWS
from tests.engines.statespace.oracles.engine import EVERYTHING

KINDS: Final = ("structural", "arima", "explained", "velocity", "acceleration", "instants", "local", "state_space")
SHARES: Final = (0.25, 0.2, 0.1, 0.08, 0.08, 0.04, 0.1, 0.15)
SMOOTHED: Final = ["smoothed_state", "smoothed_state_cov"]


class Request(NamedTuple):
    """A body for `/kalman/<task>`."""

    task: str
    body: dict[str, Any]


def request_of(seed: int) -> Request:
    """The request of that seed."""
    rng = np.random.default_rng([77, seed])
    task = str(rng.choice(["filter", "smooth", "forecast", "simulate"], p=[0.4, 0.3, 0.2, 0.1]))
    steps = int(rng.integers(1, 20)) if task in {"forecast", "simulate"} else 0
    count = int(rng.choice([1, 1, 2, 5]))
    lengths = [int(rng.choice([rng.integers(1, 8), rng.integers(8, 80), rng.integers(80, 200)])) for _ in range(count)]
    model, observed = _model(rng, max(lengths) + steps)
    body: dict[str, Any] = {"model": model, "observations": [_series(rng, length, observed) for length in lengths]}
    match task:
        case "filter":
            body |= {"outputs": EVERYTHING, "loglike_convention": str(rng.choice(["full", "kfas"]))}
        case "smooth":
            body |= {"outputs": SMOOTHED + EVERYTHING}
        case "forecast":
            body |= {"steps": steps, "level": round(float(rng.uniform(0.5, 0.99)), 2)}
        case "simulate":
            body |= {"draws": int(rng.integers(1, 6)), "seed": seed, "steps": steps}
    if task in {"filter", "smooth", "forecast"} and rng.random() < 0.1:
        body["algorithm"] = str(rng.choice(["per_series", "square_root"]))
    return Request(task, body)


def _model(rng: Rng, periods: int) -> tuple[dict[str, Any], int]:
    """A model that covers so many periods, and how many things it observes."""
    kind = str(rng.choice(KINDS, p=SHARES))
    if kind == "state_space":
        model, states, observed, stationary = _state_space(rng)
    else:
        model, states, stationary = DRAWS[kind](rng)
        model, observed = covering(rng, model, periods, 0), 1
    start = some_start(rng, states, stationary=stationary)
    return (model if start is None else {**model, "initial": start}), observed


def _state_space(rng: Rng) -> tuple[dict[str, Any], int, int, bool]:
    n, m = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    transition = rng.normal(size=(n, n))
    largest = float(np.abs(np.linalg.eigvals(transition)).max())
    stationary = bool(rng.random() < 0.5)
    transition *= float(rng.uniform(0.1, 0.95) if stationary else rng.uniform(0.9, 1.02)) / largest
    model = {
        "kind": "state_space",
        "transition": transition.round(6).tolist(),
        "design": rng.normal(size=(m, n)).round(3).tolist(),
        "obs_cov": _cov(rng, m),
        "state_cov": _cov(rng, n),
    }
    if rng.random() < 0.3:
        model["obs_intercept"] = rng.normal(0, 10, m).round(2).tolist()
        model["state_intercept"] = rng.normal(size=n).round(2).tolist()
    return model, n, m, stationary


def _cov(rng: Rng, n: int) -> list[list[float]]:
    root = rng.normal(size=(n, n)) * 10.0 ** rng.uniform(-3, 3)
    cov = root @ root.T
    whole: list[list[float]] = ((cov + cov.T) / 2).tolist()
    return whole


def _series(rng: Rng, length: int, observed: int) -> list[Any]:
    size = 10.0 ** rng.uniform(-2, 4)
    walk = np.cumsum(rng.normal(size=(length, observed)), axis=0) * rng.choice([0, 1]) + rng.normal(
        size=(length, observed)
    )
    columns = [with_gaps(rng, column) for column in (size * walk).round(6).T]
    rows = [[None if np.isnan(y) else float(y) for y in row] for row in np.array(columns).T]
    return rows if observed > 1 else [row[0] for row in rows]
