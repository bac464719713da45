"""From a batch that has been through its passes to one answer a series. Pure NumPy."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import over_time
from luna_serving.engines.statespace.model.observations import LOG_2PI, factor, solve
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.results.series import (
    Algorithm,
    Convention,
    ForecastResult,
    FullOutputs,
    SeriesResult,
    SmoothedOutputs,
    signal,
)
from luna_serving.engines.statespace.running.contradictions import ruled_out
from luna_serving.engines.statespace.running.forecast import Origin, forecast
from luna_serving.engines.statespace.running.packing import Lane
from luna_serving.engines.statespace.running.passes import LATER, ONE_MORE, Passed
from luna_serving.engines.statespace.running.prepared import Prepared

Floats = NDArray[np.float64]
# The filter's carry after a series' last row, by name.
End = dict[str, NDArray[np.generic]]

MEANS: Final = frozenset({"filtered_state", "predicted_state", "smoothed_state", "gain"})
COVARIANCES: Final = frozenset({"filtered_state_cov", "predicted_state_cov", "smoothed_state_cov"})
STATES: Final = (
    MEANS - {"gain"} | COVARIANCES | LATER | {"predicted_root", "smoothed_state_diffuse", "state_disturbance_var"}
)


def series_results(passed: Passed, loglike: Convention) -> list[SeriesResult]:
    """Cut each series' outputs out of the batch's; there are as many as passes that it has been through."""
    ends = {name: np.asarray(getattr(passed.carry, name)) for name in ("diffuse", "rank", "nobs_diffuse")}
    return [
        _series_result(passed, lane, {name: end[..., lane] for name, end in ends.items()}, loglike)
        for lane in range(len(passed.lanes))
    ]


def _series_result(
    passed: Passed, number: int, end: dict[str, NDArray[np.generic]], loglike: Convention
) -> SeriesResult:
    (y, model), lane = passed.items[number], passed.lanes[number]
    prepared, count = lane.prepared, len(lane.rows.y)
    rows = {name: all_[number, : count + (name in ONE_MORE)] for name, all_ in passed.outputs.items()}
    rows = {name: _in_model_units(name, row, prepared) for name, row in rows.items()}
    rows = {name: _not_negative(row) if name in COVARIANCES else row for name, row in rows.items()}
    if "predicted_state" not in rows:
        filtered_state = rows["filtered_state"]
        return SeriesResult(model, filtered_state, bool(np.isfinite(filtered_state).all()), None)
    met = (rows["forecast_error_diffuse_cov"] > 0) & ~np.isnan(rows["forecast_error"])
    rows["loglike_obs"] = rows["loglike_obs"] + np.where(met, _of_met(prepared, loglike), 0.0)
    states = _per_period(rows, prepared.rows)
    full = _full(lane, y.reshape(-1, model.observed), rows, states, end)
    if "smoothed_state" in rows:
        _hold(states, prepared.still)
    smoothed = _smoothed(states, int(np.count_nonzero(met)) == lane.saved.rank) if "smoothed_state" in rows else None
    saved = _saved(prepared, lane.saved, states, end)
    # Missing observations leave NaN on purpose in the two outputs about errors; they follow from these.
    checked = [states["filtered_state"], full.filtered_state_cov, full.predicted_state, full.predicted_state_cov]
    checked += [full.forecasts, full.forecast_error_cov]
    if smoothed is not None:
        checked += [smoothed.smoothed_state, smoothed.smoothed_state_cov]
    finite = all(np.isfinite(array).all() for array in checked) and bool(np.isfinite(_possible(full).sum()))
    plan: Algorithm = "square_root" if passed.group.kind.root else "per_series"
    return SeriesResult(model, states["filtered_state"], finite, full, smoothed, saved, plan)


def _possible(full: FullOutputs) -> Floats:
    """What the observations that the model does not rule out add to the log-likelihood [T]."""
    return full.loglike_obs if full.ruled_out is None else full.loglike_obs[~full.ruled_out.any(axis=1)]


def gains(passed: Passed, number: int) -> Floats:
    """The gains of a series' observations taken one by one [rows, n]."""
    lane = passed.lanes[number]
    return _in_model_units("gain", passed.outputs["gain"][number, : len(lane.rows.y)], lane.prepared)


