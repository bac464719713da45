"""Renders one answer per filtered point; values that a diffuse start leaves open become null. Pure NumPy."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.streams.job import SMOOTHED_BACK
from luna_serving.engines.statespace.api.description import SeriesResult

Floats = NDArray[np.float64]
OF_THE_STATE = frozenset({"filtered_state", "filtered_state_cov"})
OF_THE_FORECAST = frozenset({"forecasts", "forecast_error", "forecast_error_cov"})


class Lagged(NamedTuple):
    """A smoothed window, and the index in it of the point `lag` steps before its end."""

    window: SeriesResult
    at: int

    def smoothed(self, name: str) -> Floats:
        """The smoothed state of the lagged point, or its covariance; NaN where the start leaves it open."""
        smoothed = self.window.smoothed
        assert smoothed is not None  # noqa: S101  the caller requests it
        unknown = smoothed.smoothed_state_diffuse[self.at]
        if name == "smoothed_state_cov":
            unknown = unknown[:, None] | unknown[None, :]
        lagged: Floats = np.where(unknown, np.nan, getattr(smoothed, name)[self.at])
        return lagged


def answers(
    result: SeriesResult,
    first: int,
    outputs: Sequence[str],
    threshold: float,
    lagged: Sequence[Lagged | None],
) -> list[dict[str, Any]]:
    """One object per point of a filtered block.

    Args:
        result: the block, filtered in full.
        first: the block's first period, counted from 0 since the stream began.
        outputs: the outputs in addition to `outlier`.
        threshold: standard deviations beyond which a forecast error is an outlier.
        lagged: for each point the smoothed window that ends with it; None if no point is that far back.
    """
    full = result.full
    assert full is not None  # noqa: S101  the caller requests the variant
    unknown = unknown_states(result, first)
    rows: dict[str, Sequence[Any] | Floats] = {}
    for name in outputs:
        if name in SMOOTHED_BACK:
            rows[name] = [None if each is None else each.smoothed(name) for each in lagged]
        elif name in OF_THE_STATE:
            values = result.filtered_state if name == "filtered_state" else full.filtered_state_cov
            rows[name] = _hidden(values, unknown)
        elif name in OF_THE_FORECAST:
            rows[name] = _hidden(getattr(full, name), full.forecast_diffuse)
        else:
            rows[name] = getattr(full, name)
    rows["outlier"] = outliers(full.standardized_forecast_error, threshold)
    return [{name: _plain(values[t]) for name, values in rows.items()} for t in range(len(unknown))]


def unknown_states(result: SeriesResult, first: int) -> NDArray[np.bool_]:
    """For each point [T], whether part of a diffuse start is open after it: the next period is diffuse."""
    assert result.full is not None  # noqa: S101
    assert result.saved is not None  # noqa: S101
    following = first + 1 + np.arange(len(result.filtered_state))
    unknown: NDArray[np.bool_] = following < result.full.nobs_diffuse
    unknown[-1:] = result.saved.rank > 0
    return unknown


def outliers(standardized: Floats, threshold: float) -> list[Any]:
    """Whether each standardized forecast error, [T] or [T, m], is too large; None where it is missing."""
    flags = np.abs(standardized) > threshold
    if standardized.ndim == 1:
        return [None if np.isnan(z) else bool(flag) for z, flag in zip(standardized, flags, strict=True)]
    return [outliers(row, threshold) for row in standardized]


def _hidden(values: Floats, hide: NDArray[np.bool_]) -> Floats:
    where = hide.reshape(len(hide), *(1,) * (values.ndim - 1))
    hidden: Floats = np.where(where, np.nan, values)
    return hidden


def _plain(value: Any) -> Any:  # noqa: ANN401  values for orjson; NaN becomes null
    return np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value
