"""From the bytes of a request for filtered, smoothed or forecast series to a job.

JSON is what a call costs: the usual body goes from text to a NumPy array without a Python list, and
the numbers that are echoed are never parsed and printed again.
"""

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.job import LIGHT_STATES, Job
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.saved_states import SavedState
from luna_serving.capabilities.kalman.wire.calls import NamedCall, open_call, under_model
from luna_serving.capabilities.kalman.wire.model import built, covering
from luna_serving.capabilities.kalman.wire.schemas import DEFAULT_MODEL, KalmanRequest, SeriesRequest
from luna_serving.capabilities.kalman.wire.series import (
    SeriesLimits,
    check_covered,
    check_known,
    check_length,
    read_many,
    read_one,
)
from luna_serving.capabilities.kalman.wire.work import KalmanWork, OriginalWork
from luna_serving.engines.statespace.api.description import ModelError, Saved
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, refuse_mark
from luna_serving.wire.forms import open_body
from luna_serving.wire.problems import FieldError

# Numbers of covariances that one call may keep, in numbers that an answer may hold: 0.5 GB by default.
COVARIANCES: Final = 16


class _OfThread(threading.local):
    """simdjson's parser, which is reused and so belongs to one thread."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


class Wire:
    """Parses the bodies of the Kalman routes, in any thread."""

    def __init__(self, limits: SeriesLimits) -> None:
        self._limits = limits
        self._simdjson = _OfThread()

    def parse_original(self, body: bytes) -> OriginalWork | NamedCall:
        """Read `{"results": [...], "model"?: {...}}`.

        Raises:
            Problem: 422.
        """
        refuse_mark(body)
        values = self._only_numbers(body)
        if values is not None:
            check_length("/results", len(values), self._limits)
            return OriginalWork(
                Job(DEFAULT_MODEL, values, (len(values),)), body[body.index(b"[") : body.index(b"]") + 1]
            )
        opened = open_body(KalmanRequest, body, SPARE_LISTS)
        return under_model(opened.form.model, partial(self._original_work, opened.series))

    def _original_work(self, series: object, model: ModelSpec) -> OriginalWork:
        observed = built(model).observed
        if observed > 1:
            wrong = f"Observes {observed} elements; this route takes one. Use /kalman/filter."
            raise problems.invalid(FieldError("/model", wrong))
        values = read_one("/results", series, observed, self._limits)
        model, matrices = covering(model, len(values))
        check_covered(matrices, len(values))
        check_known(matrices, [values], [0])
        job = Job(model, values, (len(values),))
        self._check_weight(job, "/results")
        return OriginalWork(job, orjson.dumps(series))

    def parse_series(self, schema: type[SeriesRequest], body: bytes) -> KalmanWork[Job] | NamedCall:
        """Read `{"model", "observations": [series, ...], ...}`, the rest as `schema` has it.

        Raises:
            Problem: 422.
        """
        opened = open_call(schema, body, self._limits)
        return under_model(opened.form.model, partial(self._series_work, opened.form, opened.series))

    def _series_work(self, request: SeriesRequest, observations: object, model: ModelSpec) -> KalmanWork[Job]:
        matrices = built(model)
        series = read_many(observations, matrices, self._limits)
        starts = None if request.resume is None else _starts(request.resume, len(series), matrices.states)
        begun = [0 if start is None else start.period for start in starts or [None] * len(series)]
        periods = max(len(y) + first for y, first in zip(series, begun, strict=True)) + request.horizon
        model, matrices = covering(model, periods)
        check_covered(matrices, periods)
        check_known(matrices, series, begun, request.horizon)
        job = request.job(model, series, starts)
        self._check_answer(job)
        return KalmanWork(job)

    def _only_numbers(self, body: bytes) -> NDArray[np.float64] | None:
        """The series of a body that holds one list of numbers under "results" and nothing else; else None."""
        # simdjson flattens nested lists: with one bracket of each kind there are none.
        if body.count(b"[") != 1 or body.count(b"]") != 1:
            return None
        try:
            document: Any = self._simdjson.parser.parse(body)
            if len(document) != 1:
                return None
            values = np.frombuffer(document["results"].as_buffer(of_type="d"), dtype=np.float64)
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
            return None  # nulls, another form, or an error that the careful path explains
        finally:
            # The parser can be used again only when nothing refers to its document.
            document = None
        return values if len(values) else None

    def _check_answer(self, job: Job) -> None:
        most = self._limits.max_answer_numbers
        if job.numbers > most:
            wrong = f"Would answer {job.numbers} numbers; at most {most} are sent. Ask for fewer, or split the call."
            raise problems.invalid(FieldError("/steps" if job.task == "forecast" else "/outputs", wrong))
        self._check_weight(job, "/steps" if job.task == "forecast" else "/observations")

    def _check_weight(self, job: Job, pointer: str) -> None:
        """Refuse what would not fit into a replica's memory: a filter of many states keeps a covariance per period."""
        states = job.model.build().states
        periods = max(len(job.values), job.steps * len(job.lengths))
        most = COVARIANCES * self._limits.max_answer_numbers // states**2
        if states > LIGHT_STATES and periods > most:
            wrong = f"Takes {periods} periods of {states} states; at most {most} fit. Split the call, or resume."
            raise problems.invalid(FieldError(pointer, wrong))


def _starts(resume: Sequence[SavedState | None], count: int, states: int) -> tuple[Saved | None, ...]:
    if len(resume) != count:
        wrong = f"Holds {len(resume)} states for {count} series: give one a series, or null for a new one."
        raise problems.invalid(FieldError("/resume", wrong))
    try:
        return tuple(None if each is None else each.saved(states, f"/resume/{i}") for i, each in enumerate(resume))
    except ModelError as e:
        raise problems.invalid(FieldError(e.pointer, e.message)) from e
