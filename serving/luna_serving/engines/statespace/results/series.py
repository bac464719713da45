"""What a batch answers: plain NumPy, one object per series, and a report of what was run.

Where one thing is observed, what is said of observations has no axis for it: [T] for [T, m], [T] for [T, m, m].
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.results.saved import Saved

# The log-likelihood's convention: kfas leaves out ½ ln 2π for each observation that a diffuse start used up.
Convention = Literal["full", "kfas"]
Algorithm = Literal["shared_gain", "steady_state", "per_series", "parallel_in_time", "square_root", "multiprecision"]


@dataclass(frozen=True, slots=True, eq=False)
class SignalMoments:
    """Mean and variance of design · state + obs_intercept."""

    mean: NDArray[np.float64]  # [T, m]
    variance: NDArray[np.float64]  # [T, m]


@dataclass(frozen=True, slots=True, eq=False)
class FullOutputs:
    """What only the `full` variant computes; time first. See `filter.filter_chunk` for the diffuse phase."""

    filtered_state_cov: NDArray[np.float64]  # [T, n, n]
    predicted_state: NDArray[np.float64]  # [T+1, n]
    predicted_state_cov: NDArray[np.float64]  # [T+1, n, n]
    forecasts: NDArray[np.float64]  # [T, m]
    forecast_error: NDArray[np.float64]  # [T, m], NaN where missing
    forecast_error_cov: NDArray[np.float64]  # [T, m, m]
    # F∞ [T, k] of the observations as they are taken one by one; above zero: the forecast has no finite variance
    forecast_error_diffuse_cov: NDArray[np.float64]
    # [T, m], L⁻¹ v with F = L L' of what is observed, L lower triangular; NaN where missing or diffuse
    standardized_forecast_error: NDArray[np.float64]
    loglike_obs: NDArray[np.float64]  # [T], 0 where missing, -inf where the model rules the observation out
    loglike: float
    nobs_diffuse: int
    filtered_signal: SignalMoments | None = None
    """Where the states' own moments would cancel; None: compute it from them."""
    ruled_out: NDArray[np.bool_] | None = None
    """[T, k], as observations are taken one by one: those that contradict a forecast without variance; None: none."""

    @property
    def forecast_diffuse(self) -> NDArray[np.bool_]:
        """Where the forecast has no finite variance [T]."""
        diffuse: NDArray[np.bool_] = self.forecast_error_diffuse_cov.reshape(len(self.forecasts), -1).max(axis=1) > 0
        return diffuse


@dataclass(frozen=True, slots=True, eq=False)
class SmoothedOutputs:
    """The state given all observations, also those after it; time first."""

    smoothed_state: NDArray[np.float64]  # [T, n]
    smoothed_state_cov: NDArray[np.float64]  # [T, n, n]
    # [T, n]; True: no observation determines this state, its variance is infinite and its moments mean nothing.
    smoothed_state_diffuse: NDArray[np.bool_]
    score: NDArray[np.float64] | None = None
    """r [T, n], of the state after each period: Durbin & Koopman (2012) eq. 4.38; where it was asked for."""
    information: NDArray[np.float64] | None = None
    """N [T, n, n], likewise: eq. 4.42."""
    signal: SignalMoments | None = None
    """As `FullOutputs.filtered_signal`."""
    state_disturbance_var: NDArray[np.float64] | None = None
    """The variance of each shock [T, r], where `disturbances` would cancel; None: compute it from N."""


@dataclass(frozen=True, slots=True, eq=False)
class SeriesResult:
    """One series' answer. Its arrays are C-contiguous views into the batch's."""

    model: Model
    filtered_state: NDArray[np.float64]  # [T, n]
    finite: bool  # False: the model or the series overflowed, and the numbers must not be shown
    full: FullOutputs | None
    smoothed: SmoothedOutputs | None = None
    saved: Saved | None = None
    """The state after the last observation; with `full`."""
    plan: Algorithm = "per_series"
    """How it was computed."""
    precision: Literal["float64", "float32"] = "float64"
    """The precision of data and means; gains and covariances are always float64."""

    @property
    def filtered_signal(self) -> NDArray[np.float64]:
        """The filtered mean of what is observed, [T] or [T, m]: the level of a level model, a track's position.

        NaN where the design is not known.
        """
        return signal(self.model, self.filtered_state)

    @property
    def unknown_periods(self) -> NDArray[np.bool_]:
        """Where the design is not known [T]: what is forecast of an observation there means nothing."""
        first = 0 if self.saved is None else self.saved.period - len(self.filtered_state)
        return unknown_periods(self.model, len(self.filtered_state), first)


def signal(model: Model, states: NDArray[np.float64], first: int = 0) -> NDArray[np.float64]:
    """What states [T, n] from period `first` on would be observed as without noise, [T] or [T, m]."""
    if model.length is None and model.observed == 1:
        constant: NDArray[np.float64] = states @ model.design[0] + model.obs_intercept[0]
        return constant
    design = over_time(model.design, 2, first, len(states))
    seen: NDArray[np.float64] = np.einsum("tmn,tn->tm", design, states)
    seen = seen + over_time(model.obs_intercept, 1, first, len(states))
    seen[unknown_periods(model, len(states), first)] = np.nan
    return seen[:, 0] if model.observed == 1 else seen


def signal_moments(
    model: Model, states: NDArray[np.float64], covs: NDArray[np.float64], first: int = 0
) -> SignalMoments:
    """Moments of the signal from those of states [T, n] and [T, n, n], from period `first` on."""
    design = over_time(model.design, 2, first, len(states))
    variance: NDArray[np.float64] = np.einsum("tmi,tij,tmj->tm", design, covs, design, optimize=True)
    return SignalMoments(signal(model, states, first), variance[:, 0] if model.observed == 1 else variance)


def unknown_periods(model: Model, length: int, first: int = 0) -> NDArray[np.bool_]:
    """Which of `length` periods [T] from `first` on have a design that is not known."""
    return np.isin(np.arange(first, first + length), model.unknown_periods)


@dataclass(frozen=True, slots=True, eq=False)
class ForecastResult:
    """One series' forecasts; row 0 is one step after its last observation, missing ones included."""

    model: Model
    mean: NDArray[np.float64]  # [h, m], of the observation
    variance: NDArray[np.float64]  # [h, m], of the observation; +inf: still diffuse, and the mean means nothing
    state: NDArray[np.float64]  # [h, n]
    state_cov: NDArray[np.float64]  # [h, n, n], the finite part
    state_diffuse: NDArray[np.bool_]  # [h, n]; True: infinite variance, and the state's moments mean nothing
    finite: bool  # False: overflow, and the numbers must not be shown; a diffuse forecast is no overflow
    filtered: SeriesResult

    def until(self, steps: int) -> "ForecastResult":
        """The first so many steps of it."""
        names = ("mean", "variance", "state", "state_cov", "state_diffuse")
        return replace(self, **{name: getattr(self, name)[:steps] for name in names})

    @property
    def diffuse(self) -> NDArray[np.bool_]:
        """Where the forecast has no finite variance, shaped as `variance`: answer null there."""
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
