"""Makes the batch from a parser's columns, and takes samples out that are too old or too far ahead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.results import (
    MAX_SHOWN,
    Metadata,
    Parsed,
    Reason,
    Rejection,
    Rejections,
)
from luna_serving.samples.batch import Batch
from luna_serving.samples.identity import read_key
from luna_serving.wire import problems
from luna_serving.wire.pointers import cut
from luna_serving.wire.problems import FieldError

# Characters of a series that an error repeats.
MAX_SERIES_ECHO: Final = 200
YEAR_MS: Final = 31_536_000_000


@dataclass(frozen=True, slots=True)
class Columns:
    """The samples of a request, not yet held against the bounds of time."""

    keys: Sequence[bytes]
    items: NDArray[np.int64]
    """Shape (series,)."""
    offsets: NDArray[np.int64]
    """Shape (series + 1,)."""
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(slots=True)
class Singles:
    """Collects series of one sample each."""

    keys: list[bytes] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, key: bytes, item: int, timestamp: int, value: float) -> None:
        """Add one; the timestamp must fit in an int64."""
        self.keys.append(key)
        self.items.append(item)
        self.timestamps.append(timestamp)
        self.values.append(value)

    def columns(self) -> Columns:
        """What was collected."""
        return Columns(
            self.keys,
            np.array(self.items, np.int64),
            np.arange(len(self.keys) + 1),
            np.array(self.timestamps, np.int64),
            np.array(self.values, np.float64),
        )


def described(series: int, first_outside: int, outside: int, bounds: Bounds) -> tuple[Reason, str]:
    """Why samples of a series are outside the bounds, and how many of them.

    Args:
        series: samples of the series.
        first_outside: the timestamp of the first one that is outside, ms.
        outside: how many are outside.
        bounds: of time.
    """
    how_many = f"{outside} of {series} samples: the first" if series > 1 else "The sample"
    if first_outside < bounds.oldest_ms:
        # Seconds where milliseconds are meant, and the like, are times in 1970.
        unit = (
            "Is the unit of the timestamp right?" if 0 <= first_outside < YEAR_MS else "Raise metrics.retention_days."
        )
        days = (bounds.now_ms - bounds.oldest_ms) / 86_400_000
        return Reason.TOO_OLD, f"{how_many} is at {first_outside} ms, older than the retention of {days:g} days. {unit}"
    cure = "Send milliseconds since 1970, and check the sender's clock."
    return Reason.TOO_NEW, f"{how_many} is at {first_outside} ms, more than 10 minutes ahead of the server's. {cure}"


def check_count(count: int, bounds: Bounds, member: str = "") -> None:
    """Refuse a request with too many items or samples.

    Raises:
        Problem: 422.
    """
    if count > bounds.max_samples:
        wrong = f"Holds {count} series or samples; a call may have {bounds.max_samples}. Send less at once."
        raise problems.invalid(FieldError(member, wrong))


def parsed(
    columns: Columns,
    bounds: Bounds,
    rejections: Rejections,
    *,
    whole: bool = False,
    pointer: Callable[[int], str] = lambda _: "",
    metadata: Sequence[Metadata] = (),
    exemplars: int = 0,
) -> Parsed:
    """The batch of the samples within the bounds; rejections for the others.

    Args:
        columns: of the request.
        bounds: of time.
        rejections: to which they are added.
        whole: whether a series is rejected as a whole if one of its samples is outside.
        pointer: the JSON pointer of the timestamps of an item.
        metadata: passed on.
        exemplars: passed on.

    Raises:
        Problem: 422, there are too many samples.
    """
    check_count(len(columns.timestamps), bounds)
    stamps = columns.timestamps
    outside = (stamps < bounds.oldest_ms) | (stamps > bounds.newest_ms)
    if outside.any():
        columns = _within(columns, outside, bounds, rejections, whole=whole, pointer=pointer)
    batch = Batch(columns.keys, columns.offsets, columns.timestamps, columns.values)
    return Parsed(batch, columns.items, rejections, metadata, exemplars)


def _within(
    columns: Columns,
    outside: NDArray[np.bool_],
    bounds: Bounds,
    rejections: Rejections,
    *,
    whole: bool,
    pointer: Callable[[int], str],
) -> Columns:
    series = len(columns.keys)
    lengths = np.diff(columns.offsets)
    owner = np.repeat(np.arange(series), lengths)
    counts = np.bincount(owner[outside], minlength=series)
    affected, where = np.unique(owner[outside], return_index=True)
    firsts = columns.timestamps[outside][where]
    for each, first in zip(affected.tolist(), firsts.tolist(), strict=True):
        count, length, item = int(counts[each]), int(lengths[each]), int(columns.items[each])
        reason, detail = described(length, first, count, bounds)
        place = pointer(item)
        if not place and rejections.items < MAX_SHOWN:
            detail = f"{named(columns.keys[each])}: {detail}"
        rejections.add(Rejection(item, reason, detail, place, length if whole else count))
    keep = ~((counts > 0)[owner] if whole else outside)
    left = np.bincount(owner[keep], minlength=series)
    present = left > 0
    return Columns(
        [columns.keys[each] for each in np.flatnonzero(present).tolist()],
        columns.items[present],
        np.concatenate([[0], np.cumsum(left[present])]).astype(np.int64),
        columns.timestamps[keep],
        columns.values[keep],
    )


def named(key: bytes) -> str:
    """The beginning of a series as PromQL writes it, for errors."""
    name, labels = read_key(key)
    text = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    whole = f"{name}{{{text}}}"
    return cut(whole, MAX_SERIES_ECHO)