def _in_model_units(name: str, row: Floats, prepared: Prepared) -> Floats:
    n, scale = prepared.model.states, prepared.scale
    if prepared.simple and not prepared.scaled:
        return row
    if name in MEANS:
        return row[:, :n] / scale
    if name == "predicted_root":
        return row[:, :n, :n] / scale[:, None]
    if name in COVARIANCES:
        return row[:, :n, :n] / (scale[:, None] * scale)
    if name == "score":
        return row[:, :n] * scale
    if name == "information":
        return row[:, :n, :n] * (scale[:, None] * scale)
    return row[:, :n] if name == "smoothed_state_diffuse" else row


def _not_negative(cov: Floats) -> Floats:
    """A variance below zero is the rounding of none: what it belongs to is known."""
    known = np.diagonal(cov, axis1=1, axis2=2) < 0
    return np.where(known[:, :, None] | known[:, None, :], 0.0, cov) if known.any() else cov


def _of_met(prepared: Prepared, loglike: Convention) -> float:
    """What an observation that resolved a diffuse direction adds to the log-likelihood besides F∞'s part.

    The engine's units change the sum over all directions, which cannot be divided: each bears the same share.
    """
    units = prepared.log_scale / prepared.saved.rank if prepared.log_scale else 0.0
    return (LOG_2PI / 2 if loglike == "kfas" else 0.0) - units


def _per_period(rows: dict[str, Floats], m: int) -> dict[str, Floats]:
    """The states' moments a period: predicted before its first row, filtered and smoothed after its last."""
    if m == 1:
        return {name: row for name, row in rows.items() if name in STATES}
    first, last = slice(0, None, m), slice(m - 1, None, m)
    picked = {name: rows[name][first] for name in ONE_MORE if name in rows}
    after: tuple[str, ...] = ("filtered_state", "filtered_state_cov", "smoothed_state", "smoothed_state_cov")
    after += ("smoothed_state_diffuse", "score", "information", "state_disturbance_var")
    return picked | {name: rows[name][last] for name in after if name in rows}


