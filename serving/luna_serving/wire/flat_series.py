"""Series of numbers in a JSON body, from text to arrays without Python numbers.

A Python float costs ten times what its digits cost to read, and a large list holds the interpreter's lock for as long.
Whatever is not plain here is left to `documents` and `series`, which explain errors.
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from luna_serving.wire.documents import occurrences, within_bounds
from luna_serving.wire.numbers import NUMBER_OR_NULL


@dataclass(frozen=True, slots=True)
class FlatBody:
    """A JSON object, one member of which holds series."""

    members: dict[str, Any]
    """The others."""
    series: list[NDArray[np.float64]]
    """[T] each, T > 0; NaN where null."""


class FlatReader(threading.local):
    """Reads bodies, in any thread: a parser is reused, and so belongs to one."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def numbers(self, body: bytes, member: str) -> NDArray[np.float64] | None:
        """The numbers of a body whose only member is one list of them; None for any other body."""
        # simdjson flattens nested lists: with one bracket of each kind there are none.
        if body.count(b"[") != 1 or body.count(b"]") != 1:
            return None
        try:
            document: Any = self._parser.parse(body)
            if len(document) != 1:
                return None
            values = np.frombuffer(document[member].as_buffer(of_type="d"), dtype=np.float64)
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
            return None  # nulls, another form, or an error that the general path explains
        finally:
            # The parser can be reused only when nothing refers to its document.
            document = None
        return values if len(values) else None

    def many(self, body: bytes, member: str, max_lists: int) -> FlatBody | None:
        """A body with a list of lists of numbers or nulls under `member`; None for any other body.

        Args:
            body: the bytes.
            member: the member with the series.
            max_lists: as of `documents.read_object`.
        """
        if not within_bounds(body, max_lists):
            return None
        document: Any = None
        try:
            document = self._parser.parse(body)
            return _many(document, member, occurrences(body, b"["))
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
            return None
        finally:
            document = None


def _many(document: Any, member: str, brackets: int) -> FlatBody | None:  # noqa: ANN401  simdjson's, without types
    names = list(document.keys())
    if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        return None
    members: dict[str, Any] = {}
    for name in names:
        if name == member:
            continue
        value = document[name]
        if isinstance(value, simdjson.Array | simdjson.Object):
            mini: Any = value.mini
            text = bytes(mini)
            brackets -= text.count(b"[")
            members[name] = orjson.loads(text)
        else:
            brackets -= value.count("[") if isinstance(value, str) else 0
            members[name] = value
    lists = document[member]
    # One bracket of the member, and one per series: none is nested, which simdjson would flatten.
    if not isinstance(lists, simdjson.Array) or not len(lists) or brackets != 1 + len(lists):
        return None
    series = [_one(each) for each in lists]
    return None if any(each is None for each in series) else FlatBody(members, [s for s in series if s is not None])


def _one(numbers: Any) -> NDArray[np.float64] | None:  # noqa: ANN401  simdjson's
    if not isinstance(numbers, simdjson.Array) or not len(numbers):
        return None
    try:
        return np.frombuffer(numbers.as_buffer(of_type="d"), dtype=np.float64)
    except (ValueError, TypeError):
        values = numbers.as_list()
        return np.array(values, dtype=np.float64) if set(map(type, values)) <= NUMBER_OR_NULL else None
