"""Reads a request's series: checks limits, and the periods that the model must cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from luna_serving.engines.statespace.api.description import Model
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_serving.wire.series import Point, check_series, to_array

# Names of limits that an account may have.
MAX_SERIES_PER_REQUEST: Final = "max_series_per_request"
MAX_SERIES_LENGTH: Final = "max_series_length"

Series = Annotated[
    list[Point] | list[list[Point]],
    Field(
        description="One number per point, alone or in a list; where the model observes m elements, a list of m "
        "numbers per point."
    ),
]
EXAMPLE: Final = [1120.0, 1160.0, 963.0, None, 1160.0]


@dataclass(frozen=True, slots=True)
class SeriesLimits:
    """See `luna_serving.settings.Settings`."""

    max_series_length: int
    max_series_per_request: int
    max_answer_numbers: int


def read_many(observations: object, model: Model, limits: SeriesLimits) -> list[NDArray[np.float64]]:
    """The series under /observations, [T] or [T, m] each; NaN where missing.

    Raises:
        Problem: 422.
    """
    if not isinstance(observations, list) or not observations:
        raise problems.invalid(FieldError("/observations", "Must be a list of at least one series."))
    check_count(len(observations), limits)
    # All are checked before the first is converted, so that a refusal costs less than an answer.
    for i, each in enumerate(observations):
        check_one(f"/observations/{i}", each, model.observed, limits)
    return [to_array(each, model.observed) for each in observations]


@dataclass(frozen=True, slots=True)
class Flat:
    """Series that a JSON body holds as flat lists: [T] each, NaN where null; checked otherwise as lists are."""

    series: Sequence[NDArray[np.float64]]

    def checked(self, model: Model, limits: SeriesLimits) -> list[NDArray[np.float64]]:
        """The series of a model that observes one element; as `read_many`.

        Raises:
            Problem: 422.
        """
        if model.observed > 1:
            # Every one is wrong; lists say where.
            lists = [[None if isnan(y) else y for y in each.tolist()] for each in self.series]
            return read_many(lists, model, limits)
        check_count(len(self.series), limits)
        for i, each in enumerate(self.series):
            check_length(f"/observations/{i}", len(each), limits)
        return list(self.series)


def read_one(pointer: str, series: object, observed: int, limits: SeriesLimits) -> NDArray[np.float64]:
    """One series of `observed` numbers per point, [T] or [T, m]; NaN where missing.

    Raises:
        Problem: 422.
    """
    return to_array(check_one(pointer, series, observed, limits), observed)


def check_one(pointer: str, series: object, observed: int, limits: SeriesLimits) -> list[Any]:
    """Check a series and its length.

    Raises:
        Problem: 422.
    """
    if isinstance(series, list):
        check_length(pointer, len(series), limits)
    return check_series(pointer, series, observed)


def check_count(series: int, limits: SeriesLimits) -> None:
    """Refuse too many series.

    Raises:
        Problem: 422.
    """
    most = limits.max_series_per_request
    if series > most:
        raise problems.invalid(FieldError("/observations", f"Must hold at most {most} series. Split the call."))


def check_length(pointer: str, length: int, limits: SeriesLimits) -> None:
    """Refuse a series that is too long.

    Raises:
        Problem: 422.
    """
    most = limits.max_series_length
    if length > most:
        raise problems.invalid(FieldError(pointer, f"Has {length} points; at most {most} are taken. Split it."))


def amounts(series: int, longest: int) -> Mapping[str, int]:
    """The amounts of a call, for the limits of its account."""
    return {MAX_SERIES_PER_REQUEST: series, MAX_SERIES_LENGTH: longest}


def check_covered(model: Model, points: int) -> None:
    """Refuse a model that varies in time and covers fewer periods than the points, including those to forecast.

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
        model: the model, with its `unknown_periods`.
        series: [T] or [T, m] each.
        begun: the period of each series' first point.
        steps: periods to forecast after each series' last point.

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
