"""Prometheus remote write 1.0: `prometheus.WriteRequest`.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/. A scrape sends the same labels again and again, in the
same bytes: those of a known series are compared, not decoded.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from luna_serving.capabilities.metrics.ingest.building import check_count, parsed
from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.protobuf_wire import (
    BYTES,
    VARINT,
    Budget,
    MalformedError,
    fields,
    text,
    varint,
)
from luna_serving.capabilities.metrics.ingest.remote_write_fields import TYPES, Tags, fields_of, key_of, series_of
from luna_serving.capabilities.metrics.ingest.remote_write_samples import SAMPLE_BYTES, many_usual
from luna_serving.capabilities.metrics.ingest.remote_write_series import Series, assembled
from luna_serving.capabilities.metrics.ingest.results import (
    Metadata,
    MetricType,
    Parsed,
    Rejections,
)
from luna_serving.capabilities.metrics.ingest.series_cache import Known

# Fields by number and wire type: of the request, of a series, of metadata.
SERIES: Final = 1 << 3 | BYTES
METADATA: Final = 3 << 3 | BYTES
LABEL: Final = 1 << 3 | BYTES
TAGS: Final = Tags(sample=2 << 3 | BYTES, histogram=4 << 3 | BYTES, exemplar=3 << 3 | BYTES)


@dataclass(slots=True)
class Reading:
    """One request while it is read."""

    data: bytes
    bounds: Bounds
    known: Known
    rejections: Rejections
    starts: list[int] = field(default_factory=list)
    """Where each series begins."""
    ends: list[int] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)
    exemplars: int = 0
    budget: Budget = field(default_factory=Budget)

    def run(self) -> Parsed:
        """Read it.

        Raises:
            MalformedError: it is no message.
        """
        self._find_series()
        check_count(len(self.starts), self.bounds)
        data, get = self.data, self.known.get
        # What follows labels that are known, as a whole, is not a label: the bytes were the same there.
        keys = [
            get(data[start : end - SAMPLE_BYTES], b"") if end - start > SAMPLE_BYTES else b""
            for start, end in zip(self.starts, self.ends, strict=True)
        ]
        tails = np.array(self.ends, np.int64) - SAMPLE_BYTES
        columns = assembled(data, keys, tails, self._in_full)
        return parsed(columns, self.bounds, self.rejections, metadata=self.metadata, exemplars=self.exemplars)

    def _find_series(self) -> None:
        data, end = self.data, len(self.data)
        starts, ends = self.starts.append, self.ends.append
        at = 0
        while at < end:
            if data[at] == SERIES:
                length, start = varint(data, at + 1, end)
                at = start + length
                if at > end:
                    raise MalformedError(f"A series at byte {start} is longer than the request.")
                starts(start)
                ends(at)
                continue
            tag, start, stop, at = self.budget.field_at(data, at, end)
            if tag == METADATA:
                self.metadata.append(_metadata(data, start, stop, self.budget))
            elif tag == SERIES:  # its tag has more bytes than it needs
                starts(start)
                ends(stop)

    def _in_full(self, place: int) -> Series | None:
        data, start, end = self.data, self.starts[place], self.ends[place]
        labels_end = _labels_end(data, start, end)
        raw = data[start:labels_end]
        key = self.known.get(raw)
        if key is not None:
            samples = many_usual(data, labels_end, end)
            if samples is not None:
                return Series(key, *samples)
        found = fields_of(data, start, end, TAGS, self.budget)
        self.exemplars += found.exemplars
        labels = [(first, last) for tag, first, last in found.rest if tag == LABEL]
        pairs = [_label(data, first, last, self.budget) for first, last in labels]

        def made() -> bytes:
            key = key_of(pairs, self.bounds)
            # Labels after the samples are not in `raw`.
            if raw and all(first < labels_end for first, _ in labels):
                self.known.remember(raw, key)
            return key

        return series_of(place, found, made, self.rejections)


def _labels_end(data: bytes, at: int, end: int) -> int:
    """Where the labels end that the series begins with.

    Raises:
        MalformedError: the series ends within a label.
    """
    while at < end and data[at] == LABEL:
        length, start = varint(data, at + 1, end)
        at = start + length
    if at > end:
        raise MalformedError(f"A label before byte {at} is longer than its series.")
    return at


def _label(data: bytes, start: int, end: int, budget: Budget) -> tuple[str, str]:
    name = value = ""
    for tag, first, last in fields(data, start, end, budget):
        if tag == 1 << 3 | BYTES:
            name = text(data, first, last)
        elif tag == 2 << 3 | BYTES:
            value = text(data, first, last)
    return name, value


def _metadata(data: bytes, start: int, end: int, budget: Budget) -> Metadata:
    kind, name, help_text, unit = 0, "", "", ""
    for tag, first, last in fields(data, start, end, budget):
        if tag == 1 << 3 | VARINT:
            kind = first
        elif tag == 2 << 3 | BYTES:
            name = text(data, first, last)
        elif tag == 4 << 3 | BYTES:
            help_text = text(data, first, last)
        elif tag == 5 << 3 | BYTES:
            unit = text(data, first, last)
    return Metadata(name, TYPES[kind] if kind < len(TYPES) else MetricType.UNKNOWN, help_text, unit)
