"""Series that a request names instead of sending them: who has them, and how they are asked for.

A capability that keeps series provides a source; others ask for them by reference. Neither imports the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError


@dataclass(frozen=True, slots=True)
class SeriesReference:
    """Which series of which set."""

    dataset: str
    """An id, `name@version`, or a name."""
    series: tuple[str, ...] | None = None
    """None: all."""
    columns: tuple[str, ...] | None = None
    """None: all columns of numbers."""


@dataclass(frozen=True, slots=True)
class SeriesBounds:
    """How much may be asked for."""

    series: int
    points: int
    """Of one series."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The set that series are from."""

    name: str
    version: int
    digest: str

    def as_dict(self) -> dict[str, object]:
        """As answers have it."""
        return {"name": self.name, "version": self.version, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """Series with their names, in the order in which they were asked for."""

    origin: Origin
    names: Sequence[str]
    values: Sequence[NDArray[np.float64]]
    """[T], or [T, m] of m columns; NaN where missing."""


class SeriesSource(Protocol):
    """Has series by name."""

    async def find(self, account_id: int, reference: SeriesReference, bounds: SeriesBounds, at: str) -> FoundSeries:
        """The series of an account.

        Args:
            account_id: whose.
            reference: which.
            bounds: more are refused before they are read.
            at: JSON pointer of the reference in the body.

        Raises:
            Problem: 422, there are no such series, or too many; 503.
        """


class SeriesSources:
    """The source of an ingress replica, once a capability has provided it."""

    def __init__(self) -> None:
        self._source: SeriesSource | None = None

    def provide(self, source: SeriesSource) -> None:
        """Ask this source from now on."""
        self._source = source

    async def find(self, account_id: int, reference: SeriesReference, bounds: SeriesBounds, at: str) -> FoundSeries:
        """As `SeriesSource.find`; 422 where no capability keeps series."""
        if self._source is None:
            raise problems.invalid(FieldError(at, "No data sets are kept here: send the series."))
        return await self._source.find(account_id, reference, bounds, at)
