"""What a case is: a request of the wire, named by its kind and its seed, and the random parts that kinds share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from .matrices import floats
from .system import System
from .wire_models import built, system_of

Rng = np.random.Generator
Words = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One model and one series; every task and every output is asked for."""

    kind: str
    seed: int
    model: Words
    series: list[float | None]
    steps: int
    """Periods to forecast."""
    copies: int = 1
    """Series of the call to filter: with enough of one pattern of gaps the engine shares their gains."""

    @classmethod
    def of_words(cls, words: Words) -> Self:
        """A case as JSON keeps it."""
        return cls("kept", 0, words["model"], words["series"], words["steps"], words.get("copies", 1))

    def words(self) -> Words:
        """The case for JSON."""
        whole: Words = {"model": self.model, "series": self.series, "steps": self.steps}
        return whole | ({"copies": self.copies} if self.copies > 1 else {})

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.seed}"

    @property
    def values(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([np.nan if y is None else y for y in self.series], dtype=np.float64)


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """Between 10^low and 10^high, to three digits: what a person would write."""
    return float(f"{10 ** rng.uniform(low, high):.3g}")


def some_variance(rng: Rng, low: float = -4, high: float = 4, zero: float = 0.1) -> float:
    return 0.0 if rng.random() < zero else log_uniform(rng, low, high)


def length_of(rng: Rng, states: int) -> int:
    """Of the series: usually enough to leave the diffuse phase, sometimes not."""
    if rng.random() < 0.15:
        return int(rng.integers(1, states + 3))
    return int(rng.integers(states + 2, states + 2 + int(rng.choice([8, 25, 45]))))


def with_gaps(rng: Rng, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Missing here and there, at the beginning, or for long."""
    y, length = y.copy(), len(y)
    kind = rng.choice(["none", "some", "first", "long", "many"], p=[0.4, 0.25, 0.1, 0.15, 0.1])
    if kind == "some":
        y[rng.random(length) < 0.15] = np.nan
    elif kind == "first":
        y[: int(rng.integers(1, max(length // 3, 2)))] = np.nan
    elif kind == "long":
        first = int(rng.integers(0, length))
        y[first : first + int(rng.integers(2, max(length // 2, 3)))] = np.nan
    elif kind == "many":
        y[rng.random(length) < 0.6] = np.nan
    if np.isnan(y).all():
        y[-1] = 1.0
    return y


def mixed_start(rng: Rng, model: Words) -> Words:
    """Blocks of the model's own start, some of them known or vague instead."""
    blocks = []
    for places, words in built(model)[1]:
        kind = str(rng.choice(["own", "known", "approximate_diffuse", "diffuse"], p=[0.4, 0.3, 0.15, 0.15]))
        start: Words = dict(words)
        if kind == "known":
            root = rng.normal(size=(len(places), len(places))) * log_uniform(rng, -2, 2)
            cov = root @ root.T
            start = {
                "kind": kind,
                "mean": rng.normal(size=len(places)).round(2).tolist(),
                "cov": ((cov + cov.T) / 2).tolist(),
            }
        elif kind != "own":
            start = {"kind": kind} | ({"variance": 1e6} if kind == "approximate_diffuse" else {})
        blocks.append({**start, "states": list(places)})
    order = rng.permutation(len(blocks))
    return {"kind": "blocks", "blocks": [blocks[i] for i in order]}


def some_start(rng: Rng, names: int, *, stationary: bool) -> Words | None:
    """None is the kind's own start."""
    kinds = ["default", "known", "approximate_diffuse", "diffuse", *(["stationary"] if stationary else [])]
    weights = np.array([0.62, 0.16, 0.1, 0.06, *([0.06] if stationary else [])])
    kind = str(rng.choice(kinds, p=weights / weights.sum()))
    match kind:
        case "default":
            return None
        case "approximate_diffuse":
            return {"kind": kind, "variance": float(10.0 ** rng.integers(2, 13))}
        case "known":
            root = rng.normal(size=(names, names)) / np.sqrt(names) * np.sqrt(log_uniform(rng, -6, 8))
            cov = np.zeros_like(root) if rng.random() < 0.1 else root @ root.T
            cov = (cov + cov.T) / 2
            mean = [round(float(x), 2) for x in rng.normal(0, 5, names)]
            timing = str(rng.choice(["predicted", "filtered"]))
            return {"kind": kind, "mean": mean, "cov": cov.tolist(), "timing": timing}
        case _:
            return {"kind": kind}


def simulated(rng: Rng, model: Words, length: int) -> np.ndarray[Any, Any]:
    """A path of the model, its unknown states started within a few deviations of its shocks; or of another scale."""
    system = system_of(model)
    path = _path(rng, system, length)
    kind = rng.choice(["model", "scaled", "noise", "round"], p=[0.6, 0.15, 0.1, 0.15])
    if kind == "scaled":
        path = path * 10.0 ** rng.uniform(-3, 3)
    elif kind == "noise":
        path = rng.normal(size=length) * 10.0 ** rng.uniform(-2, 3)
    digits = 3 if kind == "round" else 9
    return np.array([float(f"{y:.{digits}g}") for y in path])


def _path(rng: Rng, system: System, length: int) -> np.ndarray[Any, Any]:
    n = system.states
    shocks = [_root(floats(system.at(system.noise, t))) for t in range(length)]
    size = np.sqrt(max([float(system.obs_var), *(float((s**2).sum(axis=1).max()) for s in shocks[:1])]))
    assert system.mean is not None
    assert system.cov is not None
    assert system.diffuse is not None
    known = _root(floats(system.cov))
    x = floats(system.mean)[:, 0] + known @ rng.normal(size=n)
    x = x + floats(system.diffuse) @ rng.normal(0, 5 * (size or 1.0), system.diffuse.ncols())
    path = []
    for t in range(length):
        noise = np.sqrt(float(system.obs_var)) * rng.normal()
        path.append(float(floats(system.at(system.design, t))[0] @ x + noise))
        x = (
            floats(system.at(system.transition, t)) @ x
            + floats(system.intercept)[:, 0]
            + shocks[t] @ rng.normal(size=n)
        )
    return np.array(path)


def _root(cov: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values, vectors = np.linalg.eigh(cov)
    root: np.ndarray[Any, Any] = vectors * np.sqrt(np.maximum(values, 0))
    return root


Draw = Callable[[Rng], tuple[Words, int, bool]]
"""A model without its start, its number of states, and whether all of it may start stationary."""
PLANS: Final[Mapping[int, int]] = {4: 33, 16: 9, 64: 2}
"""Series from which the engine shares gains, by number of states."""


def drawn(kind: str, seed: int, draw: Draw, number: int, *, mixed: bool = False) -> Case:
    """The case of that seed; `mixed`: its blocks of states start in different ways."""
    rng = np.random.default_rng([number, seed])
    model, states, stationary = draw(rng)
    steps = int(rng.integers(1, 7))
    length = length_of(rng, states)
    model = covering(rng, model, length, steps)
    start = mixed_start(rng, model) if mixed else some_start(rng, states, stationary=stationary)
    if start is not None:
        model["initial"] = start
    y = with_gaps(rng, simulated(rng, model, length))
    copies = next(c for n, c in PLANS.items() if n >= states) if rng.random() < 0.2 else 1
    return Case(kind, seed, model, [None if np.isnan(v) else float(v) for v in y], steps, copies)


def covering(rng: Rng, model: Words, length: int, steps: int) -> Words:
    """The model with what varies in time drawn for so many periods."""
    if callable(model.get("regression")):
        model = {**model, "regression": model["regression"](rng, length + steps)}
    if callable(model.get("dt")):
        model = {**model, "dt": model["dt"](rng, length + steps)}
    return model
