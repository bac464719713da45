"""From a body's bytes to a JSON object, and where in it a number is none."""

import json
import math
from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from luna_serving.ingress import problems
from luna_serving.ingress.problems import FieldError

NUMBERS = frozenset({int, float, type(None)})
# More errors than these help nobody.
MAX_ERRORS = 10
# Python's json blocks the event loop for 20 ms a megabyte, and finds only what the caller can find as well.
MAX_EXPLAINED_BYTES = 1024 * 1024
# Containers and members are what is slow to build: 10 MB of empty lists take orjson 2 s, 10 MB of numbers 0.1 s. A
# valid body holds a list a series and a few of each besides; up to these, what is wrong is said by its field.
SPARE_LISTS = 10_000
MAX_OBJECTS = 1_000
MAX_MEMBERS = 1_000


def read_object(body: bytes, member: str, max_lists: int) -> dict[str, Any]:
    """A body as a JSON object.

    Args:
        body: the bytes.
        member: where the numbers stand, searched for the culprit where one of them is none.
        max_lists: the most lists that it may hold.

    Raises:
        Problem: 422.
    """
    refuse_mark(body)
    if body.count(b"[") > max_lists or body.count(b"{") > MAX_OBJECTS or body.count(b":") > MAX_MEMBERS:
        raise problems.invalid(FieldError("", "Holds more lists, objects or members than any valid call."))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise problems.invalid(*_culprits(body, member, e)) from e
    if not isinstance(document, dict):
        raise problems.invalid(FieldError("", "Must be a JSON object."))
    return document


def refuse_mark(body: bytes) -> None:
    """Refuse a byte order mark.

    Raises:
        Problem: 422.
    """
    # simdjson skips the mark and orjson does not: RFC 8259, section 8.1, forbids it.
    if body.startswith(BOM_UTF8):
        raise problems.invalid(FieldError("", "Begins with a byte order mark, which is not valid JSON. Leave it out."))


def _culprits(body: bytes, member: str, error: orjson.JSONDecodeError) -> list[FieldError]:
    """Where strict JSON ends: Python's own parser takes NaN and 1e400, and so finds their places."""
    plain = FieldError("", f"Is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.")
    if len(body) > MAX_EXPLAINED_BYTES:
        return [plain]
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
    return first(wrong for pointer, each in series for wrong in misfits(pointer, each)) or [plain]


def misfits(pointer: str, series: list[Any]) -> Iterator[FieldError]:
    """The elements of a series that are neither finite numbers nor null."""
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


def first(errors: Iterator[FieldError]) -> list[FieldError]:
    """As many errors as a problem shows."""
    return list(islice(errors, MAX_ERRORS))
