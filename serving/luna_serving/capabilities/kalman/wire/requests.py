"""Parses the bytes of a request for filtered, smoothed or forecast series into a job.

JSON dominates the cost of a call, so the usual body goes from text to a NumPy array without a Python list, and
echoed numbers are not parsed and printed again.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import orjson

from luna_serving.capabilities.kalman.jobs.job import LIGHT_STATES, Form, Job
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.saved_states import SavedState
from luna_serving.capabilities.kalman.wire.binary import Arrays, answer_form, check_form, read_sent
from luna_serving.capabilities.kalman.wire.calls import NamedCall, open_call, under_model
from luna_serving.capabilities.kalman.wire.model import built, covering
from luna_serving.capabilities.kalman.wire.schemas import DEFAULT_MODEL, KalmanRequest, SeriesRequest
from luna_serving.capabilities.kalman.wire.series import (
    Flat,
    SeriesLimits,
    check_covered,
    check_known,
    check_length,
    read_many,
    read_one,
)
from luna_serving.capabilities.kalman.wire.work import BinaryWork, KalmanWork, OriginalWork
from luna_serving.engines.statespace.api.description import ModelError, Saved
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, refuse_mark
from luna_serving.wire.flat_series import FlatReader
from luna_serving.wire.forms import open_body, read_form
from luna_serving.wire.problems import FieldError
from luna_serving.wire.sent import Sent
from luna_serving.wire.tabular import JSON

# Numbers of covariances that one call may keep, as a multiple of those in an answer: 0.5 GB by default.
COVARIANCES: Final = 16


class Wire:
    """Parses the bodies of the Kalman routes, in any thread."""

    def __init__(self, limits: SeriesLimits) -> None:
        self._limits = limits
        self._flat = FlatReader()

    def parse_original(self, body: bytes) -> OriginalWork | NamedCall:
        """Read `{"results": [...], "model"?: {...}}`.

        Raises:
            Problem: 422.
        """
        refuse_mark(body)
        values = self._flat.numbers(body, KalmanRequest.series_member())
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
        return self._parse_json(schema, body, "json")

    def parse_sent(self, schema: type[SeriesRequest], sent: Sent) -> KalmanWork[Job] | NamedCall:
        """Read a request whose body or answer is not JSON, or that has a query.

        Raises:
            Problem: 406, 422.
        """
        form = answer_form(sent)
        if sent.media_type != JSON:
            members, arrays = read_sent(sent, self._limits)
            request = read_form(schema, members)
            return under_model(request.model, partial(self._series_work, request, arrays, form))
        if sent.query:
            wrong = "Is for a body that is not JSON. Send its members in the body."
            raise problems.invalid(FieldError(f"/query/{next(iter(sent.query))}", wrong))
        return self._parse_json(schema, sent.body, form)

    def _parse_json(self, schema: type[SeriesRequest], body: bytes, form: Form) -> KalmanWork[Job] | NamedCall:
        refuse_mark(body)
        flat = self._flat.many(body, schema.series_member(), self._limits.max_series_per_request + SPARE_LISTS)
        if flat is not None:
            request = read_form(schema, flat.members)
            return under_model(request.model, partial(self._series_work, request, Flat(flat.series), form))
        opened = open_call(schema, body, self._limits)
        return under_model(opened.form.model, partial(self._series_work, opened.form, opened.series, form))

    def _series_work(
        self, request: SeriesRequest, observations: object, form: Form, model: ModelSpec
    ) -> KalmanWork[Job]:
        matrices = built(model)
        match observations:
            case Arrays() | Flat():
                series = observations.checked(matrices, self._limits)
            case _:
                series = read_many(observations, matrices, self._limits)
        starts = None if request.resume is None else _starts(request.resume, len(series), matrices.states)
        begun = [0 if start is None else start.period for start in starts or [None] * len(series)]
        periods = max(len(y) + first for y, first in zip(series, begun, strict=True)) + request.horizon
        model, matrices = covering(model, periods)
        check_covered(matrices, periods)
        check_known(matrices, series, begun, request.horizon)
        job = request.job(model, series, starts)
        check_form(form, job.outputs, job.lengths, forecast=job.task == "forecast")
        self._check_answer(job)
        return KalmanWork(job) if form == "json" else BinaryWork(replace(job, form=form))

    def _check_answer(self, job: Job) -> None:
        most = self._limits.max_answer_numbers
        if job.numbers > most:
            wrong = f"Would answer {job.numbers} numbers; at most {most} are sent. Ask for fewer, or split the call."
            raise problems.invalid(FieldError("/steps" if job.task == "forecast" else "/outputs", wrong))
        self._check_weight(job, "/steps" if job.task == "forecast" else "/observations")

    def _check_weight(self, job: Job, pointer: str) -> None:
        """Refuse calls that exceed a replica's memory: a filter of many states keeps a covariance per period."""
        states = job.model.build().states
        periods = max(len(job.values), job.steps * len(job.lengths))
        most = COVARIANCES * self._limits.max_answer_numbers // states**2
        if states > LIGHT_STATES and periods > most:
            wrong = f"Takes {periods} periods of {states} states; at most {most} fit. Split the call, or resume."
            raise problems.invalid(FieldError(pointer, wrong))


def _starts(resume: Sequence[SavedState | None], count: int, states: int) -> tuple[Saved | None, ...]:
    if len(resume) != count:
        wrong = f"Holds {len(resume)} states for {count} series: give one per series, or null for a new one."
        raise problems.invalid(FieldError("/resume", wrong))
    try:
        return tuple(None if each is None else each.saved(states, f"/resume/{i}") for i, each in enumerate(resume))
    except ModelError as e:
        raise problems.invalid(FieldError(e.pointer, e.message)) from e
