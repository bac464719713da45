"""Reads one field of a spec; errors name the field."""

from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


def read(field: str, value: object, parse: Callable[[Any], Value]) -> Value | None:
    """The field's value; None where it is left out or null.

    Raises:
        ValueError: `parse` refused it; names the field.
    """
    if value is None:
        return None
    try:
        return parse(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise ValueError(f"spec.{field}: {e}") from e


def section(field: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The object in a field of the spec; empty where it is left out or null.

    Raises:
        ValueError: it is not an object; names the field.
    """
    value = spec.get(field)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"spec.{field} must be an object, not {value!r}.")
    return value or {}


def whole(value: object) -> int:
    """A whole number, written as 500 or as 500.0.

    Raises:
        ValueError: the value is not one.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
        return int(value)
    raise ValueError(f"must be a whole number, not {value!r}.")


def number(value: object) -> float:
    """A number.

    Raises:
        ValueError: the value is not one.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"must be a number, not {value!r}.")


def flag(value: object) -> bool:
    """True or false.

    Raises:
        ValueError: it is neither; the text "false" would otherwise pass for true.
    """
    if isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, not {value!r}.")


def names(value: object) -> tuple[str, ...]:
    """A list of names that is a set in the API; sorted, so that order does not matter.

    Raises:
        ValueError: the value is not a list of strings.
    """
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"must be a list of names, not {value!r}.")
    return tuple(sorted(value))
