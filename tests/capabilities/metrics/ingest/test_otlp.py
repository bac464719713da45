"""`POST /otlp/v1/metrics`."""

import math
import struct

import pytest
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from tests.capabilities.metrics.ingest.reading import BOUNDS, DAY, NOW, bits, read_or_refused, samples

from luna_serving.capabilities.metrics.ingest.otlp import Encoding, OtlpParser, answer, failure, negotiated
from luna_serving.capabilities.metrics.ingest.otlp_names import label_name, metric_name, number_text
from luna_serving.capabilities.metrics.ingest.results import Metadata
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.wire.problems import Problem

NANO = str(NOW * 1_000_000)
CUMULATIVE, DELTA = 2, 1
STALE = bits(struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0])


def attributes(**texts):
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in texts.items()]


def request(*metrics, resource=(), scope=None):
    scoped = {"metrics": list(metrics), **({"scope": scope} if scope else {})}
    document = {"resourceMetrics": [{"resource": {"attributes": list(resource)}, "scopeMetrics": [scoped]}]}
    return json_format.ParseDict(document, ExportMetricsServiceRequest())


def point(**members):
    return {"timeUnixNano": NANO, **members}


def parse(message, encoding=Encoding.PROTOBUF, bounds=BOUNDS):
    body = message.SerializeToString() if encoding is Encoding.PROTOBUF else json_format.MessageToJson(message).encode()
    return OtlpParser(SeriesCache()).parse(encoding, body, bounds)


GAUGE = {"name": "http.load", "gauge": {"dataPoints": [point(asDouble=0.5, attributes=attributes(http__method="GET"))]}}


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_gauge_is_a_series_whose_dots_are_underscores(encoding):
    assert samples(parse(request(GAUGE), encoding)) == [("http_load", {"http_method": "GET"}, NOW, bits(0.5))]


def test_neither_units_nor_types_are_appended():
    metric = {
        "name": "http.server.duration",
        "unit": "s",
        "description": "How long.",
        "sum": {"dataPoints": [point(asInt="7")], "aggregationTemporality": CUMULATIVE, "isMonotonic": True},
    }
    parsed = parse(request(metric))
    assert samples(parsed) == [("http_server_duration", {}, NOW, bits(7.0))]
    assert parsed.metadata == [Metadata("http_server_duration", "counter", "How long.", "s")]


def test_a_resource_gives_job_instance_and_target_info():
    resource = attributes(
        service__namespace="shop", service__name="cart", service__instance__id="i-1", cloud__region="eu"
    )
    found = samples(parse(request(GAUGE, resource=resource, scope={"name": "lib", "version": "2"})))
    assert found == [
        (
            "http_load",
            {
                "http_method": "GET",
                "job": "shop/cart",
                "instance": "i-1",
                "otel_scope_name": "lib",
                "otel_scope_version": "2",
            },
            NOW,
            bits(0.5),
        ),
        ("target_info", {"cloud_region": "eu", "job": "shop/cart", "instance": "i-1"}, NOW, bits(1.0)),
    ]


def test_a_resource_without_a_service_gives_no_target_info():
    assert [each[0] for each in samples(parse(request(GAUGE, resource=attributes(cloud__region="eu"))))] == [
        "http_load"
    ]


def test_a_histogram_is_its_classic_series():
    data = {"count": "9", "sum": 12.5, "bucketCounts": ["2", "3", "4"], "explicitBounds": [0.5, 1000]}
    metric = {"name": "h", "histogram": {"dataPoints": [point(**data)], "aggregationTemporality": CUMULATIVE}}
    assert samples(parse(request(metric))) == [
        ("h_sum", {}, NOW, bits(12.5)),
        ("h_count", {}, NOW, bits(9.0)),
        ("h_bucket", {"le": "0.5"}, NOW, bits(2.0)),
        ("h_bucket", {"le": "1000"}, NOW, bits(5.0)),
        ("h_bucket", {"le": "+Inf"}, NOW, bits(9.0)),
    ]


