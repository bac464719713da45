"""Series that float64 cannot answer, answered in multi-precision: in the same form as every other plan's results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.model.observations import Rows, collapsed_rows_of, factor, solve
from luna_serving.engines.statespace.multiprecision.arithmetic import Floats, Matrix, nearest, zeros
from luna_serving.engines.statespace.multiprecision.cancellation import expanded, is_sound
from luna_serving.engines.statespace.multiprecision.filter import Filtered, advance, begin
from luna_serving.engines.statespace.multiprecision.signals import Signal, Signals, diffuse_signal, moments, signal
from luna_serving.engines.statespace.multiprecision.smoother import Smoothed, later_of, nothing_later, run_smoother
from luna_serving.engines.statespace.multiprecision.system import ExactSystem
from luna_serving.engines.statespace.process.deadline import Clock, never
from luna_serving.engines.statespace.recursions.filter import Carry
from luna_serving.engines.statespace.results.joined import joined
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.results.series import (
    Convention,
    ForecastResult,
    FullOutputs,
    SeriesResult,
)
from luna_serving.engines.statespace.running.answers import series_results
from luna_serving.engines.statespace.running.packing import Group, Item, Kind, Lane, as_argument
from luna_serving.engines.statespace.running.passes import Passed
from luna_serving.engines.statespace.running.prepared import prepare

# What is not the same for all series.
PER_SERIES: Final = frozenset(
    {
        "predicted_state",
        "filtered_state",
        "forecasts",
        "forecast_error",
        "standardized_forecast_error",
        "loglike_obs",
        "smoothed_state",
        "score",
    }
)


# Goes on with series from where multi-precision is no longer needed; None: it is.
GoOn = Callable[[Sequence[Item], Sequence[Saved]], Sequence[SeriesResult] | None]

# Periods between two looks whether float64 can go on, and the fewest that are worth it.
LOOK_EVERY: Final = 8
WORTH: Final = 64


@dataclass(slots=True, eq=False)
class _Run:
    """Series of one model that miss the same points, and how far multi-precision has come with them."""

    items: Sequence[Item]
    system: ExactSystem
    lanes: list[Lane]
    y: Floats  # [rows, series]
    filtered: Filtered
    rest: Sequence[SeriesResult] | None = None
    """From where float64 went on."""
    smoothed: list[Smoothed] | None = None
    outputs: dict[str, Floats] = field(default_factory=dict)

    @property
    def periods(self) -> int:
        """That multi-precision has filtered."""
        return len(self.filtered.rows) // self.system.per_period


def results(
    items: Sequence[Item],
    *,
    start: Saved | None = None,
    loglike: Convention = "full",
    smooth: bool = False,
    out_of_time: Clock = never,
    go_on: GoOn | None = None,
) -> list[SeriesResult]:
    """Filter, and perhaps smooth, series of one model that miss the same points, all from the same start.

    Raises:
        OutOfTime: time is out.
    """
    run = _begun(items, start)
    _filter(run, out_of_time, go_on)
    assert run.filtered.outputs is not None  # noqa: S101  it began with them
    run.outputs = run.filtered.outputs.until(len(run.filtered.rows))
    if smooth:
        _smooth(run, out_of_time)
    states = items[0][1].states
    kind = Kind(simple=True, states=states, rows=run.system.per_period, varies=False, root=False)
    passed = Passed(
        group=Group(kind, "full", len(items), tuple(range(len(items)))),
        items=[(y[: run.periods], model) for y, model in items],
        lanes=run.lanes,
        system=None,
        carry=_carry(run.filtered, len(items), states),
        outputs=_series_major(run.outputs, len(items)),
    )
    signals = Signals.of(run.system, run.filtered, run.smoothed)
    heads = [_finished(run, signals, place, result) for place, result in enumerate(series_results(passed, loglike))]
    if run.rest is None:
        return heads
    return [joined(head, rest) for head, rest in zip(heads, run.rest, strict=True)]


def forecasts(
    items: Sequence[Item],
    steps: int,
    *,
    start: Saved | None = None,
    loglike: Convention = "full",
    out_of_time: Clock = never,
) -> list[ForecastResult]:
    """Filter and forecast series of one model that miss the same points: filtering on with all observations missing.

    Raises:
        OutOfTime: time is out.
    """
    filtered = results(items, start=start, loglike=loglike, out_of_time=out_of_time)
    model, m = items[0][1], items[0][1].observed
    longer = [(np.concatenate([y.reshape(-1, m), np.full((steps, m), np.nan)]), model) for y, _ in items]
    run = _begun(longer, start)
    _filter(run, out_of_time, None)
    first = len(items[0][0])
    ahead = [_Ahead.of(run, first + h, run.system.first + first + h) for h in range(steps)]
    return [_forecast(result, place, ahead) for place, result in enumerate(filtered)]


def _begun(items: Sequence[Item], start: Saved | None) -> _Run:
    model = items[0][1]
    first = 0 if start is None else start.period
    rows = [_rows(y, model, first) for y, _ in items]
    system = ExactSystem(model, rows[0], first)
    own = model.start
    saved = Saved(own.mean, own.cov, own.diffuse, own.rank, 0, 0) if start is None else start
    plain = replace(
        prepare(model), scale=np.ones(model.states), states=model.states, log_scale=0.0, simple=True, scaled=False
    )
    lanes = [Lane(plain, each, replace(saved, root=None, digits=())) for each in rows]
    y = np.array([each.y for each in rows]).T
    return _Run(items, system, lanes, y, begin(system, start, len(y), len(items)))


def _rows(y: Floats, model: Model, first: int) -> Rows:
    return collapsed_rows_of(model, y.reshape(-1, model.observed), first)


def _filter(run: _Run, out_of_time: Clock, go_on: GoOn | None) -> None:
    """To the end, or to where float64 goes on."""
    k, length = run.system.per_period, len(run.y)
    look = LOOK_EVERY * k

    def enough(filtered: Filtered) -> bool:
        done = len(filtered.rows)
        return done >= look and done % (k * LOOK_EVERY) == 0 and is_sound(filtered.cov, filtered.factor)

    while go_on is not None and run.rest is None and length - len(run.filtered.rows) >= WORTH * k:
        advance(run.system, run.y, run.filtered, out_of_time, enough)
        done = run.periods
        if length - len(run.filtered.rows) >= WORTH * k:
            rest = [(y[done:], model) for y, model in run.items]
            run.rest = go_on(rest, [_handed_over(run, place) for place in range(len(rest))])
            look = 2 * len(run.filtered.rows)
    if run.rest is None:
        advance(run.system, run.y, run.filtered, out_of_time)
    else:
        for place, lane in enumerate(run.lanes):
            rows = lane.rows
            count = len(run.filtered.rows)
            kept = rows._replace(
                y=rows.y[:count],
                design=rows.design[:count],
                obs_var=rows.obs_var[:count],
                loglike=None if rows.loglike is None else rows.loglike[: run.periods],
            )
            run.lanes[place] = lane._replace(rows=kept)


def _handed_over(run: _Run, place: int) -> Saved:
    """Where float64 goes on with a series."""
    filtered, n = run.filtered, run.system.model.states
    k = run.system.per_period
    return Saved(
        mean=nearest(filtered.mean)[:, place],
        cov=nearest(filtered.cov),
        diffuse=np.zeros((n, n)),
        rank=0,
        period=run.system.first + run.periods,
        nobs_diffuse=-(-filtered.nobs_diffuse // k),
    )


def _smooth(run: _Run, out_of_time: Clock) -> None:
    later = nothing_later(run.filtered)
    if run.rest is not None:
        smoothed = [each.smoothed for each in run.rest if each.smoothed is not None]
        means = np.array([each.smoothed_state[0] for each in smoothed]).T
        later = later_of(run.filtered, means, smoothed[0].smoothed_state_cov[0])
    more, run.smoothed = run_smoother(run.system, run.filtered, later, out_of_time)
    run.outputs |= more


@dataclass(frozen=True, slots=True, eq=False)
class _Ahead:
    """One period of all forecasts."""

    signal: Signal
    diffuse: NDArray[np.bool_]  # [m]
    noise: Floats  # [m]
    state: Floats  # [n, series]
    state_cov: Floats
    state_diffuse: NDArray[np.bool_]  # [n]

    @classmethod
    def of(cls, run: _Run, period: int, at: int) -> "_Ahead":
        row = run.filtered.rows[period * run.system.per_period]
        model = run.system.model
        noise = np.diagonal(over_time(model.obs_cov, 2, at, 1)[0])
        unknown = np.zeros(model.states, bool)
        if row.factor is not None:
            unknown = np.array([any(each != 0 for each in line) for line in row.factor.table()])
        return cls(
            signal(run.system, period, row.mean, row.cov),
            diffuse_signal(run.system, period, row.factor),
            noise,
            nearest(row.mean),
            nearest(row.cov),
            unknown,
        )


def _forecast(result: SeriesResult, place: int, ahead: Sequence[_Ahead]) -> ForecastResult:
    model = result.model
    n, m, count = model.states, model.observed, len(ahead)
    mean = np.array([each.signal.mean[:, place] for each in ahead]).reshape(count, m)
    variance = np.array([np.diagonal(each.signal.cov) + each.noise for each in ahead]).reshape(count, m)
    variance = np.where(np.array([each.diffuse for each in ahead]).reshape(count, m), np.inf, variance)
    state = np.array([each.state[:, place] for each in ahead]).reshape(count, n)
    state_cov = np.array([each.state_cov for each in ahead]).reshape(count, n, n)
    finite = result.finite and bool(np.isfinite(mean).all() and not np.isnan(variance).any())
    return ForecastResult(
        model=model,
        mean=mean[:, 0] if m == 1 else mean,
        variance=variance[:, 0] if m == 1 else variance,
        state=state,
        state_cov=state_cov,
        state_diffuse=np.array([each.state_diffuse for each in ahead]).reshape(count, n),
        finite=finite and bool(np.isfinite(state).all() and np.isfinite(state_cov).all()),
        filtered=result,
    )


def _series_major(outputs: dict[str, Floats], series: int) -> dict[str, Floats]:
    """Series first: [series, rows, ...]."""
    return {
        name: np.ascontiguousarray(np.moveaxis(value, -1, 0))
        if name in PER_SERIES
        else np.repeat(value[None], series, axis=0)
        for name, value in outputs.items()
    }


def _carry(filtered: Filtered, series: int, states: int) -> Carry:
    """Where the filter ended; what answers read of it."""
    factor = np.zeros((states, states))
    if filtered.factor is not None:
        known = nearest(filtered.factor)
        factor[:, : known.shape[1]] = known
    none = np.zeros(series, np.int32)
    return Carry(
        mean=as_argument(nearest(filtered.mean)),
        cov=as_argument(nearest(filtered.cov)),
        diffuse=as_argument(np.repeat(factor[:, :, None], series, axis=2)),
        rank=as_argument(none + filtered.rank),
        left=as_argument(none),
        nobs_diffuse=as_argument(none + filtered.nobs_diffuse),
    )


def _finished(run: _Run, signals: Signals, place: int, result: SeriesResult) -> SeriesResult:
    """With what only multi-precision knows: moments of signals, and the digits of the end."""
    full, smoothed, saved = result.full, result.smoothed, result.saved
    assert full is not None  # noqa: S101  it was filtered in full
    assert saved is not None  # noqa: S101  likewise
    full = _with_signals(run, signals, place, full)
    if smoothed is not None and signals.smoothed is not None:
        smoothed = replace(smoothed, signal=moments(signals.smoothed, place, run.system.model.observed))
    filtered = run.filtered
    if run.rest is None and not is_sound(filtered.cov, filtered.factor):
        factor = zeros(run.system.model.states, run.system.model.states) if filtered.factor is None else filtered.factor
        own = Matrix([[filtered.mean[i, place]] for i in range(filtered.mean.nrows())])
        saved = replace(saved, digits=expanded(own, filtered.cov, factor))
    return replace(result, full=full, smoothed=smoothed, saved=saved, plan="multiprecision")


def _with_signals(run: _Run, signals: Signals, place: int, full: FullOutputs) -> FullOutputs:
    system, m = run.system, run.system.model.observed
    full = replace(full, filtered_signal=moments(signals.filtered, place, m))
    if m == 1:
        return full
    periods, before = run.periods, signals.predicted
    forecasts = np.array([each.mean[:, place] for each in before]).reshape(periods, m)
    noise = over_time(system.model.obs_cov, 2, system.first, periods)
    cov = np.array([each.cov for each in before]).reshape(periods, m, m) + noise
    y = run.items[place][0].reshape(-1, m)[:periods]
    error = y - forecasts
    standardized = full.standardized_forecast_error
    if system.per_period != m:  # collapsed: the rows are other ones
        lower, pivots = factor(cov, np.isnan(error))
        independent = solve(lower, error[:, :, None])[:, :, 0]
        known = (pivots > 0) & ~full.forecast_diffuse[:, None]
        standardized = np.where(known, independent / np.sqrt(np.where(known, pivots, 1.0)), np.nan)
    return replace(
        full,
        forecasts=forecasts,
        forecast_error=error,
        forecast_error_cov=cov,
        standardized_forecast_error=standardized,
    )
