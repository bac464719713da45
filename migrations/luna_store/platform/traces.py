"""OpenTelemetry traces over OTLP/HTTP: off unless an endpoint is set, and without cost per request while off.

Propagation is W3C Trace Context (https://www.w3.org/TR/trace-context/): a `traceparent` of the caller is continued.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Self

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, get_current_span, set_span_in_context, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR: Final = TraceContextTextMapPropagator()
HEADER: Final = "traceparent"
# A process that ends waits so long for a collector that is away.
EXPORT_S: Final = 2.0

Attributes = Mapping[str, str | int]


class Traces:
    """The tracer of one process."""

    def __init__(self, service: str, exporter: SpanExporter, ratio: float = 1.0) -> None:
        """Send spans to an exporter.

        Args:
            service: the `service.name` of this process.
            exporter: where finished spans go, in batches, from a separate thread.
            ratio: the share of traces that are recorded if the caller has not decided.
        """
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)), resource=Resource.create({"service.name": service})
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("luna")

    @classmethod
    def to(cls, endpoint: str, service: str, ratio: float = 1.0) -> Self | None:
        """A tracer for an OTLP/HTTP endpoint, such as http://collector:4318/v1/traces; None without an endpoint."""
        if not endpoint:
            return None
        # Imported here: the import takes 0.2 s, and traces are off by default.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return cls(service, OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_S), ratio)

    def server(self, name: str, traceparent: str | None) -> Span:
        """A span of a request, in the caller's trace if it has one."""
        return self._tracer.start_span(name, context=context_of(traceparent), kind=SpanKind.SERVER)

    @contextmanager
    def batch(self, name: str, of: Sequence[str], attributes: Attributes | None = None) -> Iterator[str]:
        """A span around work for several requests, in the trace of the first and linked to all.

        Args:
            name: of the span.
            of: the `traceparent`s of the requests' spans. Without any there is no span.
            attributes: of the span.

        Yields:
            The span's own `traceparent`; empty where it is not recorded.
        """
        if not of:
            yield ""
            return
        contexts = [context_of(each) for each in of]
        links = [Link(get_current_span(context).get_span_context()) for context in contexts]
        span = self._tracer.start_span(
            name, context=contexts[0], links=[link for link in links if link.context.is_valid], attributes=attributes
        )
        with use_span(span, end_on_exit=True):
            yield self.name_of(span)

    @contextmanager
    def child(self, name: str, traceparent: str, attributes: Attributes | None = None) -> Iterator[None]:
        """A span around work in the trace of another process."""
        span = self._tracer.start_span(name, context=context_of(traceparent), attributes=attributes)
        with use_span(span, end_on_exit=True):
            yield

    @staticmethod
    def name_of(span: Span) -> str:
        """The `traceparent` of a span; empty where it is not recorded."""
        return traceparent_of(span) if span.is_recording() else ""

    def close(self) -> None:
        """Send the remaining spans; takes at most the exporter's time-out."""
        self._provider.shutdown()


def context_of(traceparent: str | None) -> Context:
    """The context of a `traceparent` header; empty if the header is missing or invalid."""
    carrier: Mapping[str, str] = {HEADER: traceparent} if traceparent else {}
    return _PROPAGATOR.extract(carrier, Context())


def traceparent_of(span: Span) -> str:
    """The `traceparent` with which another process continues a span's trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, set_span_in_context(span, Context()))
    return carrier.get(HEADER, "")
