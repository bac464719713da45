"""Numbers of JSON: finite float64 or null, and how schemas check arrays of them."""

import math
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from luna_serving.wire.problems import FieldError

NUMBER_OR_NULL: Final = frozenset({int, float, type(None)})
SHAPES: Final = ("alone", "in a list", "in a list of rows", "in a list of matrices, one per period")


def is_finite(number: float) -> bool:
    """Whether the number is a finite float64."""
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer of hundreds of digits
        return False


def infinite(pointer: str, *, or_null: bool) -> FieldError:
    """The error for a number that is not a finite float64.

    Args:
        pointer: the number's JSON pointer.
        or_null: whether null is allowed, for a missing number.
    """
    missing = ", or null where it is missing" if or_null else ""
    return FieldError(pointer, f"Must be a finite float64 (below 1.8e308 in size){missing}.")


@dataclass(frozen=True, slots=True)
class Numbers:
    """In `Annotated[Any, ...]`: an array with `least` to `most` axes, as nested lists; zero axes are a number.

    pydantic would make an error per wrong element, up to a million; here an array has at most one error.
    """

    least: int
    most: int

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic checks it."""
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """How OpenAPI describes it."""
        shapes: list[JsonSchemaValue] = [{"type": "number"}]
        for _ in range(self.most):
            shapes.append({"type": "array", "items": shapes[-1], "minItems": 1})
        return shapes[self.least] if self.least == self.most else {"anyOf": shapes[self.least :]}

    def _check(self, value: Any) -> Any:  # noqa: ANN401  JSON
        level, axes = [value], 0
        while (types := set(map(type, level))) == {list} and axes < self.most:
            if len(set(map(len, level))) > 1 or not level[0]:
                raise _wrong("Must have lists of the same length, none of them empty")
            level, axes = list(chain.from_iterable(level)), axes + 1
        if not types <= {int, float} or axes < self.least:
            raise _wrong(f"Must hold numbers only, {', or '.join(SHAPES[self.least : self.most + 1])}")
        return value


@dataclass(frozen=True, slots=True)
class Rows:
    """In `Annotated[Any, Rows()]`: rows of numbers of the same length; a row or a number may be null.

    As with `Numbers`, there is at most one error; it names the first wrong row.
    """

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic checks it."""
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """How OpenAPI describes it."""
        number = {"anyOf": [{"type": "number"}, {"type": "null"}]}
        row = {"anyOf": [{"type": "array", "items": number, "minItems": 1}, {"type": "null"}]}
        return {"type": "array", "items": row, "minItems": 1}

    def _check(self, value: Any) -> Any:  # noqa: ANN401  JSON
        if not isinstance(value, list) or not value:
            raise _wrong("Must hold numbers only, in a list of rows")
        rows = [row for row in value if row is not None]
        if not set(map(type, rows)) <= {list}:
            wrong = next(t for t, row in enumerate(value) if row is not None and type(row) is not list)
            raise _wrong(f"Must hold numbers only, in a list of rows; row {wrong} is neither a list nor null")
        if not rows or not rows[0]:
            raise _wrong("Must hold at least one row of at least one number")
        if len(set(map(len, rows))) > 1:
            width = len(rows[0])
            wrong = next(t for t, row in enumerate(value) if row is not None and len(row) != width)
            raise _wrong(
                f"Must have rows of the same length; row {wrong} holds {len(value[wrong])} numbers, not {width}"
            )
        if not set(map(type, chain.from_iterable(rows))) <= NUMBER_OR_NULL:
            wrong = next(t for t, row in enumerate(value) if row and not set(map(type, row)) <= NUMBER_OR_NULL)
            raise _wrong(f"Must hold numbers only, or null where it is missing; row {wrong} holds something else")
        return value


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("numbers", message)
