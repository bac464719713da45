"""What travels from the ingress to a Kalman replica, and the model that it names."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.engines.statespace.api.description import (
    KINDS,
    Algorithm,
    ApproximateDiffuse,
    Blocks,
    Diffuse,
    Initial,
    Known,
    Model,
    Saved,
    Stationary,
)
from luna_serving.wire.json_values import loads

# Numbers a point of a model with m observed elements, n states and r shocks, for each output; zero: one a series.
SIZES: Final[dict[str, Callable[[int, int, int], int]]] = {
    "filtered_state": lambda _m, n, _r: n,
    "filtered_state_cov": lambda _m, n, _r: n * n,
    "filtered_signal": lambda m, *_: m,
    "filtered_signal_var": lambda m, *_: m,
    "predicted_state": lambda _m, n, _r: n,
    "predicted_state_cov": lambda _m, n, _r: n * n,
    "forecasts": lambda m, *_: m,
    "forecast_error": lambda m, *_: m,
    "forecast_error_cov": lambda m, *_: m * m,
    "standardized_forecast_error": lambda m, *_: m,
    "loglike": lambda *_: 0,
    "loglike_obs": lambda *_: 1,
    "nobs_diffuse": lambda *_: 0,
    "state": lambda *_: 0,
    "smoothed_state": lambda _m, n, _r: n,
    "smoothed_state_cov": lambda _m, n, _r: n * n,
    "smoothed_signal": lambda m, *_: m,
    "smoothed_signal_var": lambda m, *_: m,
    "smoothed_obs_disturbance": lambda m, *_: m,
    "smoothed_obs_disturbance_var": lambda m, *_: m,
    "smoothed_state_disturbance": lambda _m, _n, r: r,
    "smoothed_state_disturbance_var": lambda _m, _n, r: r,
    "auxiliary_residuals": lambda m, _n, r: m + r,
    "mean": lambda m, *_: m,
    "variance": lambda m, *_: m,
    "lower": lambda m, *_: m,
    "upper": lambda m, *_: m,
}
FORECASTS: Final = ("mean", "variance", "lower", "upper")
DISTURBANCES: Final = (
    "smoothed_obs_disturbance",
    "smoothed_obs_disturbance_var",
    "smoothed_state_disturbance",
    "smoothed_state_disturbance_var",
    "auxiliary_residuals",
)
SMOOTHED: Final = ("smoothed_state", "smoothed_state_cov", "smoothed_signal", "smoothed_signal_var", *DISTURBANCES)
FILTERED: Final = tuple(name for name in SIZES if name not in {*FORECASTS, *SMOOTHED})

# means: the original route; the others are named after their routes.
Task = Literal["means", "filter", "smooth", "forecast"]
Precision = Literal["float64", "float32"]

# What an ordinary call holds at most: computed in a millisecond or two, and compiled before all else.
LIGHT_STATES: Final = 2
LIGHT_POINTS: Final = 50_000

ENDLESS: Final = {"arima": "/trend", "structural": "/seasonal/duration"}
# A model whose matrices vary in time may take megabytes: such ones are not kept by the hundred.
LARGE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as canonical JSON: hashable, cheap to send and to compare, built once on each side."""

    kind: str
    json: bytes
    """The wire's fields but for the kind, as one object, keys in order."""
    periods: int = 0
    """How many periods a trend in time covers; see `covering`."""

    @classmethod
    def of(cls, kind: str, fields: Mapping[str, Any]) -> Self:
        """The model of these wire fields, `initial` among them or not; they are not checked here."""
        return cls(kind, orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY))

    def fields(self) -> dict[str, Any]:
        """The wire's fields, a copy of one's own."""
        fields: dict[str, Any] = loads(self.json)
        return fields

    def covering(self, periods: int) -> Self:
        """The model for so many periods: the same one unless it has a part that varies with no length of its own."""
        if self.endless is None:
            return self
        # In steps, so that calls of different lengths share a model and the programs compiled for it.
        step = min(1 << (max(periods, 64) - 1).bit_length(), 1024)
        return replace(self, periods=-(-periods // step) * step)

    @property
    def endless(self) -> str | None:
        """A pointer to the field of a part that varies in time and has no length of its own."""
        part = {"arima": b'"trend":[', "structural": b'"duration":'}.get(self.kind)
        return None if part is None or part not in self.json else ENDLESS[self.kind]

    def build(self) -> Model:
        """Build the model.

        Raises:
            ModelError: a field is out of its range; points to it.
        """
        large = len(self.json) > LARGE_BYTES or self.periods > LARGE_BYTES // 8
        return (_build_large if large else _build)(self)


def build_model(kind: str, fields: Mapping[str, Any], periods: int = 0) -> Model:
    """The model of wire fields, `initial` among them or not; kept nowhere.

    Raises:
        ModelError: a field is out of its range; points to it.
    """
    fields = dict(fields) | ({"periods": periods} if periods else {})
    initial = fields.pop("initial", None)
    return KINDS[kind](**fields, initial=None if initial is None else _initial(initial))


@lru_cache(maxsize=256)
def _build(spec: ModelSpec) -> Model:
    return build_model(spec.kind, spec.fields(), spec.periods)


@lru_cache(maxsize=2)
def _build_large(spec: ModelSpec) -> Model:
    return build_model(spec.kind, spec.fields(), spec.periods)


def _initial(words: Mapping[str, Any]) -> Initial:
    match words["kind"]:
        case "known":
            # As they came: Known's own checks name a ragged list by its field, where np.array would only raise.
            return Known(words["mean"], words["cov"], words.get("timing", "predicted"))
        case "approximate_diffuse":
            return ApproximateDiffuse(words["variance"])
        case "stationary":
            return Stationary()
        case "blocks":
            return Blocks(tuple((block["states"], _initial(block)) for block in words["blocks"]))
        case _:
            return Diffuse()


@dataclass(frozen=True, slots=True)
class Job:
    """One call's series under one model."""

    model: ModelSpec
    values: NDArray[np.float64]
    """All series one after the other: [points], or [points, m] where m > 1 things are observed; NaN where missing."""
    lengths: tuple[int, ...]
    task: Task = "means"
    outputs: tuple[str, ...] = ()
    """What to answer for each series; the original route answers one list."""
    loglike: Literal["full", "kfas"] = "full"
    steps: int = 0
    """How far to forecast."""
    level: float = 0.95
    """The share of futures that a forecast's interval holds."""
    precision: Precision | None = None
    """None: what suits the device."""
    algorithm: Algorithm | None = None
    """None: the engine chooses."""
    starts: tuple[Saved | None, ...] | None = None
    """Where each series goes on from; None: from the model's own start."""
    seconds: float = math.inf
    """How long it may take, from its arrival at the replica on."""

    def within(self, left_s: float) -> Self:
        """The job of a call that has so many seconds left."""
        return replace(self, seconds=max(0.0, left_s))

    @property
    def numbers(self) -> int:
        """How many numbers the answer holds, about."""
        model = self.model.build()
        points = self.steps * len(self.lengths) if self.task == "forecast" else len(self.values)
        states = len(self.lengths) * 2 * model.states**2 if "state" in self.outputs else 0
        sizes = (model.observed, model.states, model.shocks)
        return states + points * sum(SIZES[name](*sizes) for name in self.outputs)

    @property
    def heavy(self) -> bool:
        """Whether calls of small models should not wait for it."""
        return not is_light(self.model.build()) or len(self.values) > LIGHT_POINTS


def is_light(model: Model) -> bool:
    """Whether a model is one of those whose programs every replica compiles first."""
    return model.states <= LIGHT_STATES and model.observed == 1 and model.length is None
