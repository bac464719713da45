"""Parses a body into a JSON object, and finds values that are not numbers in JSON."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from luna_serving.wire import problems
from luna_serving.wire.encodings import misencoded
from luna_serving.wire.json_values import loads
from luna_serving.wire.numbers import infinite, is_finite
from luna_serving.wire.pointers import first, pointer_of
from luna_serving.wire.problems import FieldError

# Above this size the place of a syntax error is not searched: Python's json blocks the event loop for 20 ms per MB.
MAX_EXPLAINED_BYTES = 1024 * 1024
# From which NumPy is quicker to count a byte.
LONG_BYTES = 16 * 1024
# Containers and members are slow to build: 10 MB of numbers take orjson 0.1 s, 10 MB of lists 0.2 to 0.4 s (0.6 to
# 1.1 s with the garbage collector on). Rows of several elements and matrices that vary in time are many lists, but in a
# valid body they take at least BYTES_PER_LIST on average; a few more are free.
SPARE_LISTS = 4_000
BYTES_PER_LIST = 4
# Depth of the deepest number: in a matrix of a component of a model that varies in time.
DEEPEST = 8
# A thousand series that resume from saved states are a thousand objects of seven members.
MAX_OBJECTS = 2_000
MAX_MEMBERS = 12_000


def read_object(body: bytes, member: str, max_lists: int) -> dict[str, Any]:
    """Parse a body as a JSON object.

    Args:
        body: the bytes.
        member: the member with the series, in which null is a missing number.
        max_lists: the most lists in addition to those that its length allows.

    Raises:
        Problem: 422.
    """
    refuse_mark(body)
    if not within_bounds(body, max_lists):
        raise problems.invalid(FieldError("", "Holds more lists, objects or members than any valid call."))
    try:
        document = loads(body)
    except orjson.JSONDecodeError as e:
        raise problems.invalid(*_culprits(body, member, e)) from e
    if not isinstance(document, dict):
        raise problems.invalid(FieldError("", "Must be a JSON object."))
    return document


def within_bounds(body: bytes, max_lists: int) -> bool:
    """Whether a body has no more lists, objects and members than a valid call; arguments as of `read_object`."""
    lists = occurrences(body, b"[") - len(body) // BYTES_PER_LIST
    return lists <= max_lists and occurrences(body, b"{") <= MAX_OBJECTS and occurrences(body, b":") <= MAX_MEMBERS


def occurrences(body: bytes, byte: bytes) -> int:
    """How often a byte occurs; `bytes.count` takes four times as long for megabytes."""
    if len(body) < LONG_BYTES:
        return body.count(byte)
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == byte[0]))


def refuse_mark(body: bytes) -> None:
    """Refuse a byte order mark.

    Raises:
        Problem: 422.
    """
    # simdjson skips the mark and orjson does not; RFC 8259, section 8.1, forbids it.
    if body.startswith(BOM_UTF8):
        raise problems.invalid(FieldError("", "Begins with a byte order mark, which is not valid JSON. Leave it out."))


def _culprits(body: bytes, member: str, error: orjson.JSONDecodeError) -> list[FieldError]:
    """The errors of a body that is not strict JSON: Python's parser accepts NaN and 1e400, which gives their places."""
    encoding = misencoded(body)
    if encoding is not None:
        return [FieldError("", encoding)]
    plain = FieldError("", f"Is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.")
    if len(body) > MAX_EXPLAINED_BYTES:
        return [plain]
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return [plain]
    return first(_not_finite("", document, f"/{member}")) or [plain]


def _not_finite(pointer: str, value: Any, series: str) -> Iterator[FieldError]:  # noqa: ANN401  JSON
    """The errors of numbers within a value that JSON cannot express."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in steps:
        at = f"{pointer}{pointer_of([str(step)])}"
        # No field is deeper, and the recursion is bounded.
        if isinstance(each, dict | list) and at.count("/") < DEEPEST:
            yield from _not_finite(at, each, series)
        elif isinstance(each, int | float) and not is_finite(each):
            yield infinite(at, or_null=at.startswith(f"{series}/"))
