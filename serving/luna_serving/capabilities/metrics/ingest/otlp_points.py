"""The data points of OTLP as samples.

A histogram becomes the series `_bucket`, `_sum` and `_count`, a summary `{quantile}`, `_sum` and `_count`. Resource
attributes become `job` and `instance`, and one sample of `target_info` holds the others.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    SummaryDataPoint,
)

from luna_serving.capabilities.metrics.ingest.building import Singles, check_count
from luna_serving.capabilities.metrics.ingest.checking import Bounds, UnusableSeries, checked_key
from luna_serving.capabilities.metrics.ingest.otlp_names import label_name, labels_of, metric_name, number_text
from luna_serving.capabilities.metrics.ingest.results import (
    MAX_SHOWN,
    Metadata,
    MetricType,
    Reason,
    Rejection,
    Rejections,
)
from luna_serving.capabilities.metrics.ingest.series_cache import Known

NS_PER_MS: Final = 1_000_000
# Prometheus' staleness marker, one of the NaNs.
(STALE,) = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))
NO_RECORDED_VALUE: Final = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
CUMULATIVE: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_SAMPLE = tuple[str, tuple[tuple[str, str], ...], float]
_FARTHEST: Final = 2**62


@dataclass(slots=True)
class Reading:
    """One request while it is read."""

    bounds: Bounds
    known: Known
    singles: Singles = field(default_factory=Singles)
    rejections: Rejections = field(default_factory=lambda: Rejections(most=MAX_SHOWN))
    metadata: dict[str, Metadata] = field(default_factory=dict)
    points: int = 0
    """Data points that were read."""

    def read(self, resource: ResourceMetrics) -> None:
        """Read all metrics of a resource.

        Raises:
            Problem: 422, the request has too many data points.
        """
        attributes = labels_of(resource.resource.attributes)
        base = _identity(attributes)
        latest = None
        for scope in resource.scope_metrics:
            labels = dict(base)
            if scope.scope.name:
                labels["otel_scope_name"] = scope.scope.name
            if scope.scope.version:
                labels["otel_scope_version"] = scope.scope.version
            for metric in scope.metrics:
                latest = max(filter(None, (latest, self._metric(metric, labels))), default=None)
        others = {name: value for name, value in attributes.items() if name not in _IDENTIFYING}
        if base and others and latest is not None:
            try:
                self._add(self.points, "target_info", {**others, **base}, (), latest, 1.0)
            except UnusableSeries as e:
                self.rejections.add(Rejection(self.points, e.reason, f"target_info: {e.detail}"))

    def _metric(self, metric: Metric, labels: dict[str, str]) -> int | None:
        """Read a metric; the latest time of its data points, ms."""
        kind = metric.WhichOneof("data")
        if kind is None:
            return None
        data = getattr(metric, kind)
        points = data.data_points
        check_count(self.points + len(points), self.bounds)
        refused = _refused(kind, data)
        name = metric_name(metric.name)
        if refused is not None:
            reason, detail = refused
            for _ in points:
                self.rejections.add(Rejection(self.points, reason, f"{name or '(no name)'}: {detail}"))
                self.points += 1
            return None
        self._describe(name, metric, kind, data)
        samples_of, latest = _SAMPLES[kind], None
        for point in points:
            at = min(point.time_unix_nano // NS_PER_MS, _FARTHEST)
            latest = at if latest is None else max(latest, at)
            self._point(name, labels, point, at, samples_of(point))
        return latest

    def _point(
        self,
        name: str,
        labels: dict[str, str],
        point: Any,  # noqa: ANN401  one of three messages
        at: int,
        samples: Iterable[_SAMPLE],
    ) -> None:
        item = self.points
        self.points += 1
        stale = bool(point.flags & NO_RECORDED_VALUE)
        merged = {**labels_of(point.attributes), **labels}
        if not self.bounds.oldest_ms <= at <= self.bounds.newest_ms:
            samples = tuple(samples)[:1]  # the whole data point is rejected later, once
        for suffix, more, value in samples:
            try:
                self._add(item, name + suffix, merged, more, at, STALE if stale else value)
            except UnusableSeries as e:
                self.rejections.add(Rejection(item, e.reason, e.detail))
                return

    def _add(
        self, item: int, name: str, labels: dict[str, str], more: tuple[tuple[str, str], ...], at: int, value: float
    ) -> None:
        spelled = (name, *labels.items(), more)
        key = self.known.get(spelled)
        if key is None:
            key = checked_key(name, {**labels, **dict(more)}.items(), self.bounds.max_labels)
            self.known.remember(spelled, key)
        self.singles.add(key, item, at, value)

    def _describe(self, name: str, metric: Metric, kind: str, data: Any) -> None:  # noqa: ANN401
        types = {"gauge": MetricType.GAUGE, "histogram": MetricType.HISTOGRAM, "summary": MetricType.SUMMARY}
        type_ = types.get(kind) or (MetricType.COUNTER if data.is_monotonic else MetricType.GAUGE)
        if name:
            self.metadata[name] = Metadata(name, type_, metric.description, metric.unit)


_IDENTIFYING: Final = frozenset(map(label_name, ("service.namespace", "service.name", "service.instance.id")))


def _identity(attributes: dict[str, str]) -> dict[str, str]:
    """`job` and `instance`, where the resource has them."""
    namespace, service = attributes.get("service_namespace"), attributes.get("service_name")
    instance = attributes.get("service_instance_id")
    job = f"{namespace}/{service}" if namespace and service else service
    return {name: value for name, value in (("instance", instance), ("job", job)) if value}


def _refused(kind: str, data: Any) -> tuple[Reason, str] | None:  # noqa: ANN401
    if kind == "exponential_histogram":
        return Reason.NATIVE_HISTOGRAM, "Exponential histograms are not stored. Export explicit buckets."
    if kind in {"sum", "histogram"} and data.aggregation_temporality != CUMULATIVE:
        return Reason.TEMPORALITY, (
            "Only cumulative temporality is stored. Set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative, "
            "or use the collector's processor deltatocumulative."
        )
    return None


def _number(point: NumberDataPoint) -> Iterable[_SAMPLE]:
    yield "", (), point.as_double if point.HasField("as_double") else float(point.as_int)


def _histogram(point: HistogramDataPoint) -> Iterable[_SAMPLE]:
    if point.HasField("sum"):
        yield "_sum", (), point.sum
    yield "_count", (), float(point.count)
    for bound, count in zip(point.explicit_bounds, accumulate(point.bucket_counts), strict=False):
        yield "_bucket", (("le", number_text(bound)),), float(count)
    yield "_bucket", (("le", "+Inf"),), float(point.count)


def _summary(point: SummaryDataPoint) -> Iterable[_SAMPLE]:
    yield "_sum", (), point.sum
    yield "_count", (), float(point.count)
    for each in point.quantile_values:
        yield "", (("quantile", number_text(each.quantile)),), each.value


_SAMPLES: Final[dict[str, Callable[[Any], Iterable[_SAMPLE]]]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "summary": _summary,
}
