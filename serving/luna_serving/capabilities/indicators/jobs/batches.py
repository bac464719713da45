"""Many indicators of many instruments, which a replica computes and renders as one answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.indicators.jobs.tasks import Formula
from luna_serving.capabilities.indicators.jobs.windows import Miss, Window
from luna_serving.dispatch.pieces import Large
from luna_serving.prices.located import Adjust, Located


@dataclass(frozen=True, slots=True, eq=False)
class InlineBars:
    """Bars of the request itself."""

    timestamps: NDArray[np.datetime64]
    """datetime64[us], UTC, strictly increasing [T]."""
    columns: Mapping[str, NDArray[np.float64]]
    """Those that were sent, by name [T]; NaN for null."""
    intraday: bool

    def __len__(self) -> int:
        return len(self.timestamps)


Instrument = Located | InlineBars


@dataclass(frozen=True, slots=True)
class Order:
    """An indicator of a batch."""

    id: str
    formula: Formula
    params: Mapping[str, object]
    """As answers show them: with defaults, benchmark and anchor."""
    benchmark: Instrument | None = None


@dataclass(frozen=True, slots=True)
class Batch(Large):
    """All indicators of all instruments."""

    instruments: tuple[Instrument, ...]
    orders: tuple[Order, ...]
    adjust: Adjust
    window: Window
    form: str
    errors: tuple[Miss, ...] = field(default=())

    @property
    def pairs(self) -> int:
        """Pairs of instrument and indicator."""
        return len(self.instruments) * len(self.orders)

    @property
    def bars(self) -> int:
        """Bars to compute on, once for each indicator."""
        return sum(map(length, self.instruments)) * len(self.orders)


def length(instrument: Instrument) -> int:
    """Bars of an instrument."""
    return instrument.bars if isinstance(instrument, Located) else len(instrument)


@dataclass(frozen=True, slots=True)
class BarsGone:
    """A replica cannot read the bars now; instead of a result."""

    reason: str
    version_gone: bool
    """Whether the version was pruned: locate again."""
