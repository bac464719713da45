"""`POST /otlp/v1/metrics`: OTLP/HTTP, in protobuf and JSON.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

from enum import Enum
from typing import Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from luna_serving.capabilities.metrics.ingest.building import parsed
from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.otlp_points import Reading
from luna_serving.capabilities.metrics.ingest.refusals import malformed
from luna_serving.capabilities.metrics.ingest.results import Parsed, Rejections
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem

# gRPC's codes.
_INVALID_ARGUMENT: Final = 3


class Encoding(Enum):
    """How a request is encoded, and its answer too; the value is its media type."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


def negotiated(content_type: str | None) -> Encoding:
    """The encoding of a request.

    Raises:
        Problem: 415.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    try:
        return Encoding(media_type)
    except ValueError as e:
        raise problems.unsupported_media_type(content_type or "", [each.value for each in Encoding]) from e


class OtlpParser:
    """Parses requests, in any thread."""

    def __init__(self, cache: SeriesCache) -> None:
        self._cache = cache

    def parse(self, encoding: Encoding, body: bytes, bounds: Bounds) -> Parsed:
        """Read an `ExportMetricsServiceRequest`; the items are data points, numbered through the request.

        Raises:
            Problem: 400, it is malformed; 422, it has too many data points.
        """
        reading = Reading(bounds, self._cache.under(bounds.max_labels))
        for resource in _message(encoding, body).resource_metrics:
            reading.read(resource)
        return parsed(reading.singles.columns(), bounds, reading.rejections, metadata=list(reading.metadata.values()))


def answer(encoding: Encoding, rejections: Rejections) -> bytes:
    """The body of a 200: an `ExportMetricsServiceResponse`, with `partial_success` where there were rejections."""
    response = ExportMetricsServiceResponse()
    if rejections.items:
        response.partial_success.rejected_data_points = rejections.items
        response.partial_success.error_message = rejections.in_words()
    return _encoded(encoding, response)


def failure(encoding: Encoding, problem: Problem) -> bytes:
    """The body of an answer with another status: a `google.rpc.Status`."""
    return _encoded(encoding, Status(code=_INVALID_ARGUMENT, message=problem.detail))


def _encoded(encoding: Encoding, message: ExportMetricsServiceResponse | Status) -> bytes:
    if encoding is Encoding.PROTOBUF:
        return bytes(message.SerializeToString())
    return str(json_format.MessageToJson(message, indent=None)).encode()


def _message(encoding: Encoding, body: bytes) -> ExportMetricsServiceRequest:
    message = ExportMetricsServiceRequest()
    try:
        if encoding is Encoding.PROTOBUF:
            message.ParseFromString(body)
        else:
            # Identifiers of traces are hexadecimal and read as base64 here; exemplars are not kept.
            json_format.Parse(body, message, ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError) as e:
        raise malformed(f"Is not an ExportMetricsServiceRequest ({encoding.value}): {str(e)[:200]}") from e
    return message
