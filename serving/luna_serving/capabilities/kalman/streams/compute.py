"""A replica's work on streams: filter the new points on from where each stream stands, smooth back by its lag.

What is computed for a point is what one pass over the whole stream would give, to the last digit. The smoothed
state `lag` steps back is exact as well: the window between is smoothed anew for each point, from the filter's own
state before it, at a cost that grows with the lag and not with the stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.answers import OVERFLOW
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob, StreamState
from luna_serving.capabilities.kalman.streams.points import answers
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.process.deadline import Clock, check, never
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.results.series import SeriesResult

# Windows that end at different points of a block begin together: this bounds how much longer than the lag they get.
LAGGED_AT_ONCE = 32

Item = tuple[NDArray[np.float64], Model]


@dataclass(slots=True, eq=False)
class _Stream:
    """A job under way."""

    job: AppendJob
    model: Model
    state: StreamState
    left: NDArray[np.float64]
    """Points that have not been filtered yet."""
    points: list[dict[str, Any]] = field(default_factory=list)
    overflowed: bool = False

    @classmethod
    def of(cls, job: AppendJob) -> "_Stream":
        return cls(job, job.model.build(), StreamState.from_json(job.state), job.values)

    @property
    def finished(self) -> bool:
        return self.overflowed or not len(self.left)

    def take(self) -> NDArray[np.float64]:
        """The next block."""
        size = LAGGED_AT_ONCE if self.job.lag else len(self.left)
        block, self.left = self.left[:size], self.left[size:]
        return block

    def answer(self) -> Appended | Refused:
        if self.overflowed:
            return Refused("/values", OVERFLOW)
        points = orjson.dumps(self.points, option=orjson.OPT_SERIALIZE_NUMPY)
        return Appended(self.state.to_json(), points.decode())


def append(jobs: Sequence[AppendJob], out_of_time: Clock = never) -> list[Appended | Refused]:
    """Answer jobs in their order; their streams share the engine's batches.

    Raises:
        OutOfTime: `out_of_time` was true between two blocks.
    """
    streams = [_Stream.of(job) for job in jobs]
    while under_way := [stream for stream in streams if not stream.finished]:
        check(out_of_time)
        _advance(under_way)
    return [stream.answer() for stream in streams]


def _advance(streams: Sequence[_Stream]) -> None:
    """Take a block of each stream."""
    blocks = [stream.take() for stream in streams]
    states = [stream.state for stream in streams]
    filtered = _filter(
        [(block, stream.model) for block, stream in zip(blocks, streams, strict=True)],
        [state.saved for state in states],
    )
    lagging = [i for i, stream in enumerate(streams) if stream.job.lag]
    smoothed = dict(zip(lagging, _smooth([(streams[i], blocks[i]) for i in lagging]), strict=True))
    moved = dict(zip(lagging, _moved([(streams[i], blocks[i]) for i in lagging]), strict=True))
    for i, (stream, result) in enumerate(zip(streams, filtered, strict=True)):
        windows, places = smoothed.get(i, ([None] * len(blocks[i]), [0] * len(blocks[i])))
        if not result.finite or not all(window is None or window.finite for window in windows):
            stream.overflowed = True
            continue
        job, before = stream.job, states[i].saved
        first = 0 if before is None else before.period
        stream.points += answers(result, first, job.outputs, job.threshold, windows, places)
        window_start, window = moved.get(i, (None, None))
        stream.state = StreamState(result.saved, window_start, window)


def _smooth(
    lagging: Sequence[tuple[_Stream, NDArray[np.float64]]],
) -> list[tuple[list[SeriesResult | None], list[int]]]:
    """For each stream, each point's window and the place of the lagged point in it."""
    items: list[Item] = []
    starts: list[Saved | None] = []
    places: list[list[int | None]] = []
    for stream, block in lagging:
        seen = _seen(stream, block)
        lag = stream.job.lag
        known = len(seen) - len(block)
        # Where in `seen` the point `lag` steps before each new point stands.
        back = [known + j - lag for j in range(len(block))]
        places.append([at if at >= 0 else None for at in back])
        items += [(seen[: at + lag + 1], stream.model) for at in back if at >= 0]
        starts += [stream.state.window_start for at in back if at >= 0]
    windows = iter(_run_smoother(items, starts))
    return [([None if at is None else next(windows) for at in each], [at or 0 for at in each]) for each in places]


def _moved(
    lagging: Sequence[tuple[_Stream, NDArray[np.float64]]],
) -> list[tuple[Saved | None, NDArray[np.float64] | None]]:
    """Where each stream's window begins after its block, and what it holds then."""
    seen = [_seen(stream, block) for stream, block in lagging]
    surplus = [max(0, len(all_) - stream.job.lag) for all_, (stream, _) in zip(seen, lagging, strict=True)]
    left = [i for i, count in enumerate(surplus) if count]
    passed = _filter(
        [(seen[i][: surplus[i]], lagging[i][0].model) for i in left],
        [lagging[i][0].state.window_start for i in left],
    )
    starts = [stream.state.window_start for stream, _ in lagging]
    for i, result in zip(left, passed, strict=True):
        starts[i] = result.saved
    return [(start, all_[count:]) for start, all_, count in zip(starts, seen, surplus, strict=True)]


def _seen(stream: _Stream, block: NDArray[np.float64]) -> NDArray[np.float64]:
    """The window and the block, one after the other."""
    window = stream.state.window
    return block if window is None else np.concatenate([window, block])


def _filter(items: Sequence[Item], starts: Sequence[Saved | None]) -> list[SeriesResult]:
    # Imported here: whoever only names this deployment needs no jax.
    from luna_serving.engines.statespace.batch import filter_batch

    return filter_batch(items, "full", starts=starts).series if items else []


def _run_smoother(items: Sequence[Item], starts: Sequence[Saved | None]) -> list[SeriesResult]:
    from luna_serving.engines.statespace.batch import smooth_batch

    return smooth_batch(items, starts=starts).series if items else []
