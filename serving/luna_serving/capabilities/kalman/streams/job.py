"""The job for new points of a stream, and its result."""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.job import is_light
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.saved_states import from_words, to_words
from luna_serving.engines.statespace.api.description import Saved

# Outputs of a point, named as in `/kalman/filter` and `/kalman/smooth`.
FILTERED_NOW: Final = (
    "filtered_state",
    "filtered_state_cov",
    "forecasts",
    "forecast_error",
    "forecast_error_cov",
    "standardized_forecast_error",
    "loglike_obs",
)
SMOOTHED_BACK: Final = ("smoothed_state", "smoothed_state_cov")
DEFAULT_OUTPUTS: Final = tuple(name for name in FILTERED_NOW if name != "forecast_error")


@dataclass(frozen=True, slots=True, eq=False)
class StreamState:
    """A stream after its last point: everything that the next point needs."""

    saved: Saved | None = None
    """The filter's state; None before the first point, at the model's start."""
    window_start: Saved | None = None
    """The filter's state before the first observation of `window`; None is the model's start."""
    window: NDArray[np.float64] | None = None
    """The last `lag` observations, [l] or [l, m], or fewer at the beginning; None without a lag."""

    def to_json(self) -> str:
        """Text that round-trips exactly."""
        return orjson.dumps(
            {
                "saved": None if self.saved is None else to_words(self.saved),
                "window_start": None if self.window_start is None else to_words(self.window_start),
                "window": None if self.window is None else np.ascontiguousarray(self.window),
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        ).decode()

    @classmethod
    def from_json(cls, text: str | None) -> "StreamState":
        """Read the text of `to_json`; None is a stream without points."""
        if text is None:
            return cls()
        words = orjson.loads(text)
        window = None if words["window"] is None else np.array(words["window"], dtype=np.float64)
        saved, start = (None if each is None else from_words(each) for each in (words["saved"], words["window_start"]))
        return cls(saved, start, window)


@dataclass(frozen=True, slots=True, eq=False)
class AppendJob:
    """New points of one stream."""

    model: ModelSpec
    state: str | None
    """`StreamState` as JSON: only the replica reads it."""
    values: NDArray[np.float64]
    """[k] or [k, m], NaN where missing."""
    outputs: tuple[str, ...]
    threshold: float
    """A forecast error of more standard deviations than this is an outlier."""
    lag: int
    """Steps back of the smoothed state; 0 for none."""
    seconds: float = math.inf
    """Seconds from its arrival at the replica to its deadline."""

    def within(self, left_s: float) -> Self:
        """The job for a call that has `left_s` seconds left."""
        return replace(self, seconds=max(0.0, left_s))

    @property
    def heavy(self) -> bool:
        """Whether it belongs into the heavy lane."""
        return self.lag > 0 or not is_light(self.model.build())


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to an `AppendJob`."""

    state: str
    """`StreamState` after the new points, as JSON."""
    points: str
    """A JSON list, one object per point."""
