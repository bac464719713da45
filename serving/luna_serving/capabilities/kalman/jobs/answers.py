"""From filtered, smoothed and forecast series to the JSON of an answer; what is not known becomes null."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.jobs.saved_states import to_words
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.results.disturbances import Disturbances, obs_disturbances, state_disturbances
from luna_serving.engines.statespace.results.quality import warnings_of
from luna_serving.engines.statespace.results.series import BatchReport, ForecastResult, SeriesResult, SignalMoments
from luna_serving.engines.statespace.results.signals import filtered_signal, smoothed_signal

# What means nothing in a period whose regressors are null.
FORECAST_OBSERVATIONS = frozenset({"forecasts", "forecast_error_cov"})
OVERFLOW = "The series and the model overflow float64. Scale the series to about unit size, or check the variances."


def render(job: Job, results: Sequence[Any], report: BatchReport) -> bytes | Refused:
    """The answer to a job from its series' results (`ForecastResult`s or `SeriesResult`s), or why there is none."""
    for i, result in enumerate(results):
        if not result.finite:
            return Refused("/results" if job.task == "means" else f"/observations/{i}", OVERFLOW)
    if job.task == "means":
        return orjson.dumps(_means(job, results[0]), option=orjson.OPT_SERIALIZE_NUMPY)
    answers: list[dict[str, object]]
    if job.task == "forecast":
        answers = [_forecast(result, job.level) for result in results]
    else:
        series = [job.values[a:b] for a, b in pairwise((0, *accumulate(job.lengths)))]
        answers = [_outputs(result, y, job.outputs) for result, y in zip(results, series, strict=True)]
    plan = plan_of(report, [result.filtered if job.task == "forecast" else result for result in results])
    answer = {"plan": plan, "state_names": _state_names(job.model.build()), "results": answers}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _state_names(model: Model) -> Sequence[str]:
    return model.state_names or [f"state.{i}" for i in range(model.states)]


def plan_of(report: BatchReport, results: Sequence[SeriesResult] = ()) -> dict[str, object]:
    """What was run, as the answer says it; of a batch that several calls shared, a call's own results know better."""
    # Series of one call seldom differ; where they do, the plan of most is told.
    plans = Counter((result.plan, result.precision) for result in results)
    algorithm, precision = plans.most_common(1)[0][0] if plans else (report.algorithm, report.precision)
    return {
        "algorithm": algorithm,
        "precision": precision,
        "device": report.device,
        "batch_shape": report.batch_shape,
        "warnings": warnings_of(results) if results else report.warnings,
    }


def _means(job: Job, result: SeriesResult) -> NDArray[np.float64]:
    means = result.filtered_signal
    if result.model.start.rank and np.isnan(job.values[0]):
        # Before the first observation nothing is known: zero would look like an answer.
        means = np.where(np.logical_and.accumulate(np.isnan(job.values)), np.nan, means)
    return np.ascontiguousarray(means)


def _outputs(result: SeriesResult, y: NDArray[np.float64], names: Sequence[str]) -> dict[str, object]:
    """The outputs of a series y that are asked for; what several of them are made of is computed once."""
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


def _forecast(result: ForecastResult, level: float) -> dict[str, object]:
    known = ~result.diffuse
    mean = np.where(known, result.mean, np.nan)
    variance = np.where(known, result.variance, np.nan)
    reach = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(variance)
    return {"mean": mean, "variance": variance, "lower": mean - reach, "upper": mean + reach}
