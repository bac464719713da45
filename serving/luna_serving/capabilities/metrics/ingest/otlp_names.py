"""Names, labels and values of OTLP as Prometheus has them.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/. Of names only what PromQL
could not read without quotes is replaced; no suffix of the unit or of the type is appended.
"""

import base64
import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_:]+")
_NOT_IN_LABELS: Final = re.compile(r"[^a-zA-Z0-9_]")
# Deeper ones are texts of their type.
_MAX_DEPTH: Final = 16


def metric_name(name: str) -> str:
    """A metric's name: `http.server.duration` is `http_server_duration`."""
    clean = "_".join(filter(None, _NOT_IN_NAMES.split(name)))
    return f"_{clean}" if clean[:1].isdigit() else clean


# There are few of them, on many data points.
@lru_cache(maxsize=10_000)
def label_name(name: str) -> str:
    """A label's name: `service.name` is `service_name`; one that begins with a digit gets `key_` before it."""
    clean = _NOT_IN_LABELS.sub("_", name)
    return f"key_{clean}" if clean[:1].isdigit() else clean


def labels_of(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as labels; values of those that get the same name are joined by `;`, in the order of their keys."""
    labels: dict[str, str] = {}
    for key, value in sorted((each.key, _text(each.value)) for each in attributes):
        name = label_name(key)
        labels[name] = f"{labels[name]};{value}" if name in labels else value
    return labels


def number_text(number: float) -> str:
    """A bound or a quantile as a label's value, without an exponent: 0.5, 1, 1000, +Inf."""
    if not math.isfinite(number):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(number, "NaN")
    return format(Decimal(repr(number)), "f").removesuffix(".0")


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind is None:
        return ""
    plain = _plain(value, 0)
    return plain if isinstance(plain, str) else json.dumps(plain, separators=(",", ":"), ensure_ascii=False)


def _plain(value: AnyValue, depth: int) -> Any:  # noqa: ANN401  JSON
    kind = value.WhichOneof("value")
    if kind is None or depth > _MAX_DEPTH:
        return None
    if kind == "array_value":
        return [_plain(each, depth + 1) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {each.key: _plain(each.value, depth + 1) for each in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)
