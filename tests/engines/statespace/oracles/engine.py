"""The engine as a caller has it: a request's bytes to its answer, through the wire and a replica's work, no HTTP."""

import json
from typing import Any, Final

import orjson

from luna_serving.capabilities.kalman.compute import compute
from luna_serving.capabilities.kalman.jobs.output_sizes import FILTERED
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import FilterRequest, ForecastRequest, SeriesRequest, SmoothRequest
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.dispatch.outcomes import Failed, Refused
from luna_serving.engines.statespace.process.jax_process import configure_jax
from luna_serving.wire.problems import Problem

from .cases import Case, Words

configure_jax()
LIMITS: Final = SeriesLimits(max_series_length=1_000_000, max_series_per_request=200, max_answer_numbers=40_000_000)
WIRE: Final = Wire(LIMITS)
SCHEMAS: Final[dict[str, type[SeriesRequest]]] = {
    "filter": FilterRequest,
    "smooth": SmoothRequest,
    "forecast": ForecastRequest,
}
EVERYTHING: Final = [name for name in FILTERED if name != "state"]


class RefusedError(Exception):
    """The engine's refusal: a pointer and a sentence for each error."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(str(errors))
        self.errors = errors


def answered(task: str, body: Words) -> Words:
    """The answer to a request of `/kalman/<task>`.

    Raises:
        RefusedError: it is refused with 422.
    """
    raw = orjson.dumps(body)
    try:
        work = parse_simulate(LIMITS, raw) if task == "simulate" else WIRE.parse_series(SCHEMAS[task], raw)
    except Problem as problem:
        if problem.status != 422:
            raise
        raise RefusedError({each["pointer"]: each["detail"] for each in problem.extra["errors"]}) from problem
    assert isinstance(work, KalmanWork)
    (answer,) = compute([work.job])
    if isinstance(answer, Refused):
        raise RefusedError({answer.pointer: answer.detail})
    assert not isinstance(answer, Failed), "the replica failed"
    assert isinstance(answer, bytes)
    found: dict[str, Any] = json.loads(work.finish(answer))
    return found


def requests(case: Case) -> dict[str, Words]:
    """A body for each task."""
    base = {"model": case.model, "observations": [case.series]}
    copies = [[None if y is None else y * (1 + i / 8) for y in case.series] for i in range(case.copies)]
    return {
        "filter": {**base, "observations": copies, "outputs": EVERYTHING},
        "means": {**base, "observations": copies, "outputs": ["filtered_state"]},
        "smooth": {**base, "outputs": ["smoothed_state", "smoothed_state_cov"]},
        "forecast": {**base, "steps": case.steps},
    }
