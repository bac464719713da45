"""Traces: off without an endpoint; with one, a caller's trace goes on from process to process."""

import json

import pytest
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.telemetry.collector import collecting

from luna_store.platform.traces import Traces, traceparent_of

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = 0x0AF7651916CD43DD8448EB211C80319C


@pytest.fixture
def exporter() -> SpanExporter:
    return InMemorySpanExporter()


def test_without_an_endpoint_there_are_none() -> None:
    assert Traces.to("", "luna") is None


def test_the_callers_trace_goes_on_through_a_batch_into_another_process(exporter: InMemorySpanExporter) -> None:
    others = InMemorySpanExporter()
    edge, replica = Traces("edge", exporter), Traces("replica", others)
    call, other = edge.server("kalman", CALLER), edge.server("kalman", None)
    with (
        edge.batch("batch", [traceparent_of(call), traceparent_of(other)]) as batch,
        replica.child("compute", batch),
    ):
        pass
    for span in (call, other):
        span.end()
    edge.close()
    replica.close()
    finished = [*exporter.get_finished_spans(), *others.get_finished_spans()]
    spans = {span.name: span for span in finished if span.context.trace_id == TRACE}
    assert set(spans) == {"kalman", "batch", "compute"}
    assert spans["kalman"].parent.span_id == 0xB7AD6B7169203331
    assert spans["batch"].parent.span_id == spans["kalman"].context.span_id
    assert spans["compute"].parent.span_id == spans["batch"].context.span_id
    assert [link.context.span_id for link in spans["batch"].links] == [
        call.get_span_context().span_id,
        other.get_span_context().span_id,
    ]


def test_what_the_caller_decided_not_to_record_is_not_recorded(exporter: InMemorySpanExporter) -> None:
    traces = Traces("edge", exporter)
    traces.server("kalman", CALLER[:-1] + "0").end()
    traces.close()
    assert exporter.get_finished_spans() == ()


def test_a_header_that_is_none_begins_a_trace(exporter: InMemorySpanExporter) -> None:
    traces = Traces("edge", exporter)
    traces.server("kalman", "nonsense").end()
    traces.close()
    (span,) = exporter.get_finished_spans()
    assert span.parent is None


def test_a_collector_receives_the_spans_over_http() -> None:
    with collecting() as collected:
        traces = Traces.to(collected.url, "luna-test")
        assert traces is not None
        traces.server("kalman", CALLER).end()
        traces.close()
    (request,) = collected.requests
    (resource,) = request.resource_spans
    assert json.dumps({a.key: a.value.string_value for a in resource.resource.attributes}).count("luna-test") == 1
    assert resource.scope_spans[0].spans[0].trace_id == TRACE.to_bytes(16, "big")
