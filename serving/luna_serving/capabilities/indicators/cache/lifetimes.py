"""How long a history stays fresh."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from luna_serving.capabilities.indicators.jobs.tasks import Task


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds; see `IndicatorSettings`."""

    closed_s: float
    """While the last bar cannot change."""
    open_s: float
    """While it can."""
    stale_s: float
    """How long after that it is served while it is computed again."""
    jitter: float
    """The share by which a lifetime is shortened at random, so that entries do not all end at once."""
    by_indicator: Mapping[str, float]
    """Of single indicators, by name, instead of `closed_s`; while the last bar can change, at most `open_s`."""

    def of(self, task: Task) -> float:
        """Seconds that a history of this task stays fresh."""
        seconds = self.by_indicator.get(task.formula.name, self.closed_s)
        if not task.located.last_bar_closed:
            seconds = min(seconds, self.open_s)
        return seconds * (1 - self.jitter * random.random())  # noqa: S311  no secret

    @property
    def longest_s(self) -> float:
        """The longest time that an entry is kept."""
        return max(self.closed_s, self.open_s, *self.by_indicator.values()) + self.stale_s
