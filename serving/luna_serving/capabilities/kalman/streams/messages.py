"""What a client of a stream may say: JSON text, read strictly, wrong fields named."""

import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.streams.job import FILTERED_NOW, SMOOTHED_BACK
from luna_serving.capabilities.kalman.wire.model import ModelOrName
from luna_serving.capabilities.kalman.wire.named_model import NamedModel
from luna_serving.capabilities.kalman.wire.series import Series, SeriesLimits, read_one
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.forms import Form, open_document, read_form
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import StrictModel

DEFAULT_THRESHOLD: Final = 4.0
# What JSON numbers hold exactly everywhere.
LARGEST_SEQUENCE: Final = 2**53


class OpenMessage(StrictModel):
    """Begin a stream."""

    type: Literal["open"]
    model: ModelOrName
    outputs: list[Literal[(*FILTERED_NOW, *SMOOTHED_BACK)]] | None = Field(  # type: ignore[valid-type]
        None, min_length=1, max_length=len(FILTERED_NOW) + len(SMOOTHED_BACK)
    )
    outlier_threshold: float = Field(DEFAULT_THRESHOLD, gt=0, le=1e300)
    lag: int = Field(0, ge=0)


class ResumeMessage(StrictModel):
    """Go on with a stream."""

    type: Literal["resume"]
    stream: str = Field(max_length=64)
    after: int = Field(ge=0, le=LARGEST_SEQUENCE)


class Values(BaseModel):
    """The series of a message of points."""

    values: Series


class PointsMessage(Form):
    """Further points of the stream; the first of them is number `sequence`."""

    SERIES = Values

    type: Literal["points"]
    sequence: int = Field(ge=1, le=LARGEST_SEQUENCE)


@dataclass(frozen=True, slots=True)
class Open:
    """An `OpenMessage`, with its model read but not built."""

    model: ModelSpec | NamedModel
    outputs: tuple[str, ...] | None
    outlier_threshold: float
    lag: int


@dataclass(frozen=True, slots=True)
class Resume:
    """A `ResumeMessage` whose stream is an id."""

    stream: uuid.UUID
    after: int


@dataclass(frozen=True, slots=True)
class Points:
    """A `PointsMessage`, with its values as they came."""

    sequence: int
    values: list[Any]


Message = Open | Resume | Points


def read_message(message: str | bytes) -> Message:
    """A message as its form has it; whether the model can be built, and values, are checked later.

    Raises:
        Problem: 422.
    """
    if isinstance(message, bytes):
        raise problems.invalid(FieldError("", "Must be a text message with a JSON object, not a binary one."))
    document = read_object(message.encode(), "values", SPARE_LISTS)
    match document.get("type"):
        case "open":
            return _open(read_form(OpenMessage, document))
        case "resume":
            resume = read_form(ResumeMessage, document)
            return Resume(_stream_id(resume.stream), resume.after)
        case "points":
            return _points(document)
        case _:
            raise problems.invalid(FieldError("/type", 'Must be "open", "resume" or "points".'))


def _open(message: OpenMessage) -> Open:
    outputs = None if message.outputs is None else tuple(message.outputs)
    return Open(message.model, outputs, message.outlier_threshold, message.lag)


def _points(document: dict[str, Any]) -> Points:
    opened = open_document(PointsMessage, document)
    if not isinstance(opened.series, list):
        raise problems.invalid(FieldError("/values", "Must be a list of points."))
    return Points(opened.form.sequence, opened.series)


def _stream_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as e:
        raise problems.invalid(FieldError("/stream", 'Must be the `stream` of an "opened" message.')) from e


def read_values(values: list[Any], observed: int, most: int) -> NDArray[np.float64]:
    """The points of a message, [k] or [k, m]; NaN where missing.

    Raises:
        Problem: 422.
    """
    return read_one("/values", values, observed, SeriesLimits(most, 1, most))
