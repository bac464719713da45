"""From a request's bytes to a job, and from a replica's bytes to an answer.

JSON is what a call costs (`facts.md`): the usual body goes from text to a NumPy array without a Python list, and
the numbers that are echoed are never parsed and printed again.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from luna_serving.ingress import problems
from luna_serving.ingress.problems import FieldError
from luna_serving.kalman.jobs import SIZES, Job, ModelSpec
from luna_serving.kalman.schemas import FilterRequest, KalmanRequest, LocalLevel, Model
from luna_serving.statespace.checks import ModelError

DEFAULT_MODEL = LocalLevel().spec()
NUMBERS = frozenset({int, float, type(None)})
MODEL: TypeAdapter[Any] = TypeAdapter(Model)
# More errors than these help nobody.
MAX_ERRORS = 10


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
class FilterWork:
    """A call of `/kalman/filter`."""

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


class Wire:
    """Parses the bodies of the Kalman routes. Not safe for several threads: simdjson's parser is reused."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._simdjson = simdjson.Parser()

    def parse_original(self, body: bytes) -> OriginalWork:
        """Read `{"results": [...], "model"?: {...}}`.

        Raises:
            Problem: 422.

        """
        values = self._only_numbers(body)
        if values is not None:
            self._check_length("/results", len(values))
            return OriginalWork(
                Job(DEFAULT_MODEL, values, (len(values),), None), body[body.index(b"[") : body.index(b"]") + 1]
            )
        document = read_object(body, "results")
        series = document.get("results")
        _form(KalmanRequest, {**document, "results": [0.0]} if "results" in document else document)
        model = self._model(document["model"]) if "model" in document else DEFAULT_MODEL
        values = self._series("/results", series)
        return OriginalWork(Job(model, values, (len(values),), None), orjson.dumps(series))

    def parse_filter(self, body: bytes) -> FilterWork:
        """Read `{"model", "observations": [series, ...], "outputs"?, ...}`.

        Raises:
            Problem: 422.

        """
        document = read_object(body, "observations")
        observations = document.get("observations")
        request = _form(FilterRequest, {**document, "observations": [[0.0]]} if observations is not None else document)
        model = self._model(document["model"])
        if not isinstance(observations, list) or not observations:
            raise problems.invalid(FieldError("/observations", "Must be a list of at least one series."))
        if len(observations) > self._limits.max_series_per_request:
            most = self._limits.max_series_per_request
            raise problems.invalid(FieldError("/observations", f"Must hold at most {most} series. Split the call."))
        series = [self._series(f"/observations/{i}", each) for i, each in enumerate(observations)]
        job = Job(
            model=model,
            values=np.concatenate(series),
            lengths=tuple(len(each) for each in series),
            outputs=tuple(dict.fromkeys(request.outputs)),
            loglike=request.loglike_convention,
        )
        self._check_answer(job)
        return FilterWork(job)

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

    def _series(self, pointer: str, series: object) -> NDArray[np.float64]:
        if not isinstance(series, list) or not series:
            raise problems.invalid(FieldError(pointer, "Must be a list of at least one number or null."))
        self._check_length(pointer, len(series))
        if not set(map(type, series)) <= NUMBERS:
            raise problems.invalid(*_first(_misfits(pointer, series)))
        return np.array(series, dtype=np.float64)

    def _check_length(self, pointer: str, length: int) -> None:
        most = self._limits.max_series_length
        if length > most:
            raise problems.invalid(FieldError(pointer, f"Has {length} points; at most {most} are taken. Split it."))

    def _check_answer(self, job: Job) -> None:
        states = job.model.build().states
        numbers = sum(SIZES[name](states) for name in job.outputs or ()) * len(job.values)
        most = self._limits.max_answer_numbers
        if numbers > most:
            wrong = f"Would answer {numbers} numbers; at most {most} are sent. Ask for fewer, or split the call."
            raise problems.invalid(FieldError("/outputs", wrong))

    @staticmethod
    def _model(words: object) -> ModelSpec:
        try:
            spec: ModelSpec = MODEL.validate_python(words).spec()
            spec.build()
        except ModelError as e:
            raise problems.invalid(FieldError(f"/model{e.pointer}", e.message)) from e
        return spec


def read_object(body: bytes, member: str) -> dict[str, Any]:
    """A body as a JSON object.

    Args:
        body: the bytes.
        member: where the numbers stand, searched for the culprit where one of them is none.

    Raises:
        Problem: 422.

    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise problems.invalid(*_culprits(body, member, e)) from e
    if not isinstance(document, dict):
        raise problems.invalid(FieldError("", "Must be a JSON object."))
    return document


def _culprits(body: bytes, member: str, error: orjson.JSONDecodeError) -> list[FieldError]:
    """Where strict JSON ends: Python's own parser takes NaN and 1e400, and so finds their places."""
    plain = FieldError("", f"Is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return [plain]
    value = document.get(member) if isinstance(document, dict) else None
    if not isinstance(value, list):
        return [plain]
    # A list of series, or one series.
    many = [(f"/{member}/{i}", each) for i, each in enumerate(value) if isinstance(each, list)]
    series = many if many and member == "observations" else [(f"/{member}", value)]
    return _first(wrong for pointer, each in series for wrong in _misfits(pointer, each)) or [plain]


def _misfits(pointer: str, series: list[Any]) -> Iterator[FieldError]:
    for i, each in enumerate(series):
        if type(each) not in NUMBERS:
            yield FieldError(f"{pointer}/{i}", f"Must be a number or null, not {_name(each)}.")
        elif each is not None and not _is_finite(each):
            yield FieldError(
                f"{pointer}/{i}", "Must be a finite float64 (below 1.8e308 in size), or null where it is missing."
            )


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _name(value: object) -> str:
    names = {str: "a string", bool: "a boolean", dict: "an object", list: "a list"}
    return names.get(type(value), "this")


def _first(errors: Iterator[FieldError]) -> list[FieldError]:
    return [error for error, _ in zip(errors, range(MAX_ERRORS), strict=False)]


def _form(schema: type[KalmanRequest] | type[FilterRequest], document: dict[str, Any]) -> Any:  # noqa: ANN401
    try:
        return schema.model_validate(document)
    except ValidationError as e:
        raise problems.invalid(*(_field_error(error) for error in e.errors()[:MAX_ERRORS])) from e


def _field_error(error: Any) -> FieldError:  # noqa: ANN401  pydantic_core.ErrorDetails
    # A union's branch stands in the path, but not in the body.
    steps = [str(step) for step in error["loc"]]
    kept = [s for i, s in enumerate(steps) if not (i and steps[i - 1] in {"model", "initial"} and s in TAGS)]
    escaped = (step.replace("~", "~0").replace("/", "~1") for step in kept)
    return FieldError("".join(f"/{step}" for step in escaped), f"{error['msg']}.")


TAGS = frozenset({"local_level", "local_linear_trend", "constant_velocity", "known", "diffuse", "approximate_diffuse"})
