"""Renders a job's answer, from the results of its series; in JSON, unknown values become null."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.binary import as_arrow, as_npy
from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.jobs.series_outputs import outputs_of
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.api.description import (
    BatchReport,
    ForecastResult,
    Model,
    SeriesResult,
    warnings_of,
)

OVERFLOW = "The series and the model overflow float64. Scale the series to about unit size, or check the variances."


def render(job: Job, results: Sequence[Any], report: BatchReport) -> bytes | Refused:
    """The answer to a job from its series' results (`ForecastResult`s or `SeriesResult`s), or an outcome."""
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
        answers = [outputs_of(result, y, job.outputs) for result, y in zip(results, series, strict=True)]
    if job.form == "npy":
        return as_npy(answers)
    plan = plan_of(report, [result.filtered if job.task == "forecast" else result for result in results])
    answer: dict[str, object] = {"plan": plan, "state_names": _state_names(job.model.build())}
    if job.form == "arrow":
        return as_arrow(answers, answer)
    return orjson.dumps(answer | {"results": answers}, option=orjson.OPT_SERIALIZE_NUMPY)


def _state_names(model: Model) -> Sequence[str]:
    return model.state_names or [f"state.{i}" for i in range(model.states)]


def plan_of(report: BatchReport, results: Sequence[SeriesResult] = ()) -> dict[str, object]:
    """The plan as an answer shows it, from the call's own results if several calls shared a batch."""
    # If the series of a call have different plans, which is rare, the answer names the most frequent one.
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
        # Unknown before the first observation: null, since zero would look like an estimate.
        means = np.where(np.logical_and.accumulate(np.isnan(job.values)), np.nan, means)
    return np.ascontiguousarray(means)


def _forecast(result: ForecastResult, level: float) -> dict[str, object]:
    known = ~result.diffuse
    mean = np.where(known, result.mean, np.nan)
    variance = np.where(known, result.variance, np.nan)
    reach = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(variance)
    return {"mean": mean, "variance": variance, "lower": mean - reach, "upper": mean + reach}
