"""What a client of a stream may say: JSON text, read strictly, wrong fields named."""

import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from luna_serving.capabilities.kalman.streams.job import FILTERED_NOW, SMOOTHED_BACK
from luna_serving.capabilities.kalman.wire.forms import read_form
from luna_serving.capabilities.kalman.wire.schemas import ModelOrName
from luna_serving.capabilities.kalman.wire.series import Limits, check_series
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import Words

DEFAULT_THRESHOLD: Final = 4.0
# What JSON numbers hold exactly everywhere.
LARGEST_SEQUENCE: Final = 2**53


class OpenMessage(Words):
    """Begin a stream."""

    type: Literal["open"]
    model: ModelOrName
    outputs: list[Literal[(*FILTERED_NOW, *SMOOTHED_BACK)]] | None = Field(  # type: ignore[valid-type]
        None, min_length=1, max_length=len(FILTERED_NOW) + len(SMOOTHED_BACK)
    )
    outlier_threshold: float = Field(DEFAULT_THRESHOLD, gt=0, le=1e300)
    lag: int = Field(0, ge=0)


class ResumeMessage(Words):
    """Go on with a stream."""

    type: Literal["resume"]
    stream: str = Field(max_length=64)
    after: int = Field(ge=0, le=LARGEST_SEQUENCE)


class PointsMessage(Words):
    """Further points of the stream; the first of them is number `sequence`."""

    type: Literal["points"]
    sequence: int = Field(ge=1, le=LARGEST_SEQUENCE)
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Open:
    """An `OpenMessage`, with the model's words as they came."""

    model: dict[str, Any]
    outputs: tuple[str, ...] | None
    outlier_threshold: float
    lag: int


@dataclass(frozen=True, slots=True)
class Resume:
    """A `ResumeMessage` whose stream is an id."""

    stream: uuid.UUID
    after: int


Message = Open | Resume | PointsMessage
FORMS: Final[dict[str, type[Words]]] = {"open": OpenMessage, "resume": ResumeMessage, "points": PointsMessage}


def read_message(message: str | bytes) -> Message:
    """A message as its form has it; a model and values are checked later.

    Raises:
        Problem: 422.
    """
    if isinstance(message, bytes):
        raise problems.invalid(FieldError("", "Must be a text message with a JSON object, not a binary one."))
    document = read_object(message.encode(), "values", SPARE_LISTS)
    kind = document.get("type")
    form = FORMS.get(kind) if isinstance(kind, str) else None
    if form is None:
        raise problems.invalid(FieldError("/type", 'Must be "open", "resume" or "points".'))
    if form is PointsMessage and isinstance(document.get("values"), list):
        # pydantic would look at each number.
        values = document["values"]
        read = read_form(form, {**document, "values": [0.0]})
        return PointsMessage.model_construct(type="points", sequence=read.sequence, values=values)
    read = read_form(form, document)
    if isinstance(read, ResumeMessage):
        return Resume(_stream_id(read.stream), read.after)
    outputs = None if read.outputs is None else tuple(read.outputs)
    return Open(document["model"], outputs, read.outlier_threshold, read.lag)


def _stream_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as e:
        raise problems.invalid(FieldError("/stream", 'Must be the id that "opened" told.')) from e


def read_values(values: list[Any], observed: int, most: int) -> NDArray[np.float64]:
    """The points of a message, [k] or [k, m]; NaN where missing.

    Raises:
        Problem: 422.
    """
    check_series("/values", values, observed, Limits(most, 1, most))
    return np.array(values, dtype=np.float64)
