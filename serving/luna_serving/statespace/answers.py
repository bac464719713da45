"""From a batch that has been through its passes to one answer a series. Pure NumPy."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.filter import LOG_2PI
from luna_serving.statespace.forecast import Origin, forecast
from luna_serving.statespace.passes import ONE_MORE, Passed
from luna_serving.statespace.results import Convention, ForecastResult, FullOutputs, SeriesResult, SmoothedOutputs

# The rounding of what was vague stays in what is precise: a smoothed variance below this multiple of the filtered
# one has fewer than 8 digits.
POOR: Final = 1e-8
# A filtered variance below this multiple of the predicted one is the rounding of zero, and has no digits to lose.
NOTHING: Final = 1e-12


def series_results(passed: Passed, loglike: Convention) -> list[SeriesResult]:
    """Cut each series' outputs out of the batch's; there are as many as passes that it has been through."""
    nobs_diffuse = np.asarray(passed.carry.nobs_diffuse)
    return [
        _series_result(passed, lane, int(nobs), loglike)
        for lane, nobs in zip(range(len(passed.series)), nobs_diffuse, strict=False)
    ]


def _series_result(passed: Passed, lane: int, nobs_diffuse: int, loglike: Convention) -> SeriesResult:
    y, model = passed.series[lane], passed.models[lane]
    rows = {name: all_[lane, : len(y) + (name in ONE_MORE)] for name, all_ in passed.lanes.items()}
    filtered_state = rows.pop("filtered_state")
    if not rows:
        return SeriesResult(model, filtered_state, bool(np.isfinite(filtered_state).all()), None)
    smoothed = _smoothed(rows, int(model.packed[-1])) if "smoothed_state" in rows else None
    if loglike == "kfas":
        rows["loglike_obs"] = rows["loglike_obs"] + np.where(_met(rows), LOG_2PI / 2, 0.0)
    floats = {name: rows[name] for name in FullOutputs.__dataclass_fields__ if name in rows}
    full = FullOutputs(**floats, loglike=float(rows["loglike_obs"].sum()), nobs_diffuse=nobs_diffuse)
    # Missing observations leave NaN on purpose in the two outputs about errors; they follow from these.
    checked = [filtered_state, full.filtered_state_cov, full.predicted_state, full.predicted_state_cov]
    if smoothed is not None:
        checked += [smoothed.smoothed_state, smoothed.smoothed_state_cov]
    finite = all(np.isfinite(array).all() for array in checked) and bool(np.isfinite(full.loglike))
    return SeriesResult(model, filtered_state, finite, full, smoothed)


def _met(rows: dict[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Where an observation told a diffuse direction."""
    met: NDArray[np.bool_] = (rows["forecast_error_diffuse_cov"] > 0) & ~np.isnan(rows["forecast_error"])
    return met


def _smoothed(rows: dict[str, NDArray[np.float64]], diffuse_states: int) -> SmoothedOutputs:
    diffuse = rows["smoothed_state_diffuse"].astype(bool)
    if np.count_nonzero(_met(rows)) == diffuse_states:
        # Every direction was told. The flags are judged with a tolerance; counting needs none.
        diffuse = np.zeros_like(diffuse)
    return SmoothedOutputs(rows["smoothed_state"], rows["smoothed_state_cov"], diffuse)


def poorly_smoothed(result: SeriesResult) -> bool:
    """Whether some smoothed variance has lost more than 8 digits: the filtered one is that much larger."""
    if result.full is None or result.smoothed is None or not result.finite:
        return False
    predicted, filtered, smoothed = (
        np.diagonal(cov, axis1=1, axis2=2)
        for cov in (
            result.full.predicted_state_cov[:-1],
            result.full.filtered_state_cov,
            result.smoothed.smoothed_state_cov,
        )
    )
    lost = (smoothed < POOR * filtered) & (filtered > NOTHING * predicted) & ~result.smoothed.smoothed_state_diffuse
    return bool(lost.any())


def forecast_results(passed: Passed, steps: Sequence[int], filtered: Sequence[SeriesResult]) -> list[ForecastResult]:
    """Forecast each series from its own end."""
    lanes = np.arange(len(passed.series))
    lengths = np.array([len(y) for y in passed.series])
    origin = Origin(
        mean=passed.lanes["predicted_state"][lanes, lengths],
        cov=passed.lanes["predicted_state_cov"][lanes, lengths],
        diffuse=np.moveaxis(np.asarray(passed.carry.diffuse), -1, 0)[lanes],
    )
    ahead = forecast(passed.models, origin, max(steps))
    return [
        ForecastResult(
            model=result.model,
            mean=ahead.mean[lane, :count],
            variance=ahead.variance[lane, :count],
            state=ahead.state[lane, :count],
            state_cov=ahead.state_cov[lane, :count],
            state_diffuse=ahead.state_diffuse[lane, :count],
            finite=result.finite and bool(ahead.finite[lane, :count].all()),
            filtered=result,
        )
        for lane, (count, result) in enumerate(zip(steps, filtered, strict=True))
    ]
