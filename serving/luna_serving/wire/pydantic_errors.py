"""pydantic's errors as ours: pointers to what the body has, sentences without the names of our classes.

pydantic names the members of a union in the path of an error (`/period/int`), and makes an error per member; a body has
no such place. Here they are one error, at the value.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from pydantic_core import ErrorDetails

from luna_serving.wire.pointers import MAX_ERRORS, cut, pointer_of
from luna_serving.wire.problems import FieldError

MAX_MESSAGE: Final = 300
# The end of a path that names a member which the body has not got.
ABSENT: Final = frozenset({"missing", "extra_forbidden"})
OBJECT: Final = frozenset({"model_type", "model_attributes_type", "dict_type", "dataclass_type"})
SHOULD_BE: Final = "Input should be "


def field_errors(errors: Sequence[ErrorDetails], value: object, path: tuple[str, ...] = ()) -> Iterator[FieldError]:
    """The errors of a value at `path` of the body, at most a few.

    Args:
        errors: of one validation, with their contexts.
        value: what was validated.
        path: where it stands in the body.
    """
    placed = ((_steps(each, value), _sentence(each)) for each in errors[:MAX_ERRORS])
    for steps, same in groupby(placed, key=lambda each: each[0]):
        yield FieldError(pointer_of((*path, *steps)), f"{cut(_either([text for _, text in same]), MAX_MESSAGE)}.")


def _steps(error: ErrorDetails, value: object) -> tuple[str, ...]:
    """The path of an error, without the names of schemas."""
    found: list[str] = []
    at: Any = value
    for step in error["loc"]:
        if _holds(at, step):
            at = at[step]
        elif error["type"] not in ABSENT or step != error["loc"][-1]:
            continue
        found.append(str(step))
    return tuple(found)


def _holds(value: object, step: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _sentence(error: ErrorDetails) -> str:
    """What is wrong, without its full stop."""
    match error["type"]:
        case "union_tag_invalid":
            known = error["ctx"]["expected_tags"]
            return f"Its {_member(error)} '{error['ctx']['tag']}' is none of {known}"
        case "union_tag_not_found":
            return f"Must have a {_member(error)}, which says what it is"
        case "extra_forbidden":
            return "Is not permitted here"
        case "too_short":
            least = error["ctx"]["min_length"]
            return f"Must have at least {least} {'element' if least == 1 else 'elements'}"
        case kind if kind in OBJECT:
            return f"{SHOULD_BE}an object"
        case "value_error":
            # Of our own validators.
            return error["msg"].removeprefix("Value error, ").rstrip(".")
        case _:
            return error["msg"]


def _member(error: ErrorDetails) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")


def _either(texts: list[str]) -> str:
    """One sentence of those that the members of a union made."""
    texts = list(dict.fromkeys(texts))
    if len(texts) == 1 or not all(text.startswith(SHOULD_BE) for text in texts):
        return texts[0]
    return SHOULD_BE + " or ".join(text.removeprefix(SHOULD_BE) for text in texts)
