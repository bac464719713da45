"""The outputs of one filtered or smoothed series under the wire's names; unknown values become NaN."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.saved_states import to_words
from luna_serving.engines.statespace.api.description import (
    Disturbances,
    SeriesResult,
    SignalMoments,
    filtered_signal,
    obs_disturbances,
    smoothed_signal,
    state_disturbances,
)

# Outputs that are undefined in a period whose regressors are null.
FORECAST_OBSERVATIONS = frozenset({"forecasts", "forecast_error_cov"})


def outputs_of(result: SeriesResult, y: NDArray[np.float64], names: Sequence[str]) -> dict[str, object]:
    """The named outputs of a series y; shared parts are computed once."""
    made: dict[str, object] = {}
    for name in names:
        if name in made:
            continue
        match name.removesuffix("_var"):
            case "filtered_signal":
                made |= _signal("filtered_signal", filtered_signal(result))
            case "smoothed_signal":
                made |= _signal("smoothed_signal", smoothed_signal(result))
            case "smoothed_obs_disturbance" | "smoothed_state_disturbance" | "auxiliary_residuals":
                made |= _disturbances(obs_disturbances(result, y), state_disturbances(result))
            case "smoothed_state" | "smoothed_state_cov":
                made[name] = _smoothed(result, name)
            case _:
                made[name] = _filtered(result, name)
    return {name: made[name] for name in names}


def _signal(name: str, moments: SignalMoments) -> dict[str, object]:
    return {name: np.ascontiguousarray(moments.mean), f"{name}_var": np.ascontiguousarray(moments.variance)}


def _disturbances(obs: Disturbances, state: Disturbances) -> dict[str, object]:
    made: dict[str, object] = {}
    for name, each in (("obs", obs), ("state", state)):
        made[f"smoothed_{name}_disturbance"] = np.ascontiguousarray(each.mean)
        made[f"smoothed_{name}_disturbance_var"] = np.ascontiguousarray(each.variance)
    residuals = {"obs": obs.standardized, "state": state.standardized}
    return made | {"auxiliary_residuals": {name: np.ascontiguousarray(each) for name, each in residuals.items()}}


def _filtered(result: SeriesResult, name: str) -> object:
    if name == "state":
        assert result.saved is not None  # noqa: S101  every full answer has one
        return to_words(result.saved)
    value = result.filtered_state if name == "filtered_state" else getattr(result.full, name)
    if name in FORECAST_OBSERVATIONS and result.model.unknown_periods:
        value = value.copy()
        value[result.unknown_periods] = np.nan
    return np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value


def _smoothed(result: SeriesResult, name: str) -> NDArray[np.float64]:
    smoothed = result.smoothed
    assert smoothed is not None  # noqa: S101  the smooth task asks for it
    unknown = smoothed.smoothed_state_diffuse
    if name == "smoothed_state_cov":
        unknown = unknown[:, :, None] | unknown[:, None, :]
    values: NDArray[np.float64] = np.where(unknown, np.nan, getattr(smoothed, name))
    return np.ascontiguousarray(values)
