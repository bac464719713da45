"""A kind's errors, with pointers to the fields that its caller wrote."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from luna_serving.engines.statespace.model.checks import ModelError, variance
from luna_serving.engines.statespace.model.model import MAX_STATES

# A kind with one observed element has one variance where the model has a matrix.
OBS_VAR: Final[Mapping[str, str]] = {"/obs_cov": "/obs_var"}


@contextmanager
def pointing_to(fields: Mapping[str, str]) -> Iterator[None]:
    """Point the errors of a model's matrices to the fields that they were made from.

    Args:
        fields: a matrix's pointer to the field's.
    """
    try:
        yield
    except ModelError as error:
        raise ModelError(fields.get(error.pointer, error.pointer), error.message) from error


def optional_variance(pointer: str, value: float | None) -> float | None:
    """A variance, or None where there is none."""
    return None if value is None else variance(pointer, value)


def refuse_more_states(pointer: str, states: int, cure: str) -> None:
    """Refuse a model of more states than are supported, by the field that has the most to do with it.

    Raises:
        ModelError: there are more than `MAX_STATES`.
    """
    if states > MAX_STATES:
        raise ModelError(pointer, f"makes a model of {states} states; at most {MAX_STATES} are supported: {cure}")
