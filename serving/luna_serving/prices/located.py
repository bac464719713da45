"""Instruments, their corporate actions, and where the bars of one are. Frozen and picklable."""

from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from luna_serving.prices.intervals import Interval

SERVER: Final = "server"
"""The server's own market, as `Located.market` and grants name it."""


class Adjust(StrEnum):
    """What prices are adjusted for."""

    NONE = "none"
    """Nothing: as they were traded."""
    SPLITS = "splits"
    ALL = "all"
    """Splits and cash dividends."""


class ActionKind(StrEnum):
    """A kind of corporate action."""

    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A corporate action. It has its effect before the open of `ex_date`."""

    ex_date: date
    kind: ActionKind
    value: float
    """Of a split the new shares for one old share, so 2.0 for 2:1; of a dividend the cash per share in the instrument's
    currency, for shares as they were traded on the day before."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument of a market, in one version of it."""

    market: str
    """As `Located.market`."""
    data_version: int
    symbol: str
    name: str | None
    exchange: str | None
    currency: str | None
    type: str | None
    """`stock`, `etf`, `index`, ...: as the market was told."""
    intervals: tuple[Interval, ...]
    """Shortest first."""
    first: datetime
    """Start of the first bar of any interval, in UTC."""
    last: datetime
    """Start of the last bar of any interval, in UTC."""
    bars: int
    """Of all intervals."""
    actions: tuple[CorporateAction, ...] = ()
    """By date."""

    @property
    def own(self) -> bool:
        """Whether it is of the account's own market, not of the server's."""
        return self.market != SERVER


@dataclass(frozen=True, slots=True)
class MarketFile:
    """The file with all bars of a version, in the object store: Arrow IPC as `luna_serving.prices.files` writes it."""

    key: str
    digest: str
    """SHA-256, hexadecimal."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Located:
    """Where the bars of one instrument and interval are, and all that is needed to read and adjust them."""

    market: str
    """`server`, or of an account's own data set `<account>.<name>`. With `data_version` it names one history that never
    changes, so the two are safe in the key of a cache."""
    data_version: int
    symbol: str
    interval: Interval
    file: MarketFile
    start: int
    """First row in the file."""
    bars: int
    """Rows."""
    first: datetime
    """Start of the first bar, in UTC."""
    last: datetime
    """Start of the last bar, in UTC."""
    market_last: datetime
    """Start of the last bar of the market's version: limits of history count back from it."""
    last_bar_closed: bool
    """Whether the last bar can no longer change."""
    published: datetime
    """When the version became current. As of then, and until the next version, the same is located."""
    actions: tuple[CorporateAction, ...]
    """By date."""
    dataset: "DatasetOrigin | None" = None
    """The data set that the market is made of; None for the server's own."""

    def __reduce__(self) -> tuple[type["Located"], tuple[object, ...]]:
        """As its arguments: a third of the time that `dataclass` takes, of which a request sends a thousand."""
        return Located, tuple(getattr(self, name) for name in _ARGUMENTS)

    @property
    def own(self) -> bool:
        """Whether the bars are the account's, not the server's."""
        return self.dataset is not None

    def hidden_until(self, days: int | None) -> datetime | None:
        """The time after which bars are shown, under the account's limit of history in days; None for all.

        It counts back from the last bar of the market's version, and cuts output only: what is computed is computed
        from the whole history. An account's own bars are never cut.
        """
        if days is None or self.own:
            return None
        return self.market_last - timedelta(days=days)


_ARGUMENTS: Final = tuple(each.name for each in fields(Located))


@dataclass(frozen=True, slots=True)
class DatasetOrigin:
    """The data set that bars are from, as answers name it."""

    name: str
    version: int
    digest: str

    def as_dict(self) -> dict[str, object]:
        """The member `dataset` of an answer."""
        return {"name": self.name, "version": self.version, "digest": self.digest}
