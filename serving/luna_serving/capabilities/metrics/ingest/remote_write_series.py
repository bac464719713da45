"""Assembles the series of a remote write request, which are read in two ways, in the order of the request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.capabilities.metrics.ingest.building import Columns
from luna_serving.capabilities.metrics.ingest.remote_write_samples import SAMPLE_BYTES, usual


@dataclass(frozen=True, slots=True)
class Series:
    """A series that was read in full."""

    key: bytes
    timestamps: ArrayLike
    values: ArrayLike


def assembled(
    data: bytes, known: Sequence[bytes], starts: NDArray[np.int64], read: Callable[[int], Series | None]
) -> Columns:
    """All series of a request.

    Args:
        data: the request.
        known: for each series whose labels are known and that may have one sample of the usual form, its key; else b"".
        starts: shape (series,), where that sample begins; any number for the others.
        read: reads the series at a place in full, None if it has no sample; called in order for all the others, and
            for those whose sample has another form.
    """
    count = len(known)
    places = np.fromiter((bool(key) for key in known), np.bool_, count).nonzero()[0]
    places = places[starts[places] + SAMPLE_BYTES <= len(data)]
    form, stamps, values = usual(data, starts[places])
    hits, stamps, values = places[form], stamps[form], values[form]
    if len(hits) == count:
        return Columns(known, hits, np.arange(count + 1), stamps, values)
    lengths = np.zeros(count, np.int64)
    lengths[hits] = 1
    keys = list(known)
    in_full: dict[int, Series] = {}
    for place in np.flatnonzero(lengths == 0).tolist():
        series = read(place)
        if series is not None:
            in_full[place] = series
            keys[place] = series.key
            lengths[place] = np.size(series.timestamps)
    ends = np.cumsum(lengths)
    begins = ends - lengths
    all_stamps = np.empty(lengths.sum(), np.int64)
    all_values = np.empty(lengths.sum(), np.float64)
    all_stamps[begins[hits]] = stamps
    all_values[begins[hits]] = values
    for place, series in in_full.items():
        all_stamps[begins[place] : ends[place]] = series.timestamps
        all_values[begins[place] : ends[place]] = series.values
    present = np.flatnonzero(lengths)
    offsets = np.concatenate([[0], ends[present]]).astype(np.int64)
    return Columns([keys[place] for place in present.tolist()], present, offsets, all_stamps, all_values)
