"""From a request's bytes to a job, and from a replica's bytes to an answer.

JSON is what a call costs: the usual body goes from text to a NumPy array without a Python list, and
the numbers that are echoed are never parsed and printed again.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.job import FORECASTS, LIGHT_STATES, Job, ModelSpec
from luna_serving.capabilities.kalman.wire.forms import covering, read_form, read_model
from luna_serving.capabilities.kalman.wire.kind_schemas import LocalLevel
from luna_serving.capabilities.kalman.wire.named_model import NamedModel, read_reference
from luna_serving.capabilities.kalman.wire.schemas import KalmanRequest, SeriesRequest
from luna_serving.capabilities.kalman.wire.series import (
    Limits,
    amounts,
    check_covered,
    check_known,
    check_length,
    check_series,
    limit_error,
    read_many,
    too_long,
)
from luna_serving.dispatch.work import Work
from luna_serving.engines.statespace.api.description import ModelError, Saved
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object, refuse_mark
from luna_serving.wire.problems import FieldError
from luna_store.quota.debits import Grant

# Numbers of covariances that one call may keep, in numbers that an answer may hold: 0.5 GB by default.
COVARIANCES: Final = 16
DEFAULT_MODEL = LocalLevel().spec()


@dataclass(frozen=True, slots=True)
class OriginalWork:
    """A call of `/kalman`."""

    job: Job
    echo: bytes
    """`results` as it was sent."""
    units: int = 1

    @property
    def grant(self) -> Grant:
        """The model's kind."""
        return Grant("kalman", self.job.model.kind)

    @property
    def points(self) -> int:
        """Observations in the call."""
        return len(self.job.values)

    @property
    def amounts(self) -> Mapping[str, int]:
        """Its one series, and the points of it."""
        return amounts(self.job.lengths)

    def limit_error(self, limit: str, most: int) -> FieldError:
        """The series is longer than its account may send."""
        del limit  # it is one series
        return too_long("/results", len(self.job.values), most)

    def finish(self, result: bytes) -> bytes:
        """The body of the answer, from the JSON array of means."""
        return b"".join((b'{"processed_results":', result, b',"input_data":', self.echo, b"}"))


@dataclass(frozen=True, slots=True)
class SeriesWork:
    """A call of `/kalman/filter`, `/smooth` or `/forecast`."""

    job: Job

    @property
    def units(self) -> int:
        """Series in the call."""
        return len(self.job.lengths)

    @property
    def grant(self) -> Grant:
        """The model's kind."""
        return Grant("kalman", self.job.model.kind)

    @property
    def points(self) -> int:
        """Observations in the call."""
        return len(self.job.values)

    @property
    def amounts(self) -> Mapping[str, int]:
        """Series, and observations of the longest; the steps of a forecast are none."""
        return amounts(self.job.lengths)

    def limit_error(self, limit: str, most: int) -> FieldError:
        """There are more or longer series than the account may send."""
        return limit_error(self.job.lengths, limit, most)

    def finish(self, result: bytes) -> bytes:
        """The body of the answer, which the replica has made already."""
        return result


KalmanWork = TypeVar("KalmanWork", bound=Work)


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call under a model that the account has stored."""

    reference: NamedModel
    under: Callable[[ModelSpec], Work]
    """The call's work, given the model. Raises Problem 422."""


class _OfThread(threading.local):
    """simdjson's parser, which is reused and so belongs to one thread."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


class Wire:
    """Parses the bodies of the Kalman routes, in any thread."""

    def __init__(self, limits: Limits) -> None:
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
        document = read_object(body, "results", SPARE_LISTS)
        series = document.get("results")
        read_form(KalmanRequest, {**document, "results": [0.0]} if "results" in document else document)
        under = partial(self._original_work, series)
        return under_model(document["model"], under) if "model" in document else under(DEFAULT_MODEL)

    def _original_work(self, series: object, model: ModelSpec) -> OriginalWork:
        built = model.build()
        if built.observed > 1:
            wrong = f"Observes {built.observed} elements; this route takes one. Use /kalman/filter."
            raise problems.invalid(FieldError("/model", wrong))
        check_series("/results", series, built.observed, self._limits)
        values = np.array(series, dtype=np.float64)
        model, built = covering(model, len(values))
        check_covered(built, len(values))
        check_known(built, [values], [0])
        job = Job(model, values, (len(values),))
        self._check_weight(job, "/results")
        return OriginalWork(job, orjson.dumps(series))

    def parse_series(self, schema: type[SeriesRequest], body: bytes) -> SeriesWork | NamedCall:
        """Read `{"model", "observations": [series, ...], ...}`, the rest as `schema` has it.

        Raises:
            Problem: 422.
        """
        document = read_object(body, "observations", self._limits.max_series_per_request + SPARE_LISTS)
        observations = document.get("observations")
        request = read_form(schema, {**document, "observations": [[0.0]]} if observations is not None else document)
        return under_model(document["model"], partial(self._series_work, request, observations))

    def _series_work(self, request: SeriesRequest, observations: object, model: ModelSpec) -> SeriesWork:
        built = model.build()
        series = read_many(observations, built, self._limits)
        steps = getattr(request, "steps", 0)
        starts = _starts(request, len(series), built.states)
        begun = [0 if start is None else start.period for start in starts or [None] * len(series)]
        periods = max(len(y) + first for y, first in zip(series, begun, strict=True)) + steps
        model, built = covering(model, periods)
        check_covered(built, periods)
        check_known(built, series, begun, steps)
        job = Job(
            model=model,
            values=np.concatenate(series),
            lengths=tuple(map(len, series)),
            task=request.TASK,
            outputs=tuple(dict.fromkeys(getattr(request, "outputs", FORECASTS))),
            loglike=request.loglike_convention,
            steps=steps,
            level=getattr(request, "level", 0.95),
            precision=request.precision,
            algorithm=request.algorithm,
            starts=starts,
        )
        self._check_answer(job)
        return SeriesWork(job)

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
        """Refuse what would not fit into a replica's memory: a filter of many states keeps a covariance a period."""
        states = job.model.build().states
        periods = max(len(job.values), job.steps * len(job.lengths))
        most = COVARIANCES * self._limits.max_answer_numbers // states**2
        if states > LIGHT_STATES and periods > most:
            wrong = f"Takes {periods} periods of {states} states; at most {most} fit. Split the call, or resume."
            raise problems.invalid(FieldError(pointer, wrong))


def _starts(request: SeriesRequest, count: int, states: int) -> tuple[Saved | None, ...] | None:
    if request.resume is None:
        return None
    if len(request.resume) != count:
        wrong = f"Holds {len(request.resume)} states for {count} series: give one a series, or null for a new one."
        raise problems.invalid(FieldError("/resume", wrong))
    try:
        return tuple(
            None if each is None else each.saved(states, f"/resume/{i}") for i, each in enumerate(request.resume)
        )
    except ModelError as e:
        raise problems.invalid(FieldError(e.pointer, e.message)) from e


def under_model(words: object, under: Callable[[ModelSpec], KalmanWork]) -> KalmanWork | NamedCall:
    """The work under the model that the words describe; or, where they name one, what there is to do once it is known.

    Raises:
        Problem: 422.
    """
    reference = read_reference(words)
    return under(read_model(words)) if reference is None else NamedCall(reference, under)