def _full(
    lane: Lane,
    y: Floats,
    rows: dict[str, Floats],
    states: dict[str, Floats],
    end: End,
) -> FullOutputs:
    model, periods, first = lane.prepared.model, len(y), lane.saved.period
    m, k = model.observed, lane.prepared.rows
    diffuse_cov = rows["forecast_error_diffuse_cov"].reshape(periods, k)
    if m == 1:
        intercept = over_time(model.obs_intercept, 1, first, periods)[:, 0]
        forecasts, error = rows["forecasts"] + intercept, rows["forecast_error"]
        cov, standardized = rows["forecast_error_cov"], rows["standardized_forecast_error"]
    else:
        forecasts = signal(model, states["predicted_state"][:-1], first)
        error = y - forecasts
        design = over_time(model.design, 2, first, periods)
        spread = design @ states["predicted_state_cov"][:-1] @ design.swapaxes(1, 2)
        cov = (spread + spread.swapaxes(1, 2)) / 2 + over_time(model.obs_cov, 2, first, periods)
        standardized = _standardized(rows, error, cov, diffuse_cov.max(axis=1) > 0)
    contradict = ruled_out(lane, rows).reshape(periods, k)
    loglike_obs = rows["loglike_obs"].reshape(periods, k).sum(axis=1)
    if lane.rows.loglike is not None:
        loglike_obs = loglike_obs + lane.rows.loglike
    if contradict.any():
        loglike_obs = np.where(contradict.any(axis=1), -np.inf, loglike_obs)
    return FullOutputs(
        filtered_state_cov=states["filtered_state_cov"],
        predicted_state=states["predicted_state"],
        predicted_state_cov=states["predicted_state_cov"],
        forecasts=forecasts,
        forecast_error=error,
        forecast_error_cov=cov,
        forecast_error_diffuse_cov=diffuse_cov[:, 0] if m == 1 else diffuse_cov,
        standardized_forecast_error=standardized,
        loglike_obs=loglike_obs,
        loglike=float(loglike_obs.sum()),
        nobs_diffuse=-(-int(end["nobs_diffuse"]) // k),
        ruled_out=contradict,
    )


def _standardized(rows: dict[str, Floats], error: Floats, cov: Floats, diffuse: NDArray[np.bool_]) -> Floats:
    """L⁻¹ v [T, m] with F = L L'.

    The observations taken one by one have it already: the Cholesky factor of F is unique. One judge then says for the
    standardized error and for the likelihood whether a forecast has a variance. Collapsed rows are other ones.
    """
    one_by_one = rows["standardized_forecast_error"]
    if one_by_one.size == error.size:
        return np.where(diffuse[:, None], np.nan, one_by_one.reshape(error.shape))
    lower, pivots = factor(cov, np.isnan(error))
    independent = solve(lower, error[:, :, None])[:, :, 0]
    known = (pivots > 0) & ~diffuse[:, None]
    return np.where(known, independent / np.sqrt(np.where(known, pivots, 1.0)), np.nan)


def _saved(prepared: Prepared, start: Saved, states: dict[str, Floats], end: dict[str, NDArray[np.generic]]) -> Saved:
    inner = Saved(
        start.mean, start.cov, np.asarray(end["diffuse"], np.float64), int(end["rank"]), 0, int(end["nobs_diffuse"])
    )
    outer = prepared.outward(inner)
    return Saved(
        mean=states["predicted_state"][-1],
        cov=states["predicted_state_cov"][-1],
        diffuse=outer.diffuse,
        rank=outer.rank,
        period=start.period + len(states["filtered_state"]),
        nobs_diffuse=outer.nobs_diffuse,
        root=states["predicted_root"][-1] if "predicted_root" in states else None,
    )


def _hold(states: dict[str, Floats], still: NDArray[np.bool_]) -> None:
    """What never moves is in every period what it is in the last; on its way back it would gather rounding."""
    places = np.flatnonzero(still)
    if len(places) and len(states["smoothed_state"]):
        states["smoothed_state"][:, places] = states["smoothed_state"][-1, places]
        rows, columns = np.ix_(places, places)
        states["smoothed_state_cov"][:, rows, columns] = states["smoothed_state_cov"][-1, rows, columns]


def _smoothed(states: dict[str, Floats], all_told: bool) -> SmoothedOutputs:
    diffuse = states["smoothed_state_diffuse"].astype(bool)
    if all_told:
        # Every direction was resolved. The flags are judged with a tolerance; counting needs none.
        diffuse = np.zeros_like(diffuse)
    return SmoothedOutputs(
        states["smoothed_state"],
        states["smoothed_state_cov"],
        diffuse,
        states.get("score"),
        states.get("information"),
        state_disturbance_var=states.get("state_disturbance_var"),
    )


def forecast_results(steps: Sequence[int], filtered: Sequence[SeriesResult]) -> list[ForecastResult]:
    """Forecast each series from its own end."""
    results: dict[int, ForecastResult] = {}
    alike: dict[object, list[int]] = {}
    for place, result in enumerate(filtered):
        model = result.model
        # Those that vary in time go alone: their matrices are large, and seldom shared.
        # And a long horizon among short ones would be everybody's.
        key = (model.states, model.observed, steps[place]) if model.length is None else place
        alike.setdefault(key, []).append(place)
    for places in alike.values():
        part = [filtered[place] for place in places]
        ahead = forecast(
            [result.model for result in part],
            Origin.of([result.saved for result in part]),
            max(steps[p] for p in places),
        )
        for row, (place, result) in enumerate(zip(places, part, strict=True)):
            count = steps[place]
            results[place] = ForecastResult(
                model=result.model,
                mean=ahead.mean[row, :count],
                variance=ahead.variance[row, :count],
                state=ahead.state[row, :count],
                state_cov=ahead.state_cov[row, :count],
                state_diffuse=ahead.state_diffuse[row, :count],
                finite=result.finite and bool(ahead.finite[row, :count].all()),
                filtered=result,
            )
    return [results[place] for place in range(len(filtered))]
