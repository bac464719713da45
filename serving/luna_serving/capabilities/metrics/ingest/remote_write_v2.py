"""Prometheus remote write 2.0: `io.prometheus.write.v2.Request`, whose series refer to a table of symbols.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/. The table differs between requests, so a series is
recognised by its texts, and not by its bytes as in 1.0.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from luna_serving.capabilities.metrics.ingest.building import check_count, parsed
from luna_serving.capabilities.metrics.ingest.checking import Bounds, UnusableSeries
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
from luna_serving.capabilities.metrics.ingest.remote_write_samples import SAMPLE_BYTES
from luna_serving.capabilities.metrics.ingest.remote_write_series import Series, assembled
from luna_serving.capabilities.metrics.ingest.results import (
    Metadata,
    MetricType,
    Parsed,
    Rejections,
)
from luna_serving.capabilities.metrics.ingest.series_cache import Known
from luna_serving.samples.identity import SEPARATOR

SYMBOL: Final = 4 << 3 | BYTES
SERIES: Final = 5 << 3 | BYTES
REFS: Final = 1 << 3 | BYTES
REF: Final = 1 << 3 | VARINT
TAGS: Final = Tags(sample=2 << 3 | BYTES, histogram=3 << 3 | BYTES, exemplar=4 << 3 | BYTES)
METADATA: Final = 5 << 3 | BYTES
_UINT32: Final = (1 << 32) - 1
_ONE_BYTE: Final = 0x80
# Series of a family, by the type of the family.
_SUFFIXES: Final = {
    MetricType.HISTOGRAM: ("_bucket", "_count", "_sum"),
    MetricType.GAUGE_HISTOGRAM: ("_bucket", "_gcount", "_gsum", "_count", "_sum"),
    MetricType.SUMMARY: ("_count", "_sum"),
}


@dataclass(slots=True)
class Reading:
    """One request while it is read."""

    data: bytes
    bounds: Bounds
    known: Known
    rejections: Rejections
    symbols: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """Where each series begins."""
    ends: list[int] = field(default_factory=list)
    described: dict[tuple[bytes, bytes], None] = field(default_factory=dict)
    """Names of metrics with the bytes of their metadata, each once."""
    exemplars: int = 0
    budget: Budget = field(default_factory=Budget)

    def run(self) -> Parsed:
        """Read it.

        Raises:
            MalformedError: it is no message.
        """
        self._find_series()
        check_count(len(self.starts), self.bounds)
        keys: list[bytes] = []
        samples: list[int] = []
        add_key, add_sample = keys.append, samples.append
        for start, end in zip(self.starts, self.ends, strict=True):
            key, sample = self._usual(start, end)
            add_key(key)
            add_sample(sample)
        columns = assembled(self.data, keys, np.array(samples, np.int64), self._in_full)
        metadata = [found for name, raw in self.described if (found := self._metadata(name, raw)) is not None]
        return parsed(columns, self.bounds, self.rejections, metadata=metadata, exemplars=self.exemplars)

    def _find_series(self) -> None:
        data, end = self.data, len(self.data)
        starts, ends, symbols = self.starts.append, self.ends.append, self.symbols.append
        at = 0
        while at < end:
            tag = data[at]
            if tag in {SERIES, SYMBOL} and self.budget.left:
                length, start = varint(data, at + 1, end)
                at = start + length
                if at > end:
                    raise MalformedError(f"A field at byte {start} is longer than the request.")
                self.budget.left -= 1
            else:
                tag, start, _, at = self.budget.field_at(data, at, end)
            if tag == SERIES:
                starts(start)
                ends(at)
            elif tag == SYMBOL:
                symbols(text(data, start, at))

    def _usual(self, start: int, end: int) -> tuple[bytes, int]:
        """The key of a known series and where its sample begins, if it has labels, a sample, perhaps metadata."""
        data = self.data
        if end - start < SAMPLE_BYTES + 2 or data[start] != REFS or data[start + 1] >= _ONE_BYTE:
            return b"", 0
        sample = start + 2 + data[start + 1]
        after = sample + SAMPLE_BYTES
        refs = data[start + 2 : sample]
        if after != end and not (after + 2 <= end and data[after] == METADATA and after + 2 + data[after + 1] == end):
            return b"", 0
        try:
            spelled = self._spelled(refs)
        except IndexError:
            return b"", 0
        key = self.known.get(spelled, b"")
        if key and after < end:
            self.described[key.partition(SEPARATOR)[0], data[after + 2 : end]] = None
        return key, sample

    def _spelled(self, refs: bytes) -> tuple[str, ...]:
        """The texts that packed references lead to.

        Raises:
            IndexError: there is no such symbol.
            MalformedError: they are no varints.
        """
        symbols = self.symbols
        if refs.isascii():
            return tuple([symbols[ref] for ref in refs])
        texts = []
        at, end = 0, len(refs)
        while at < end:
            ref = refs[at]
            if ref < _ONE_BYTE:
                at += 1
            elif at + 1 < end and refs[at + 1] < _ONE_BYTE:
                ref = ref & 0x7F | refs[at + 1] << 7
                at += 2
            else:
                ref, at = varint(refs, at, end)
            texts.append(symbols[ref & _UINT32])
        return tuple(texts)

    def _in_full(self, place: int) -> Series | None:
        data = self.data
        found = fields_of(data, self.starts[place], self.ends[place], TAGS, self.budget)
        self.exemplars += found.exemplars
        spelled: list[str] = []
        unknown_symbol = False
        metadata: list[bytes] = []
        for tag, first, last in found.rest:
            if tag == METADATA:
                metadata.append(data[first:last])  # one message in parts: their fields count as if they were in one
            elif tag in {REFS, REF}:
                try:
                    spelled += self._spelled(data[first:last]) if tag == REFS else (self.symbols[first & _UINT32],)
                except IndexError:
                    unknown_symbol = True

        def made() -> bytes:
            key = self._key(tuple(spelled), unknown_symbol=unknown_symbol)
            if metadata:
                self.described[key.partition(SEPARATOR)[0], b"".join(metadata)] = None
            return key

        return series_of(place, found, made, self.rejections)

    def _key(self, spelled: tuple[str, ...], *, unknown_symbol: bool) -> bytes:
        if unknown_symbol:
            raise UnusableSeries(f"A label refers to a symbol beyond the {len(self.symbols)} of the request.")
        if len(spelled) % 2:
            raise UnusableSeries(f"Has {len(spelled)} references to symbols: a label takes two.")
        key = self.known.get(spelled)
        if key is None:
            key = key_of(list(zip(spelled[::2], spelled[1::2], strict=True)), self.bounds)
            self.known.remember(spelled, key)
        return key

    def _metadata(self, name: bytes, raw: bytes) -> Metadata | None:
        """The metadata of a family; None if it says nothing."""
        kind = help_ref = unit_ref = 0
        for tag, first, _ in fields(raw, 0, len(raw), self.budget):
            if tag == 1 << 3 | VARINT:
                kind = first
            elif tag == 3 << 3 | VARINT:
                help_ref = first & _UINT32
            elif tag == 4 << 3 | VARINT:
                unit_ref = first & _UINT32
        if max(help_ref, unit_ref) >= len(self.symbols):
            raise MalformedError(f"Metadata refers to a symbol beyond the {len(self.symbols)} of the request.")
        type_ = TYPES[kind] if kind < len(TYPES) else MetricType.UNKNOWN
        help_text, unit = self.symbols[help_ref], self.symbols[unit_ref]
        if type_ is MetricType.UNKNOWN and not help_text and not unit:
            return None
        family = name.decode()
        for suffix in _SUFFIXES.get(type_, ()):
            if family.endswith(suffix):
                family = family.removesuffix(suffix)
                break
        return Metadata(family, type_, help_text, unit)
