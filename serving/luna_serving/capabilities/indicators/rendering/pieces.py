"""The parts of an answer: one indicator of one instrument, in one window."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.indicators.jobs.histories import History


@dataclass(frozen=True, slots=True)
class Label:
    """What an answer says of a piece beside its numbers."""

    id: str
    symbol: str | None
    """None for inline bars."""
    name: str
    params: Mapping[str, object]
    adjust: str
    data_version: int | None
    last_bar_closed: bool | None
    intraday: bool
    """Whether bars have a time of day; without one their starts are shown as dates."""
    dataset: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One indicator of one instrument."""

    label: Label
    history: History
    shown: slice
    before: int = 0
    """Bars of the whole history before the first one of `history`."""

    @property
    def warmup_bars(self) -> int:
        """Bars of the whole history before the first one that is shown."""
        start: int = self.shown.start
        return self.before + start

    @property
    def timestamps(self) -> NDArray[np.datetime64]:
        """The starts of the bars that are shown."""
        return self.history.timestamps[self.shown]

    @property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """The numbers that are shown, by output. The line of an account's own indicator bears its name."""
        name = self.label.name
        return {name if output == OWN else output: each[self.shown] for output, each in self.history.values.items()}


OWN = "custom"
"""The output of an account's own indicator in its history, which accounts with the same expression share."""