def test_a_summary_is_its_quantiles():
    quantiles = [{"quantile": 0.5, "value": 2}, {"quantile": 1, "value": 9}]
    metric = {"name": "s", "summary": {"dataPoints": [point(count="3", sum=11, quantileValues=quantiles)]}}
    assert samples(parse(request(metric))) == [
        ("s_sum", {}, NOW, bits(11.0)),
        ("s_count", {}, NOW, bits(3.0)),
        ("s", {"quantile": "0.5"}, NOW, bits(2.0)),
        ("s", {"quantile": "1"}, NOW, bits(9.0)),
    ]


def test_a_point_without_a_recorded_value_ends_its_series():
    gauge = {"name": "g", "gauge": {"dataPoints": [point(flags=1)]}}
    data = {"flags": 1, "sum": 0, "bucketCounts": ["0", "0"], "explicitBounds": [1]}
    histogram = {"name": "h", "histogram": {"dataPoints": [point(**data)], "aggregationTemporality": CUMULATIVE}}
    found = samples(parse(request(gauge, histogram)))
    assert {value for *_, value in found} == {STALE}
    assert len(found) == 5


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (
            {"name": "d", "sum": {"dataPoints": [point(asInt="1"), point(asInt="2")], "aggregationTemporality": DELTA}},
            "temporality",
        ),
        ({"name": "d", "sum": {"dataPoints": [point(asInt="1"), point(asInt="2")]}}, "temporality"),
        (
            {"name": "d", "histogram": {"dataPoints": [point(), point()], "aggregationTemporality": DELTA}},
            "temporality",
        ),
        (
            {
                "name": "d",
                "exponentialHistogram": {"dataPoints": [point(), point()], "aggregationTemporality": CUMULATIVE},
            },
            "native-histogram",
        ),
        ({"name": "", "gauge": {"dataPoints": [point(asInt="1"), point(asInt="2")]}}, "invalid"),
        (
            {"name": "d", "gauge": {"dataPoints": [{"asInt": "1"}, {"asInt": "1", "timeUnixNano": "1"}]}},
            "sample-too-old",
        ),
        ({"name": "d", "summary": {"dataPoints": [{"timeUnixNano": str((NOW + DAY) * 10**6)}] * 2}}, "sample-too-new"),
        (
            {"name": "d", "gauge": {"dataPoints": [{"asInt": "1", "timeUnixNano": str(2**64 - 1)}] * 2}},
            "sample-too-new",
        ),
    ],
)
@pytest.mark.parametrize("encoding", list(Encoding))
def test_points_that_are_not_stored_are_a_partial_success(metric, reason, encoding):
    parsed = parse(request(metric, GAUGE), encoding)
    assert [each[0] for each in samples(parsed)] == ["http_load"]
    assert parsed.items.tolist() == [2]
    assert parsed.rejections.samples == {reason: 2}
    body = answer(encoding, parsed.rejections)
    response = ExportMetricsServiceResponse()
    response.ParseFromString(body) if encoding is Encoding.PROTOBUF else json_format.Parse(body, response)
    assert response.partial_success.rejected_data_points == 2
    assert response.partial_success.error_message.startswith("2 samples were rejected. ")


def test_a_full_success_is_an_empty_message():
    assert answer(Encoding.PROTOBUF, parse(request(GAUGE)).rejections) == b""
    assert answer(Encoding.JSON, parse(request(GAUGE)).rejections) == b"{}"


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("body", [b"\xff", b'{"resourceMetrics": 3}', b"[" * 3_000, b'{"resourceMetrics": [' * 200])
def test_a_malformed_request_is_400_with_a_status(encoding, body):
    with pytest.raises(Problem) as refused:
        OtlpParser(SeriesCache()).parse(encoding, body, BOUNDS)
    assert refused.value.status == 400
    text = failure(encoding, refused.value)
    status = Status()
    status.ParseFromString(text) if encoding is Encoding.PROTOBUF else json_format.Parse(text, status)
    assert (status.code, status.message) == (3, refused.value.detail)


