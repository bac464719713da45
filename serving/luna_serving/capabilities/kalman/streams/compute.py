"""Computes streams in a replica: filters new points from each stream's last state, and smooths back by its lag.

The results for a point equal those of one pass over the whole stream, to the last digit. The smoothed state `lag` steps
back is exact as well: each point smooths the window again from the filter's state before it, at a cost that grows with
the lag and not with the stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.answers import OVERFLOW
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob, StreamState
from luna_serving.capabilities.kalman.streams.points import Lagged, answers
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.api.description import Clock, Model, Saved, SeriesResult, check, never

# Points per block of a stream with a lag. All windows of a block begin at the same point, so this bounds how much they
# exceed the lag.
LAGGED_AT_ONCE = 32

Floats = NDArray[np.float64]
Item = tuple[Floats, Model, Saved | None]
"""A series, its model and the state from which it resumes."""


@dataclass(slots=True, eq=False)
class _Stream:
    """A job in computation."""

    job: AppendJob
    model: Model
    state: StreamState
    left: Floats
    """Points that have not been filtered yet."""
    points: list[dict[str, Any]] = field(default_factory=list)
    overflowed: bool = False

    @classmethod
    def of(cls, job: AppendJob) -> "_Stream":
        return cls(job, job.model.build(), StreamState.from_json(job.state), job.values)

    @property
    def finished(self) -> bool:
        return self.overflowed or not len(self.left)

    def take(self) -> "_Block":
        """The next block."""
        size = LAGGED_AT_ONCE if self.job.lag else len(self.left)
        values, self.left = self.left[:size], self.left[size:]
        return _Block(self, values, self.state)

    def answer(self) -> Appended | Refused:
        if self.overflowed:
            return Refused("/values", OVERFLOW)
        points = orjson.dumps(self.points, option=orjson.OPT_SERIALIZE_NUMPY)
        return Appended(self.state.to_json(), points.decode())


@dataclass(slots=True, eq=False)
class _Block:
    """New points of one stream, and their results so far."""

    stream: _Stream
    values: Floats
    before: StreamState
    """The stream before the block."""
    lagged: list[Lagged | None] = field(init=False)
    """Per point: the smoothed window that ends with it; None without a lag, or if no point is that far back."""
    after: StreamState = field(init=False, default_factory=StreamState)
    """The window after the block, and its begin; None without a lag."""

    def __post_init__(self) -> None:
        self.lagged = [None] * len(self.values)

    @property
    def seen(self) -> Floats:
        """The window followed by the block."""
        window = self.before.window
        return self.values if window is None else np.concatenate([window, self.values])

    @property
    def surplus(self) -> int:
        """How many of the points have left the window after the block."""
        return max(0, len(self.seen) - self.stream.job.lag)

    def finish(self, filtered: SeriesResult) -> None:
        """Add the block's answers and final state to the stream."""
        stream, saved = self.stream, self.before.saved
        if not (filtered.finite and all(each is None or each.window.finite for each in self.lagged)):
            stream.overflowed = True
            return
        first = 0 if saved is None else saved.period
        stream.points += answers(filtered, first, stream.job.outputs, stream.job.threshold, self.lagged)
        stream.state = replace(self.after, saved=filtered.saved)


def append(jobs: Sequence[AppendJob], out_of_time: Clock = never) -> list[Appended | Refused]:
    """Answer jobs in order; their streams share the engine's batches.

    Raises:
        OutOfTime: `out_of_time` was true between two blocks.
    """
    streams = [_Stream.of(job) for job in jobs]
    while under_way := [stream for stream in streams if not stream.finished]:
        check(out_of_time)
        _advance([stream.take() for stream in under_way])
    return [stream.answer() for stream in streams]


def _advance(blocks: Sequence[_Block]) -> None:
    filtered = _filter([(block.values, block.stream.model, block.before.saved) for block in blocks])
    lagging = [block for block in blocks if block.stream.job.lag]
    _smooth(lagging)
    _move_windows(lagging)
    for block, result in zip(blocks, filtered, strict=True):
        block.finish(result)


def _smooth(blocks: Sequence[_Block]) -> None:
    """Smooth the window that ends with each point, if a point is `lag` steps before it."""
    windows: list[tuple[_Block, int, int]] = []
    items: list[Item] = []
    for block in blocks:
        seen, lag = block.seen, block.stream.job.lag
        known = len(seen) - len(block.values)
        for place in range(len(block.values)):
            at = known + place - lag
            if at >= 0:
                windows.append((block, place, at))
                items.append((seen[: at + lag + 1], block.stream.model, block.before.window_start))
    for (block, place, at), result in zip(windows, _run_smoother(items), strict=True):
        block.lagged[place] = Lagged(result, at)


def _move_windows(blocks: Sequence[_Block]) -> None:
    """Filter the points that leave each window, so that the next window begins after them."""
    for block in blocks:
        block.after = StreamState(window_start=block.before.window_start, window=block.seen[block.surplus :])
    moving = [block for block in blocks if block.surplus]
    passed = _filter([(block.seen[: block.surplus], block.stream.model, block.before.window_start) for block in moving])
    for block, result in zip(moving, passed, strict=True):
        block.after = replace(block.after, window_start=result.saved)


def _filter(items: Sequence[Item]) -> list[SeriesResult]:
    # Imported here: a process that only names this deployment needs no JAX.
    from luna_serving.engines.statespace.api.compute import filter_batch

    if not items:
        return []
    return filter_batch([(y, model) for y, model, _ in items], "full", starts=[start for *_, start in items]).series


def _run_smoother(items: Sequence[Item]) -> list[SeriesResult]:
    from luna_serving.engines.statespace.api.compute import smooth_batch

    if not items:
        return []
    return smooth_batch([(y, model) for y, model, _ in items], starts=[start for *_, start in items]).series
