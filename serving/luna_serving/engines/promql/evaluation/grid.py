"""Steps in time."""

from dataclasses import dataclass

import numpy as np

from luna_serving.engines.promql.series import Ints
from luna_serving.engines.promql.syntax.nodes import At, AtKind

#: The step of a subquery that has none (Prometheus: the global evaluation interval).
SUBQUERY_STEP_MS = 60_000


LOOKBACK_MS = 300_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """What holds for the whole query, in ms.

    Attributes:
        start_ms: the first step, for `@ start()`.
        end_ms: the last step, for `@ end()`.
        lookback_ms: a sample this old is too old for an instant selector (Prometheus: lookback_delta).
    """

    start_ms: int
    end_ms: int
    lookback_ms: int = LOOKBACK_MS


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps `start_ms + i * step_ms` for `i` below `count`; `count` may be 0.

    Attributes:
        is_range: whether start and end differ, even if there is one step between them only.
    """

    start_ms: int
    step_ms: int
    count: int
    is_range: bool

    @classmethod
    def between(cls, start_ms: int, end_ms: int, step_ms: int) -> "Grid":
        """The steps from the start up to the end, inclusive."""
        return cls(start_ms, step_ms, max(0, (end_ms - start_ms) // step_ms + 1), end_ms != start_ms)

    @property
    def times(self) -> Ints:
        """int64 [count], ms."""
        return self.start_ms + self.step_ms * np.arange(self.count, dtype=np.int64)

    @property
    def first(self) -> "Grid":
        """Only the first step."""
        return Grid(self.start_ms, self.step_ms, 1, is_range=False)

    def moved(self, at: At | None, offset_ms: int | None, bounds: Bounds) -> Ints:
        """When a selector with these modifiers is evaluated, int64 [count], ms."""
        if at is None:
            return self.times - (offset_ms or 0)
        time = {AtKind.TIME: at.ms, AtKind.START: bounds.start_ms, AtKind.END: bounds.end_ms}[at.kind]
        return np.full(self.count, time - (offset_ms or 0), dtype=np.int64)


def subquery_grid(ends_ms: Ints, range_ms: int, step_ms: int | None) -> Grid:
    """The steps of a subquery: multiples of its step in all windows (end - range, end].

    Args:
        ends_ms: int64 [steps], ascending.
        range_ms: of the subquery.
        step_ms: of the subquery; none for the default.
    """
    step = step_ms or SUBQUERY_STEP_MS
    if not len(ends_ms):
        return Grid(0, step, 0, is_range=False)
    start = ((int(ends_ms[0]) - range_ms) // step + 1) * step
    return Grid.between(start, int(ends_ms[-1]), step)
