"""What is shown of a history, and what a request could not be answered for."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.indicators.jobs.histories import History
from luna_serving.prices.located import Located


@dataclass(frozen=True, slots=True)
class Window:
    """Which bars of a history are shown, by the starts of bars, both inclusive; UTC."""

    start: datetime | None = None
    end: datetime | None = None
    history_days: int | None = None
    """Days before the market's last bar, by the account's limit. It cuts what is shown, never what is computed."""

    def cut(self, history: History, located: Located | None) -> slice:
        """The bars of a history that are shown; inline bars have no limit of history."""
        return self.cut_times(history.timestamps, located)

    def cut_times(self, times: NDArray[np.datetime64], located: Located | None) -> slice:
        """As `cut`, by the starts of the bars of a history [T]."""
        first = 0 if self.start is None else int(np.searchsorted(times, _instant(self.start), side="left"))
        hidden = None if located is None else located.hidden_until(self.history_days)
        if hidden is not None:
            first = max(first, int(np.searchsorted(times, _instant(hidden), side="right")))
        stop = len(times) if self.end is None else int(np.searchsorted(times, _instant(self.end), side="right"))
        return slice(first, max(first, stop))

    def about(self, bars: int, located: Located | None) -> int:
        """About how many of so many bars `cut` shows, before they are read: as if they were evenly spaced.

        Args:
            bars: of the history.
            located: where it is; None for inline bars, all of which count.
        """
        if located is None or located.last <= located.first:
            return bars
        first, last = located.first, located.last
        start = max(each for each in (first, self.start, located.hidden_until(self.history_days)) if each is not None)
        end = last if self.end is None else min(last, self.end)
        share = (end - start) / (last - first)
        return min(bars, int(bars * max(0.0, share)) + 1)


def _instant(at: datetime) -> np.datetime64:
    return np.datetime64(at.replace(tzinfo=None), "us")


@dataclass(frozen=True, slots=True)
class Miss:
    """A pair of indicator and instrument that was not answered."""

    id: str
    symbol: str | None
    type: str
    """Of RFC 9457."""
    detail: str
    status: int
    pointer: str | None = None
    """Into the body."""

    def as_dict(self) -> dict[str, object]:
        """The item of `errors`."""
        shown: dict[str, object] = {"id": self.id, "symbol": self.symbol, "type": self.type, "detail": self.detail}
        return shown if self.pointer is None else shown | {"pointer": self.pointer}
