"""What the tests of all protocols share: the bounds, and the samples of a parsed request as comparable tuples."""

import struct
from collections.abc import Callable

import numpy as np

from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.results import Parsed
from luna_serving.samples.identity import read_key
from luna_serving.wire.problems import Problem

NOW = 1_795_867_200_000  # 2026-11-28T12:00:00Z
DAY = 86_400_000
BOUNDS = Bounds.at(NOW, 90 * DAY, max_labels=10, max_samples=1_000)


def read_or_refused(parse: Callable[[], Parsed], *statuses: int) -> Parsed | None:
    """What a parser returns, checked; None for a problem of these statuses. Anything else is an error."""
    try:
        parsed = parse()
    except Problem as problem:
        if problem.status not in statuses:
            raise
        return None
    samples(parsed)
    return parsed


def bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def samples(parsed: Parsed) -> list[tuple[str, dict[str, str], int, int]]:
    """(name, labels, timestamp, bits of the value) of each, in the order of the batch."""
    batch = parsed.batch
    assert len(batch.keys) == len(parsed.items) == len(batch.offsets) - 1
    assert batch.offsets[0] == 0
    assert batch.offsets[-1] == len(batch.timestamps) == len(batch.values)
    assert (np.diff(batch.offsets) > 0).all()
    assert batch.timestamps.dtype == np.int64
    assert batch.values.dtype == np.float64
    values = batch.values.view(np.uint64)
    return [
        (*read_key(key), int(batch.timestamps[at]), int(values[at]))
        for i, key in enumerate(batch.keys)
        for at in range(batch.offsets[i], batch.offsets[i + 1])
    ]
