"""What a batch answers: plain NumPy, one object a series, and a report of what was run."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.models import Model

# Of the log-likelihood: kfas leaves out ½ ln 2π for each observation that a diffuse start used up.
Convention = Literal["full", "kfas"]


@dataclass(frozen=True, slots=True, eq=False)
class FullOutputs:
    """What only the `full` variant computes; time first. See `filter.filter_chunk` for the diffuse phase."""

    filtered_state_cov: NDArray[np.float64]  # [T, n, n]
    predicted_state: NDArray[np.float64]  # [T+1, n]
    predicted_state_cov: NDArray[np.float64]  # [T+1, n, n]
    forecasts: NDArray[np.float64]  # [T]
    forecast_error: NDArray[np.float64]  # [T], NaN where missing
    forecast_error_cov: NDArray[np.float64]  # [T]
    forecast_error_diffuse_cov: NDArray[np.float64]  # [T]
    standardized_forecast_error: NDArray[np.float64]  # [T], NaN where missing or diffuse
    loglike_obs: NDArray[np.float64]  # [T], 0 where missing
    loglike: float
    nobs_diffuse: int


@dataclass(frozen=True, slots=True, eq=False)
class SmoothedOutputs:
    """The state given all observations, also those after it; time first."""

    smoothed_state: NDArray[np.float64]  # [T, n]
    smoothed_state_cov: NDArray[np.float64]  # [T, n, n]
    # [T, n]; True: no observation tells of this state, its variance is infinite and its moments mean nothing.
    smoothed_state_diffuse: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesResult:
    """One series' answer. Its arrays are C-contiguous views into the batch's."""

    model: Model
    filtered_state: NDArray[np.float64]  # [T, n]
    finite: bool  # False: the model or the series overflowed, and the numbers must not be shown
    full: FullOutputs | None
    smoothed: SmoothedOutputs | None = None

    @property
    def filtered_signal(self) -> NDArray[np.float64]:
        """The filtered mean of design · state [T]: the level of a level model, the position of a track."""
        signal: NDArray[np.float64] = self.filtered_state @ self.model.design
        return signal


@dataclass(frozen=True, slots=True, eq=False)
class ForecastResult:
    """One series' forecasts; row 0 is one step after its last observation, missing ones included."""

    model: Model
    mean: NDArray[np.float64]  # [h], of the observation
    variance: NDArray[np.float64]  # [h], of the observation; +inf: still diffuse, and the mean means nothing
    state: NDArray[np.float64]  # [h, n]
    state_cov: NDArray[np.float64]  # [h, n, n], the finite part
    state_diffuse: NDArray[np.bool_]  # [h, n]; True: infinite variance, and the state's moments mean nothing
    finite: bool  # False: overflow, and the numbers must not be shown; a diffuse forecast is no overflow
    filtered: SeriesResult

    @property
    def diffuse(self) -> NDArray[np.bool_]:
        """Where the forecast has no finite variance [h]: answer null there."""
        return np.isposinf(self.variance)


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What was run, for the answer's `plan`."""

    algorithm: str
    precision: str
    device: str
    batch_shape: tuple[int, int]  # series, time, as padded; the largest batch's when there were several
    batches: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The answers in the order of the items, and how they were computed."""

    series: list[SeriesResult]
    report: BatchReport


@dataclass(frozen=True, slots=True)
class ForecastBatchResult:
    """The forecasts in the order of the items, and how they were computed."""

    series: list[ForecastResult]
    report: BatchReport
