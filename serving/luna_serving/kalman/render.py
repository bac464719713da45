"""From filtered series to the JSON of an answer; NaN becomes null."""

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.ingress.gate import Refused
from luna_serving.kalman.jobs import Job
from luna_serving.statespace.results import BatchReport, SeriesResult

OVERFLOW = "The series and the model overflow float64. Scale the series to about unit size, or check the variances."


def render(job: Job, results: list[SeriesResult], report: BatchReport) -> bytes | Refused:
    """The answer to a job, or why there is none."""
    for i, result in enumerate(results):
        if not result.finite:
            return Refused("/results" if job.outputs is None else f"/observations/{i}", OVERFLOW)
    if job.outputs is None:
        return orjson.dumps(_means(job, results[0]), option=orjson.OPT_SERIALIZE_NUMPY)
    plan = {
        "algorithm": report.algorithm,
        "precision": report.precision,
        "device": report.device,
        "batch_shape": report.batch_shape,
        "warnings": report.warnings,
    }
    answers = [{name: _output(result, name) for name in job.outputs} for result in results]
    return orjson.dumps({"plan": plan, "results": answers}, option=orjson.OPT_SERIALIZE_NUMPY)


def _means(job: Job, result: SeriesResult) -> NDArray[np.float64]:
    means = result.filtered_signal
    if dict(job.model.initial)["kind"] == "diffuse" and np.isnan(job.values[0]):
        # Before the first observation nothing is known: zero would look like an answer.
        means = np.where(np.logical_and.accumulate(np.isnan(job.values)), np.nan, means)
    return np.ascontiguousarray(means)


def _output(result: SeriesResult, name: str) -> object:
    value = result.filtered_state if name == "filtered_state" else getattr(result.full, name)
    return np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value
