"""Spots of models that take one for all assets or one for each; and the problem of a member."""

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem


def spots_of(spot: float | list[float], assets: int) -> tuple[float, ...]:
    """A spot for each asset.

    Raises:
        Problem: 422.
    """
    if not isinstance(spot, list):
        return (spot,) * assets
    if len(spot) != assets:
        raise wrong("/model/spot", f"Must be one number, or {assets}, one per asset; has {len(spot)}.")
    return tuple(spot)


def wrong(pointer: str, detail: str) -> Problem:
    """422, of one member."""
    return problems.invalid(FieldError(pointer, detail))
