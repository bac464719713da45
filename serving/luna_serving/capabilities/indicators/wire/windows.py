"""The parameters that all calls share: interval, adjustment, gaps, and the window of bars that is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from luna_serving.capabilities.indicators.jobs.windows import Window
from luna_serving.capabilities.indicators.wire.formulas import DATE, instant
from luna_serving.engines.indicators.gaps import Gaps
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Adjust
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

WRONG_TIME: Final = "Must be a date or a time of ISO 8601, such as 2012-12-03 or 2012-12-03T15:30:00Z."
E = TypeVar("E", bound=StrEnum)
_LAST: Final = timedelta(days=1) - timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Frame:
    """What all items of a call have in common."""

    interval: Interval
    adjust: Adjust
    gaps: Gaps
    window: Window
    as_of: datetime | None


def frame_of(given: Callable[[str], str | None], root: str) -> Frame:
    """Read the shared parameters.

    Args:
        given: the value of a parameter by its name; None if it was left out.
        root: JSON pointer of what holds them.

    Raises:
        Problem: 422.
    """
    errors: list[FieldError] = []
    interval = _choice(Interval, given("interval"), Interval.DAY, f"{root}/interval", errors)
    adjust = _choice(Adjust, given("adjust"), Adjust.SPLITS, f"{root}/adjust", errors)
    gaps = _choice(Gaps, given("gaps"), Gaps.SKIP, f"{root}/gaps", errors)
    start = _time(given("start"), f"{root}/start", errors)
    end = _time(given("end"), f"{root}/end", errors, last=True)
    as_of = _time(given("as_of"), f"{root}/as_of", errors, last=True)
    if start is not None and end is not None and start > end:
        errors.append(FieldError(f"{root}/start", "Must not lie after `end`."))
    if errors:
        raise problems.invalid(*errors)
    return Frame(interval, adjust, gaps, Window(start, end), as_of)


def _choice(kind: type[E], text: str | None, default: E, pointer: str, errors: list[FieldError]) -> E:
    if text is None:
        return default
    try:
        return kind(text)
    except ValueError:
        errors.append(FieldError(pointer, f"Must be one of {', '.join(each.value for each in kind)}."))
        return default


def _time(text: str | None, pointer: str, errors: list[FieldError], *, last: bool = False) -> datetime | None:
    """A time; of a date its first instant, or its last."""
    if text is None:
        return None
    at = instant(text)
    if at is None:
        errors.append(FieldError(pointer, WRONG_TIME))
        return None
    if last and DATE.fullmatch(text):
        # The year 9999 ends with its last day.
        return at if at.year == 9999 and at.month == 12 and at.day == 31 else at + _LAST
    return at
