"""`GET /prices`: its query, parsed once."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from pydantic import AwareDatetime

from luna_serving.edge.cursors import Cursors
from luna_serving.edge.query import Parameters, in_utc
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Adjust
from luna_serving.wire import problems
from luna_serving.wire.pointers import cut
from luna_serving.wire.problems import FieldError, Problem

PARAMETERS: Final = frozenset({"symbols", "interval", "start", "end", "adjust", "limit", "order", "as_of", "cursor"})
LONGEST_SYMBOL: Final = 64
MAX_OFFSET: Final = 2**53
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER: Final = re.compile(r"\d{1,9}")
_SHOWN: Final = 40

PAGES: Final[Cursors[tuple[datetime, int]]] = Cursors("prices", tuple[AwareDatetime, int])

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Direction(StrEnum):
    """The order of bars in an answer."""

    ASC = "asc"
    DESC = "desc"


@dataclass(frozen=True, slots=True)
class PricesRequest:
    """A checked query."""

    symbols: tuple[str, ...]
    interval: Interval
    start: datetime | None
    """Inclusive."""
    end: datetime | None
    """Inclusive."""
    adjust: Adjust
    limit: int | None
    """Bars of each symbol; None for as many as an answer holds."""
    order: Direction
    as_of: datetime | None
    """None: now."""
    offset: int
    """Bars of each symbol that earlier pages had."""


def read(asked: Parameters, max_symbols: int) -> PricesRequest:
    """Parse the query.

    Raises:
        Problem: 422, with a pointer to each parameter that is wrong.
    """
    errors: list[FieldError] = []

    def taken(name: str, parse: Callable[[str], T]) -> T | None:
        try:
            given = asked.one(name)
            return parse(given) if given else None
        except Problem as problem:
            errors.extend(FieldError(each["pointer"], each["detail"]) for each in problem.extra["errors"])
            return None
        except ValueError as error:
            errors.append(FieldError(f"/query/{name}", str(error)))
            return None

    symbols = taken("symbols", lambda given: _symbols(given, max_symbols))
    interval = taken("interval", lambda given: _one_of(Interval, given))
    start = taken("start", lambda given: instant(given, "start"))
    end = taken("end", lambda given: instant(given, "end", until=True))
    adjust = taken("adjust", lambda given: _one_of(Adjust, given))
    limit = taken("limit", _limit)
    order = taken("order", lambda given: _one_of(Direction, given))
    as_of = taken("as_of", lambda given: instant(given, "as_of", until=True))
    page = taken("cursor", PAGES.read)
    if symbols is None and not errors:
        errors.append(FieldError("/query/symbols", "Name symbols, separated by commas: symbols=AAPL,MSFT."))
    if start is not None and end is not None and start > end:
        errors.append(FieldError("/query/start", "Must not lie after `end`."))
    if page is not None and not 0 <= page[1] <= MAX_OFFSET:
        errors.append(FieldError("/query/cursor", "Is no cursor of this list."))
    if errors:
        raise problems.invalid(*errors)
    return PricesRequest(
        symbols or (),
        interval or Interval.DAY,
        start,
        end,
        adjust or Adjust.SPLITS,
        limit,
        order or Direction.ASC,
        as_of if page is None else page[0],
        0 if page is None else page[1],
    )


def instant(given: str, name: str, *, until: bool = False) -> datetime:
    """A date, or a date and time of ISO 8601; without an offset in UTC.

    Args:
        given: the text.
        name: of the parameter.
        until: whether a date means its end.

    Raises:
        ValueError: it is neither.
        Problem: 422, outside the calendar.
    """
    try:
        if _DAY.fullmatch(given):
            day = datetime.combine(date.fromisoformat(given), time(), UTC)
            return day + timedelta(days=1, microseconds=-1) if until and day.date() < date.max else day
        if given[:1].isdigit() and "-" in given:
            # A plus sign that was not escaped arrives as a space.
            return in_utc(f"/query/{name}", datetime.fromisoformat(given.replace(" ", "+") if "T" in given else given))
    except ValueError:
        pass
    raise ValueError(f"{cut(given, _SHOWN)!r} is no date such as 2012-12-03 and no time such as 2012-12-03T14:30:00Z.")


def _symbols(given: str, most: int) -> tuple[str, ...]:
    symbols = tuple(dict.fromkeys(each.strip() for each in given.split(",")))
    if "" in symbols:
        raise ValueError("A symbol is empty: separate symbols by single commas.")
    if len(symbols) > most:
        raise ValueError(f"Are {len(symbols)} symbols; at most {most} are taken. Call several times.")
    for each in symbols:
        if len(each) > LONGEST_SYMBOL or not each.isprintable():
            raise ValueError(f"{cut(each, _SHOWN)!r} is no symbol: at most {LONGEST_SYMBOL} printable characters.")
    return symbols


def _limit(given: str) -> int:
    if not _NUMBER.fullmatch(given) or int(given) == 0:
        raise ValueError("Must be a whole number of bars, at least 1.")
    return int(given)


def _one_of(kind: type[E], given: str) -> E:
    try:
        return kind(given)
    except ValueError:
        raise ValueError(f"{cut(given, _SHOWN)!r} is none of {', '.join(kind)}.") from None
