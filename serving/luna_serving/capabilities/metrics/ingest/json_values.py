"""The values of samples in JSON, and the error for a body that is no JSON object."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from luna_serving.wire import problems
from luna_serving.wire.documents import refuse_mark
from luna_serving.wire.encodings import misencoded
from luna_serving.wire.json_values import loads
from luna_serving.wire.problems import FieldError

# JSON has no such numbers; Prometheus' API writes them so.
SPECIAL: Final[Mapping[Any, float]] = MappingProxyType(
    {"NaN": math.nan, "+Inf": math.inf, "Inf": math.inf, "-Inf": -math.inf}
)
EXPECTED_VALUE: Final = 'Must be a number, or one of the texts "NaN", "+Inf" and "-Inf"'
# Containers are slow to build. A sample has two objects, so this allows twice the samples of any call.
OBJECTS_PER_SAMPLE: Final = 4


class NotAValueError(ValueError):
    """It is no value of a sample."""


def to_value(value: object) -> float:
    """The float64 of a JSON value.

    Raises:
        NotAValueError: it is none; the message is a sentence.
    """
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if isinstance(value, str) and value in SPECIAL:
        return SPECIAL[value]
    if value is None:
        raise NotAValueError(f"{EXPECTED_VALUE}. Leave the sample out if its value is missing.")
    raise NotAValueError(f"{EXPECTED_VALUE}.")


def read_object(body: bytes, max_samples: int) -> dict[str, Any]:
    """Parse a body as a JSON object.

    Raises:
        Problem: 422, it is something else, or has more objects than `max_samples` samples need.
    """
    refuse_mark(body)
    if body.count(b"{") + body.count(b"[") > OBJECTS_PER_SAMPLE * max_samples + OBJECTS_PER_SAMPLE:
        wrong = f"Holds more objects and lists than any valid call of at most {max_samples} samples. Split the call."
        raise problems.invalid(FieldError("", wrong))
    try:
        document = loads(body)
    except orjson.JSONDecodeError as e:
        wrong = misencoded(body) or (
            f"Is not valid JSON: {e.msg} at line {e.lineno}, column {e.colno}. NaN and infinities are texts: "
            '"NaN", "+Inf", "-Inf".'
        )
        raise problems.invalid(FieldError("", wrong)) from e
    if not isinstance(document, dict):
        raise problems.invalid(FieldError("", "Must be a JSON object."))
    return document
