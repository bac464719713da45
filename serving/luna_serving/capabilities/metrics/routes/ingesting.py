"""`POST /metrics/ingest`, `/metrics/batch`, `/prometheus/write`, `/otlp/v1/metrics` and `/influx/write`."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from luna_serving.capabilities.metrics.ingest import influx, json_answer, otlp, remote_write
from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.descriptions import described
from luna_serving.capabilities.metrics.ingest.influx import InfluxParser
from luna_serving.capabilities.metrics.ingest.json_batch import JsonParser
from luna_serving.capabilities.metrics.ingest.json_sample import parse_sample
from luna_serving.capabilities.metrics.ingest.otlp import OtlpParser
from luna_serving.capabilities.metrics.ingest.remote_write import RemoteWriteParser
from luna_serving.capabilities.metrics.ingest.results import Parsed, Reason, Rejection
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.capabilities.metrics.requests import Describe
from luna_serving.capabilities.metrics.routes.calls import INGEST, Calls, too_fast, too_many_series, units_of
from luna_serving.edge.bodies import read_in_time, require_json
from luna_serving.edge.operation import Answer, Asked
from luna_serving.samples.answers import TooFast
from luna_serving.wire.problems import Problem

T = TypeVar("T")

DAY_MS: Final = 86_400_000
# Bodies that are parsed on the event loop: half a millisecond.
INLINE_BYTES: Final = 16 * 1024
# Of one sample as JSON: all labels at their longest fit.
SAMPLE_BYTES: Final = 256 * 1024
JSON: Final = ((b"content-type", b"application/json"),)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What became of a request."""

    samples: int
    refused: Sequence[Rejection]


@dataclass(frozen=True, slots=True)
class Ingest:
    """Serves the routes of ingest. A cache of series per protocol, because they spell series differently."""

    calls: Calls
    _items: SeriesCache = field(default_factory=SeriesCache)
    _batches: JsonParser = field(default_factory=lambda: JsonParser(SeriesCache()))
    _otlp: OtlpParser = field(default_factory=lambda: OtlpParser(SeriesCache()))
    _influx: InfluxParser = field(default_factory=lambda: InfluxParser(SeriesCache()))
    _remote: SeriesCache = field(default_factory=SeriesCache)

    async def one(self, asked: Asked) -> Answer:
        """One sample as JSON."""
        body = await asked.json(SAMPLE_BYTES)
        parsed = await self._aside(asked, body, partial(parse_sample, body, self._bounds(asked), self._items))
        kept = await self._kept(asked, "metrics/ingest", parsed)
        return Answer(json_answer.answer(kept.samples, kept.refused), headers=JSON)

    async def batch(self, asked: Asked) -> Answer:
        """JSON, as items or columns."""
        require_json(asked.headers)
        body = await asked.body(self.calls.settings.max_body_bytes)
        parsed = await self._aside(asked, body, partial(self._batches.parse, body, self._bounds(asked)))
        kept = await self._kept(asked, "metrics/batch", parsed)
        listed = parsed.rejections.kept
        more = parsed.rejections.items - len(listed)
        return Answer(json_answer.answer(kept.samples, [*listed, *kept.refused], more), headers=JSON)

    async def remote_write(self, asked: Asked) -> Answer:
        """Prometheus remote write."""
        protocol = remote_write.negotiated(_header(asked, b"content-type"), _header(asked, b"content-encoding"))
        # As it was sent: the edge does not know this compression.
        limit = self.calls.settings.max_body_bytes
        body = await read_in_time(asked.headers, asked.receive, limit, asked.seconds)
        asked.unread = False
        parser = RemoteWriteParser(self._remote, limit)
        parsed = await self._aside(asked, body, partial(parser.parse, protocol, body, self._bounds(asked)))
        kept = await self._kept(asked, "prometheus/write", parsed)
        _add(parsed, kept)
        written = remote_write.answer(protocol, kept.samples, parsed.rejections)
        headers = [(name.lower().encode(), value.encode()) for name, value in written.headers.items()]
        return Answer(written.body, written.status, headers)

    async def otlp(self, asked: Asked) -> Answer:
        """OTLP/HTTP."""
        encoding = otlp.negotiated(_header(asked, b"content-type"))
        body = await asked.body(self.calls.settings.max_body_bytes)
        headers = [(b"content-type", encoding.value.encode())]
        try:
            parsed = await self._aside(asked, body, partial(self._otlp.parse, encoding, body, self._bounds(asked)))
        except Problem as problem:
            if problem.status != 400:
                raise
            return Answer(otlp.failure(encoding, problem), 400, headers)
        kept = await self._kept(asked, "otlp/v1/metrics", parsed)
        _add(parsed, kept)
        return Answer(otlp.answer(encoding, parsed.rejections), headers=headers)

    async def influx(self, asked: Asked) -> Answer:
        """Line protocol."""
        body = await asked.body(self.calls.settings.max_body_bytes)
        precision = asked.parameters.one("precision", "ns")
        parsed = await self._aside(asked, body, partial(self._influx.parse, body, precision, self._bounds(asked)))
        kept = await self._kept(asked, "influx/write", parsed)
        _add(parsed, kept)
        status, text = influx.answer(parsed.rejections)
        return Answer(text, status, JSON if text else ())

    async def _kept(self, asked: Asked, route: str, parsed: Parsed) -> _Kept:
        """Charge, and have the samples made durable.

        Raises:
            Denied: of the charge.
            Problem: 429, 503. Nothing is charged.
        """
        batch = parsed.batch
        samples = self.calls.samples(asked)
        async with self.calls.charged(asked, route, INGEST, units_of(batch.samples)):
            if metadata := described(parsed.metadata):
                await samples.ask(asked.account_id, Describe(metadata))
            if not batch.samples:
                return _Kept(0, ())
            written = await samples.write(asked.account_id, batch, self.calls.write_limits(asked))
            if isinstance(written, TooFast):
                raise too_fast(written)
            if written.refused and not written.samples:
                raise too_many_series(written.refused[0].detail)
        refused = [
            Rejection(
                int(parsed.items[each.index]),
                Reason.TOO_MANY_SERIES,
                each.detail,
                samples=int(batch.offsets[each.index + 1] - batch.offsets[each.index]),
            )
            for each in written.refused
        ]
        return _Kept(written.samples, refused)

    def _bounds(self, asked: Asked) -> Bounds:
        days = self.calls.limit(asked, "metrics.retention_days")
        labels = self.calls.limit(asked, "metrics.labels")
        now_ms = time.time_ns() // 1_000_000
        return Bounds.at(now_ms, days * DAY_MS, labels, self.calls.settings.max_call_samples)

    @staticmethod
    async def _aside(asked: Asked, body: bytes, parse: Callable[[], T]) -> T:
        if len(body) <= INLINE_BYTES:
            return parse()
        return await asyncio.get_running_loop().run_in_executor(asked.aside, parse)


def _add(parsed: Parsed, kept: _Kept) -> None:
    for each in kept.refused:
        parsed.rejections.add(each)


def _header(asked: Asked, name: bytes) -> str | None:
    value = asked.headers.get(name)
    return None if value is None else value.decode("latin-1")
