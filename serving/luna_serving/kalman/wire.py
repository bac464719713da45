"""From a request's bytes to a job, and from a replica's bytes to an answer.

JSON is what a call costs: the usual body goes from text to a NumPy array without a Python list, and
the numbers that are echoed are never parsed and printed again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from luna_serving.ingress import problems
from luna_serving.ingress.problems import FieldError
from luna_serving.kalman.documents import NUMBERS, SPARE_LISTS, first, misfits, read_object, refuse_mark
from luna_serving.kalman.forms import read_form, read_model, read_reference
from luna_serving.kalman.jobs import FORECASTS, Job, ModelReference, ModelSpec
from luna_serving.kalman.schemas import KalmanRequest, LocalLevel, SeriesRequest

DEFAULT_MODEL = LocalLevel().spec()


@dataclass(frozen=True, slots=True)
class Limits:
    """See `luna_serving.settings.Settings`."""

    max_series_length: int
    max_series_per_request: int
    max_answer_numbers: int


@dataclass(frozen=True, slots=True)
class OriginalWork:
    """A call of `/kalman`."""

    job: Job
    echo: bytes
    """`results` as it was sent."""
    units: int = 1

    @property
    def model(self) -> str:
        """The model's kind."""
        return self.job.model.kind

    @property
    def points(self) -> int:
        """Observations in the call."""
        return len(self.job.values)

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
    def model(self) -> str:
        """The model's kind."""
        return self.job.model.kind

    @property
    def points(self) -> int:
        """Observations in the call."""
        return len(self.job.values)

    def finish(self, result: bytes) -> bytes:
        """The body of the answer, which the replica has made already."""
        return result


KalmanWork = TypeVar("KalmanWork", OriginalWork, SeriesWork)


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call under a model that the account has stored."""

    reference: ModelReference
    under: Callable[[ModelSpec], OriginalWork | SeriesWork]
    """The call's work, given the model. Raises Problem 422."""


class Wire:
    """Parses the bodies of the Kalman routes. Not safe for several threads: simdjson's parser is reused."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._simdjson = simdjson.Parser()

    def parse_original(self, body: bytes) -> OriginalWork | NamedCall:
        """Read `{"results": [...], "model"?: {...}}`.

        Raises:
            Problem: 422.
        """
        refuse_mark(body)
        values = self._only_numbers(body)
        if values is not None:
            self._check_length("/results", len(values))
            return OriginalWork(
                Job(DEFAULT_MODEL, values, (len(values),)), body[body.index(b"[") : body.index(b"]") + 1]
            )
        document = read_object(body, "results", SPARE_LISTS)
        series = document.get("results")
        read_form(KalmanRequest, {**document, "results": [0.0]} if "results" in document else document)
        under = partial(self._original_work, series)
        return _under(document["model"], under) if "model" in document else under(DEFAULT_MODEL)

    def _original_work(self, series: object, model: ModelSpec) -> OriginalWork:
        self._check_series("/results", series)
        values = np.array(series, dtype=np.float64)
        return OriginalWork(Job(model, values, (len(values),)), orjson.dumps(series))

    def parse_series(self, schema: type[SeriesRequest], body: bytes) -> SeriesWork | NamedCall:
        """Read `{"model", "observations": [series, ...], ...}`, the rest as `schema` has it.

        Raises:
            Problem: 422.
        """
        document = read_object(body, "observations", self._limits.max_series_per_request + SPARE_LISTS)
        observations = document.get("observations")
        request = read_form(schema, {**document, "observations": [[0.0]]} if observations is not None else document)
        return _under(document["model"], partial(self._series_work, request, observations))

    def _series_work(self, request: SeriesRequest, observations: object, model: ModelSpec) -> SeriesWork:
        if not isinstance(observations, list) or not observations:
            raise problems.invalid(FieldError("/observations", "Must be a list of at least one series."))
        if len(observations) > self._limits.max_series_per_request:
            most = self._limits.max_series_per_request
            raise problems.invalid(FieldError("/observations", f"Must hold at most {most} series. Split the call."))
        # All are checked before the first is turned into numbers: a refusal costs less than an answer.
        for i, each in enumerate(observations):
            self._check_series(f"/observations/{i}", each)
        job = Job(
            model=model,
            values=np.concatenate([np.array(each, dtype=np.float64) for each in observations]),
            lengths=tuple(map(len, observations)),
            task=request.TASK,
            outputs=tuple(dict.fromkeys(getattr(request, "outputs", FORECASTS))),
            loglike=request.loglike_convention,
            steps=getattr(request, "steps", 0),
            level=getattr(request, "level", 0.95),
        )
        self._check_answer(job)
        return SeriesWork(job)

    def _only_numbers(self, body: bytes) -> NDArray[np.float64] | None:
        """The series of a body that holds one list of numbers under "results" and nothing else; else None."""
        # simdjson flattens nested lists: with one bracket of each kind there are none.
        if body.count(b"[") != 1 or body.count(b"]") != 1:
            return None
        try:
            document: Any = self._simdjson.parse(body)
            if len(document) != 1:
                return None
            values = np.frombuffer(document["results"].as_buffer(of_type="d"), dtype=np.float64)
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
            return None  # nulls, another form, or an error that the careful path explains
        finally:
            # The parser can be used again only when nothing refers to its document.
            document = None
        return values if len(values) else None

    def _check_series(self, pointer: str, series: object) -> None:
        if not isinstance(series, list) or not series:
            raise problems.invalid(FieldError(pointer, "Must be a list of at least one number or null."))
        self._check_length(pointer, len(series))
        if not set(map(type, series)) <= NUMBERS:
            raise problems.invalid(*first(misfits(pointer, series)))

    def _check_length(self, pointer: str, length: int) -> None:
        most = self._limits.max_series_length
        if length > most:
            raise problems.invalid(FieldError(pointer, f"Has {length} points; at most {most} are taken. Split it."))

    def _check_answer(self, job: Job) -> None:
        most = self._limits.max_answer_numbers
        if job.numbers > most:
            wrong = f"Would answer {job.numbers} numbers; at most {most} are sent. Ask for fewer, or split the call."
            raise problems.invalid(FieldError("/steps" if job.task == "forecast" else "/outputs", wrong))


def _under(words: object, under: Callable[[ModelSpec], KalmanWork]) -> KalmanWork | NamedCall:
    reference = read_reference(words)
    return under(read_model(words)) if reference is None else NamedCall(reference, under)
