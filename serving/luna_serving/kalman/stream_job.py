"""What travels from the ingress to a Kalman replica for new points of a stream, and what comes back."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.kalman.jobs import ModelSpec
from luna_serving.statespace.saved import Saved

# What a point's answer may hold, in the words of `/kalman/filter` and `/kalman/smooth`.
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
    """Where a stream stands after its last point: all that the next one needs."""

    saved: Saved | None = None
    """The filter; None before the first point, at the model's own start."""
    window_start: Saved | None = None
    """The filter before the first observation of `window`; None is the model's own start."""
    window: NDArray[np.float64] | None = None
    """The last observations, [l] or [l, m]: as many as the lag, fewer at the beginning; None without a lag."""

    def to_json(self) -> str:
        """As text that reads back to the last bit."""
        return orjson.dumps(
            {
                "saved": _words(self.saved),
                "window_start": _words(self.window_start),
                "window": None if self.window is None else np.ascontiguousarray(self.window),
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        ).decode()

    @classmethod
    def from_json(cls, text: str | None) -> "StreamState":
        """Read what `to_json` wrote; None is a stream without points."""
        if text is None:
            return cls()
        words = orjson.loads(text)
        window = None if words["window"] is None else np.array(words["window"], dtype=np.float64)
        return cls(_saved(words["saved"]), _saved(words["window_start"]), window)


def _words(saved: Saved | None) -> dict[str, Any] | None:
    if saved is None:
        return None
    words: dict[str, Any] = {name: np.ascontiguousarray(getattr(saved, name)) for name in ("mean", "cov", "diffuse")}
    return words | {name: int(getattr(saved, name)) for name in ("rank", "period", "nobs_diffuse")}


def _saved(words: dict[str, Any] | None) -> Saved | None:
    if words is None:
        return None
    mean, cov, diffuse = (np.array(words[name], dtype=np.float64) for name in ("mean", "cov", "diffuse"))
    return Saved(mean, cov, diffuse, words["rank"], words["period"], words["nobs_diffuse"])


@dataclass(frozen=True, slots=True, eq=False)
class AppendJob:
    """New points of one stream."""

    model: ModelSpec
    state: str | None
    """`StreamState` as JSON: a replica reads it, and the ingress only carries it."""
    values: NDArray[np.float64]
    """[k] or [k, m], NaN where missing."""
    outputs: tuple[str, ...]
    threshold: float
    """A forecast error of more standard deviations than this is an outlier."""
    lag: int
    """How many steps back the smoothed state lies; 0 asks for none."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to an `AppendJob`."""

    state: str
    """Where the stream stands then."""
    points: str
    """A JSON list, one object a point."""
