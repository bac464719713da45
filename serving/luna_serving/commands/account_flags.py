"""`--limit` and `--allow` of `luna account create`, from the list in `luna_store.limits`."""

from collections.abc import Sequence

from luna_store import limits
from luna_store.grants import Grants


def limit_help() -> str:
    """The text for `--help`, with every limit."""
    names = "; ".join(f"{limit.name} ({limit.unit}, default: {limit.unset})" for limit in limits.LIMITS)
    return f"a limit of its own; repeat. Limits: {names}"


def limit(text: str) -> tuple[str, int]:
    """Read a limit and its value, NAME=N.

    Raises:
        ValueError: it is malformed; the message has the form.
    """
    name, _, value = text.partition("=")
    if not value.isascii() or not value.isdigit():
        raise ValueError(f"{text!r} is not a limit and its whole number; write for example {limits.LIMITS[0].name}=10.")
    limits.validated({name: int(value)})
    return name, int(value)


def allow(text: str) -> tuple[str, tuple[str, ...]]:
    """Read `kalman=arima,local_level`.

    Raises:
        ValueError: it is malformed; the message has the form.
    """
    capability, _, names = text.partition("=")
    listed = tuple(names.split(","))
    if not capability or not all(listed):
        raise ValueError(f"{text!r} names no capability and names; write for example kalman=arima,local_level.")
    return capability, listed


def allowed(
    allows: Sequence[tuple[str, tuple[str, ...]]] | None, models: Sequence[str] | None
) -> dict[str, list[str]] | None:
    """The grants of `--allow` and `--model`; None if neither was given.

    Raises:
        ValueError: both list models.
    """
    if allows is None and models is None:
        return None
    try:
        return Grants.of(None if allows is None else dict(allows), models).in_force()
    except ValueError as error:
        raise ValueError("--model and --allow kalman=... both list models: write one of them.") from error
