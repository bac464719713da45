"""What remote write 1.0 and 2.0 share: the walk over a series' fields, its key, the types of metrics."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from luna_serving.capabilities.metrics.ingest.checking import Bounds, UnusableSeries, checked_key
from luna_serving.capabilities.metrics.ingest.protobuf_wire import Budget, fields
from luna_serving.capabilities.metrics.ingest.remote_write_samples import any_sample
from luna_serving.capabilities.metrics.ingest.remote_write_series import Series
from luna_serving.capabilities.metrics.ingest.results import MetricType, Reason, Rejection, Rejections
from luna_serving.samples.identity import NAME_LABEL

# `MetricMetadata.MetricType` of 1.0 and `Metadata.MetricType` of 2.0, by number.
TYPES: Final = (
    MetricType.UNKNOWN,
    MetricType.COUNTER,
    MetricType.GAUGE,
    MetricType.HISTOGRAM,
    MetricType.GAUGE_HISTOGRAM,
    MetricType.SUMMARY,
    MetricType.INFO,
    MetricType.STATE_SET,
)
NO_HISTOGRAMS: Final = (
    "Native histograms are not stored. Let the sender scrape classic ones (scrape_native_histograms: false)."
)


@dataclass(frozen=True, slots=True)
class Tags:
    """Numbers and wire types of the fields that a series has in both versions."""

    sample: int
    histogram: int
    exemplar: int


@dataclass(slots=True)
class Fields:
    """The fields of one series."""

    stamps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    histograms: int = 0
    exemplars: int = 0
    rest: list[tuple[int, int, int]] = field(default_factory=list)
    """Tag, first and last byte of the others, in order."""


def fields_of(data: bytes, start: int, end: int, tags: Tags, budget: Budget) -> Fields:
    """Walk over a series.

    Raises:
        MalformedError: it is no message.
    """
    found = Fields()
    for each in fields(data, start, end, budget):
        tag, first, last = each
        if tag == tags.sample:
            stamp, value = any_sample(data, first, last, budget)
            found.stamps.append(stamp)
            found.values.append(value)
        elif tag == tags.histogram:
            found.histograms += 1
        elif tag == tags.exemplar:
            found.exemplars += 1
        else:
            found.rest.append(each)
    return found


def series_of(place: int, found: Fields, key: Callable[[], bytes], rejections: Rejections) -> Series | None:
    """A series with its samples; None if it has none, or is rejected.

    Args:
        place: of the series in the request.
        found: its fields.
        key: makes its key, or raises UnusableSeries.
        rejections: gets what is rejected of it.
    """
    try:
        made = key()
    except UnusableSeries as e:
        rejections.add(Rejection(place, e.reason, e.detail, samples=len(found.stamps) + found.histograms))
        return None
    if found.histograms:
        rejections.add(Rejection(place, Reason.NATIVE_HISTOGRAM, NO_HISTOGRAMS, samples=found.histograms))
    return Series(made, found.stamps, found.values) if found.stamps else None


def key_of(pairs: list[tuple[str, str]], bounds: Bounds) -> bytes:
    """The key of labels with `__name__` among them, in any order.

    Raises:
        UnusableSeries: they are not valid.
    """
    names = [value for label, value in pairs if label == NAME_LABEL]
    if len(names) != 1:
        wrong = f"A series must have one label {NAME_LABEL}, and has {len(names)}."
        raise UnusableSeries(wrong, ("labels",))
    return checked_key(names[0], (pair for pair in pairs if pair[0] != NAME_LABEL), bounds.max_labels)
