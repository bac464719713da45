"""`POST /prometheus/write`: Prometheus remote write 1.0 and 2.0, their negotiation, compression and answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import cramjam

from luna_serving.capabilities.metrics.ingest import remote_write_v1, remote_write_v2
from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.protobuf_wire import MalformedError
from luna_serving.capabilities.metrics.ingest.refusals import malformed
from luna_serving.capabilities.metrics.ingest.results import MAX_SHOWN, Parsed, Rejections
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem

MEDIA_TYPE: Final = "application/x-protobuf"
WRITTEN: Final = "X-Prometheus-Remote-Write-{}-Written"


class Protocol(Enum):
    """The version of the protocol; the value is the name of its message."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"


_BY_NAME: Final = {protocol.value: protocol for protocol in Protocol}
TAKEN: Final = tuple(f"{MEDIA_TYPE};proto={protocol.value}" for protocol in Protocol)


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a request that was read."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def negotiated(content_type: str | None, content_encoding: str | None) -> Protocol:
    """The protocol of a request; 1.0 if its headers do not say.

    Raises:
        Problem: 415, so that a sender tries another protocol.
    """
    if content_encoding is not None and content_encoding.strip().lower() != "snappy":
        raise problems.unsupported_content_coding(content_encoding, ["snappy"])
    if content_type is None:
        return Protocol.V1
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() != MEDIA_TYPE:
        raise problems.unsupported_media_type(content_type, TAKEN)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "proto":
            protocol = _BY_NAME.get(value.strip().strip('"'))
            if protocol is None:
                raise problems.unsupported_media_type(content_type, TAKEN)
            return protocol
    return Protocol.V1


class RemoteWriteParser:
    """Parses requests, in any thread."""

    def __init__(self, cache: SeriesCache, max_bytes: int) -> None:
        """Of a body decompressed, `max_bytes` at most."""
        self._cache = cache
        self._max_bytes = max_bytes

    def parse(self, protocol: Protocol, body: bytes, bounds: Bounds) -> Parsed:
        """Read a body in Snappy's block format.

        Raises:
            Problem: 400, it is malformed; 413, it is too large decompressed.
        """
        data = self._decompressed(body)
        rejections = Rejections(most=MAX_SHOWN)
        reading = remote_write_v1.Reading if protocol is Protocol.V1 else remote_write_v2.Reading
        try:
            return reading(data, bounds, self._cache.under(bounds.max_labels), rejections).run()
        except MalformedError as e:
            raise malformed(f"Is not a message of the type {protocol.value}: {e}") from e

    def _decompressed(self, body: bytes) -> bytes:
        try:
            # The length is the first varint of a block: nothing is allocated for a false one.
            if cramjam.snappy.decompress_raw_len(body) > self._max_bytes:
                raise problems.too_large(self._max_bytes)
            return bytes(cramjam.snappy.decompress_raw(body))
        except cramjam.DecompressionError as e:
            raise malformed(f"Is not a block of Snappy: {e}.") from e


def answer(protocol: Protocol, written: int, rejections: Rejections) -> Written:
    """The answer after samples were written: 204, or 400 where some were rejected and must not be sent again.

    Args:
        protocol: of the request.
        written: samples that were stored.
        rejections: by the parser and by the shard.
    """
    counts = {"Samples": written, "Histograms": 0, "Exemplars": 0}
    headers = {WRITTEN.format(what): str(count) for what, count in counts.items()} if protocol is Protocol.V2 else {}
    if not rejections.items:
        return Written(204, headers)
    problem = Problem(
        "malformed", 400, "Some samples were rejected.", f"{written} samples were written. {rejections.in_words()}"
    )
    return Written(400, {**headers, "Content-Type": "application/problem+json"}, problem.body())