def test_unknown_members_of_json_are_ignored():
    body = b'{"resourceMetrics": [], "later": {"x": 1}}'
    assert samples(OtlpParser(SeriesCache()).parse(Encoding.JSON, body, BOUNDS)) == []


def test_too_many_points_are_refused():
    metric = {"name": "g", "gauge": {"dataPoints": [point(asInt="1")] * 501}}
    with pytest.raises(Problem, match="a call may have 1000"):
        parse(request(metric, metric))


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [("application/x-protobuf", Encoding.PROTOBUF), ("Application/JSON; charset=utf-8", Encoding.JSON)],
)
def test_the_content_type_names_the_encoding(content_type, encoding):
    assert negotiated(content_type) is encoding


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/grpc"])
def test_other_content_types_are_415(content_type):
    with pytest.raises(Problem) as refused:
        negotiated(content_type)
    assert refused.value.status == 415


def test_attributes_of_all_kinds_are_texts():
    values = {
        "a": {"boolValue": True},
        "b": {"intValue": "-3"},
        "c": {"doubleValue": 0.5},
        "d": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "é"}]}},
        "e": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": False}}]}},
        "f": {"bytesValue": "AAE="},
        "g": {},
    }
    listed = [{"key": key, "value": value} for key, value in values.items()]
    metric = {"name": "g", "gauge": {"dataPoints": [point(asInt="1", attributes=listed)]}}
    assert samples(parse(request(metric)))[0][1] == {
        "a": "true",
        "b": "-3",
        "c": "0.5",
        "d": '[1,"é"]',
        "e": '{"k":false}',
        "f": "AAE=",
    }


def test_attributes_that_get_the_same_name_are_joined():
    listed = [{"key": key, "value": {"stringValue": key}} for key in ("a_b", "a.b", "a-b")]
    metric = {"name": "g", "gauge": {"dataPoints": [point(asInt="1", attributes=listed)]}}
    assert samples(parse(request(metric)))[0][1] == {"a_b": "a-b;a.b;a_b"}


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.b", "a_b"),
        ("a..b", "a_b"),
        ("a__b", "a__b"),
        (".a.", "a"),
        ("_a", "_a"),
        ("1a", "_1a"),
        ("a:b", "a:b"),
        ("é", ""),
    ],
)
def test_names_of_metrics(name, clean):
    assert metric_name(name) == clean


@pytest.mark.parametrize(
    ("name", "clean"), [("a.b", "a_b"), ("a..b", "a__b"), ("1a", "key_1a"), ("a:b", "a_b"), ("é", "_")]
)
def test_names_of_labels(name, clean):
    assert label_name(name) == clean


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1"),
        (0.5, "0.5"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_bounds_are_written_without_exponents(number, text):
    assert number_text(float(number)) == text


@given(st.binary(max_size=80), st.sampled_from(list(Encoding)))
def test_arbitrary_bytes_never_crash(body, encoding):
    read_or_refused(lambda: OtlpParser(SeriesCache()).parse(encoding, body, BOUNDS), 400, 422)


@given(st.data())
def test_damaged_requests_never_crash(data):
    whole = request(
        GAUGE,
        {
            "name": "h",
            "histogram": {
                "dataPoints": [point(count="1", bucketCounts=["1", "0"], explicitBounds=[1])],
                "aggregationTemporality": 2,
            },
        },
        resource=attributes(service__name="a", x="y"),
    )
    raw = bytearray(whole.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    read_or_refused(lambda: OtlpParser(SeriesCache()).parse(Encoding.PROTOBUF, bytes(raw), BOUNDS), 400, 422)
