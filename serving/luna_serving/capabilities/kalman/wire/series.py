"""From JSON lists to series: one number a point, or where several things are observed a list of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.api.description import Model
from luna_serving.wire import problems
from luna_serving.wire.documents import NUMBERS, first, misfits
from luna_serving.wire.problems import FieldError

# Limits that an account may have of its own.
MAX_SERIES_PER_REQUEST: Final = "max_series_per_request"
MAX_SERIES_LENGTH: Final = "max_series_length"


@dataclass(frozen=True, slots=True)
class Limits:
    """See `luna_serving.settings.Settings`."""

    max_series_length: int
    max_series_per_request: int
    max_answer_numbers: int


def read_many(observations: object, model: Model, limits: Limits) -> list[NDArray[np.float64]]:
    """The series under /observations, [T] or [T, m] each; NaN where missing.

    Raises:
        Problem: 422.
    """
    if not isinstance(observations, list) or not observations:
        raise problems.invalid(FieldError("/observations", "Must be a list of at least one series."))
    if len(observations) > limits.max_series_per_request:
        most = limits.max_series_per_request
        raise problems.invalid(FieldError("/observations", f"Must hold at most {most} series. Split the call."))
    # All are checked before the first is turned into numbers: a refusal costs less than an answer.
    for i, each in enumerate(observations):
        check_series(f"/observations/{i}", each, model.observed, limits)
    return [np.array(each, dtype=np.float64) for each in observations]


def check_series(pointer: str, series: object, observed: int, limits: Limits) -> None:
    """Refuse what is no series of `observed` numbers a point.

    Raises:
        Problem: 422.
    """
    if not isinstance(series, list) or not series:
        raise problems.invalid(FieldError(pointer, "Must be a list of at least one number or null."))
    check_length(pointer, len(series), limits)
    if observed > 1:
        _check_rows(pointer, series, observed)
    elif not set(map(type, series)) <= NUMBERS:
        raise problems.invalid(*first(misfits(pointer, series)))


def check_length(pointer: str, length: int, limits: Limits) -> None:
    """Refuse a series that is too long.

    Raises:
        Problem: 422.
    """
    most = limits.max_series_length
    if length > most:
        raise problems.invalid(FieldError(pointer, f"Has {length} points; at most {most} are taken. Split it."))


def amounts(lengths: Sequence[int]) -> Mapping[str, int]:
    """What series of so many points each hold of what accounts may be limited in."""
    return {MAX_SERIES_PER_REQUEST: len(lengths), MAX_SERIES_LENGTH: max(lengths)}


def limit_error(lengths: Sequence[int], limit: str, most: int) -> FieldError:
    """What a limit of the account refuses of the series under /observations, which have so many points each."""
    if limit == MAX_SERIES_PER_REQUEST:
        return too_many(len(lengths), most)
    i = next(i for i, length in enumerate(lengths) if length > most)
    return too_long(f"/observations/{i}", lengths[i], most)


def too_many(series: int, most: int) -> FieldError:
    """The refusal of more series than an account may send in one call."""
    return FieldError("/observations", f"Holds {series} series; this account may send {most}. Split the call.")


def too_long(pointer: str, length: int, most: int) -> FieldError:
    """The refusal of a longer series than an account may send."""
    return FieldError(pointer, f"Has {length} points; this account may send {most} a series. Split it.")


def check_covered(model: Model, points: int) -> None:
    """Refuse a model that varies in time and ends before the points do, those to forecast included.

    Raises:
        Problem: 422.
    """
    if model.length is not None and points > model.length:
        more = points - model.length
        detail = f"Covers {model.length} periods of {points}, forecasts included: give {more} more, or fewer points."
        raise problems.invalid(FieldError(f"/model{model.varying}", detail))


def check_known(model: Model, series: Sequence[NDArray[np.float64]], begun: Sequence[int], steps: int = 0) -> None:
    """Refuse observations and forecasts in periods whose regressors are null.

    Args:
        model: whose `unknown_periods` they are.
        series: [T] or [T, m] each.
        begun: the period of each one's first point.
        steps: periods to forecast after each one's last.

    Raises:
        Problem: 422.
    """
    if not model.unknown_periods:
        return
    unknown = np.array(model.unknown_periods)
    for i, (y, start) in enumerate(zip(series, begun, strict=True)):
        places = unknown - start
        inside = places[(places >= 0) & (places < len(y))]
        missing = np.isnan(y[inside])
        observed = inside[~(missing if y.ndim == 1 else missing.all(axis=1))]
        ahead = places[(places >= len(y)) & (places < len(y) + steps)]
        if len(observed):
            detail = (
                f"Is null, but series {i} has an observation at {observed[0]}: give the numbers, or send null there."
            )
            raise problems.invalid(FieldError(f"/model{model.varying}/{observed[0] + start}", detail))
        if len(ahead):
            detail = "Is null in a period to forecast: give the numbers, or forecast fewer steps."
            raise problems.invalid(FieldError(f"/model{model.varying}/{ahead[0] + start}", detail))


def _check_rows(pointer: str, series: list[Any], observed: int) -> None:
    if set(map(type, series)) != {list} or set(map(len, series)) != {observed}:
        wrong = (t for t, each in enumerate(series) if not isinstance(each, list) or len(each) != observed)
        detail = f"Must be a list of {observed} numbers or nulls: the model observes {observed} elements."
        raise problems.invalid(*first(FieldError(f"{pointer}/{t}", detail) for t in wrong))
    if not set(map(type, chain.from_iterable(series))) <= NUMBERS:
        rows = enumerate(series)
        raise problems.invalid(*first(e for t, row in rows for e in misfits(f"{pointer}/{t}", row)))
