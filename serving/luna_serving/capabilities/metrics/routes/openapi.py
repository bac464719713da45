"""The OpenAPI descriptions of the operations."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from luna_serving.capabilities.metrics.rendering.errors import ErrorType
from luna_serving.capabilities.metrics.routes.examples import ANSWERS, BODIES, PARAMETERS
from luna_serving.edge.openapi import COMPUTED, SECURITY, problem_responses

# Bodies that are no Protobuf or no text of the protocol, and what Prometheus calls bad data.
_UNREADABLE: Final = 400
_API: Final = "prometheus/api/v1/"
_OTLP: Final = "otlp/v1/metrics"
_INFLUX: Final = "influx/write"
_PROTOBUF: Final = "application/x-protobuf"
_PROTOCOLS: Final = ("prometheus/", "otlp/", "influx/")
# Errors in the forms of Prometheus, OTLP (google.rpc.Status) and InfluxDB 2, beside problems, which what stands before
# these routes answers.
_PROMETHEUS_ERROR: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["status", "errorType", "error"],
    "properties": {
        "status": {"const": "error"},
        "errorType": {"enum": [str(each) for each in ErrorType]},
        "error": {"type": "string"},
    },
}
_OTLP_ERROR: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_INFLUX_ERROR: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "line": {"type": "integer"}},
}
_INGEST: Final = "One unit per started 1,000 samples."
_SUMMARIES: Final = {
    "metrics/ingest": ("Ingest one sample", f"`{{name, value, timestamp?, labels?}}`. {_INGEST}"),
    "metrics/batch": (
        "Ingest samples",
        (
            f"`metrics`: items as of `/metrics/ingest`, or `series`: columns `{{name, labels?, timestamps, values}}`. "
            f"Items that are wrong are listed in `rejected`; the others are kept. {_INGEST}"
        ),
    ),
    "prometheus/write": ("Prometheus remote write", f"Versions 1.0 and 2.0. {_INGEST}"),
    _OTLP: ("OTLP/HTTP", f"Protobuf or JSON. {_INGEST}"),
    _INFLUX: ("InfluxDB line protocol", f"Also takes `Authorization: Token <key>`. {_INGEST}"),
    "metrics/names": ("Names of metrics", "Those of series that `match`, a PromQL selector, selects. Costs nothing."),
    "metrics/latest/{name}": ("Last samples", "Of each series of a metric. One unit."),
    "metrics/stats/{name}": ("Statistics", "Of the samples of all series of a metric in a period. One unit."),
    "metrics/aggregated": ("Buckets", "Of each series of a metric; `interval` is 1m, 5m, 1h or 1d. One unit."),
    "metrics/query": (
        "Query",
        (
            "`query` in PromQL, or `name` with `labels`, `aggregation` and `group_by`; `start`, `end`, `step`. "
            "Answers as Prometheus does. One unit."
        ),
    ),
    "metrics/query/instant": ("PromQL at a time", "Answers as Prometheus does. One unit."),
    "metrics/query/range": ("PromQL at steps", "Answers as Prometheus does. One unit."),
    "prometheus/api/v1/query": ("Prometheus: query", "One unit."),
    "prometheus/api/v1/query_range": ("Prometheus: range query", "One unit."),
    "prometheus/api/v1/series": ("Prometheus: series", "Costs nothing."),
    "prometheus/api/v1/labels": ("Prometheus: names of labels", "Costs nothing."),
    "prometheus/api/v1/label/{name}/values": ("Prometheus: values of a label", "Costs nothing."),
    "prometheus/api/v1/metadata": ("Prometheus: metadata", "Costs nothing."),
    "prometheus/api/v1/status/buildinfo": ("Prometheus: version", "Costs nothing."),
}
_EMPTY: Final = frozenset({"prometheus/write", _INFLUX})
_MEDIA_TYPES: Final = {
    "metrics/ingest": "application/json",
    "metrics/batch": "application/json",
    "metrics/query": "application/json",
    "prometheus/write": _PROTOBUF,
    _OTLP: _PROTOBUF,
    _INFLUX: "text/plain",
}
_FORM: Final = "application/x-www-form-urlencoded"
# Media types whose bodies are texts or bytes, not objects.
_STRINGS: Final[Mapping[str, Mapping[str, str]]] = {
    _PROTOBUF: {"type": "string", "format": "binary"},
    "text/plain": {"type": "string"},
}
# What a query cannot be without. In a POST to Prometheus' API it may be in the form.
_REQUIRED: Final = {
    "metrics/aggregated": {"name"},
    "metrics/query/instant": {"query"},
    "metrics/query/range": {"query", "start", "end", "step"},
    "prometheus/api/v1/query": {"query"},
    "prometheus/api/v1/query_range": {"query", "start", "end", "step"},
    "prometheus/api/v1/series": {"match[]"},
}
_WORDS: Final = {
    "query": "PromQL.",
    "step": "Between two points: seconds, or a duration such as 15s.",
    "match": "A PromQL selector; may be repeated.",
    "match[]": "A PromQL selector; may be repeated.",
    "precision": "Of the timestamps: ns (the default), us, ms or s.",
    "name": "Of the metric.",
    "metric": "The metric whose metadata is wanted; all by default.",
    "interval": "1m, 5m, 1h (the default) or 1d.",
    "limit": "Items of the answer at most.",
    "timeout": "Of the evaluation at most: seconds, or a duration such as 15s. The server's own limit bounds it.",
    "lookback_delta": "How old a sample may be that is a value: seconds, or a duration. 5m by default.",
}
_TIMES: Final = {
    "start": "The first instant, inclusive: RFC 3339, or {unit} since 1970.",
    "end": "The last instant, inclusive: RFC 3339, or {unit} since 1970.",
    "time": "The instant: RFC 3339, or {unit} since 1970. Now by default.",
}


def described(method: str, path: str, parameters: Sequence[str]) -> dict[str, Any]:
    """The operation object.

    Args:
        method: of HTTP.
        path: of the operation.
        parameters: of the query.
    """
    summary, description = _SUMMARIES[path]
    answer: dict[str, Any] = {"schema": {"type": "object"}}
    if path in ANSWERS:
        answer["example"] = ANSWERS[path]
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": {"application/json": answer}}}
    if path == _OTLP:
        # The answer is of the request's type.
        responses["200"]["content"][_PROTOBUF] = {"schema": _STRINGS[_PROTOBUF]}
    if path in _EMPTY:
        responses = {"204": {"description": "All samples were kept."}}
    found: dict[str, Any] = {
        "summary": summary,
        "description": description,
        "security": SECURITY,
        "responses": responses | _errors(path),
        "parameters": [_parameter(method, path, each) for each in parameters],
    }
    if "{name}" in path:
        what = "Of the label." if "/label/" in path else "Of the metric, percent-encoded."
        example = "host" if "/label/" in path else "cpu"
        of_path = {"name": "name", "in": "path", "required": True, "description": what, "example": example}
        found["parameters"].insert(0, {**of_path, "schema": {"type": "string"}})
    if method == "POST":
        media_type = _MEDIA_TYPES.get(path, _FORM)
        body: dict[str, Any] = {"schema": _STRINGS.get(media_type, {"type": "object"})}
        if path in BODIES:
            body["example"] = BODIES[path]
        content: dict[str, Any] = {media_type: body}
        if path == _OTLP:
            content["application/json"] = {"schema": {"type": "object"}}
        found["requestBody"] = {"required": path in _MEDIA_TYPES, "content": content}
    return found


def _errors(path: str) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if path.startswith(_API):
        own["application/json"] = {"schema": _PROMETHEUS_ERROR}
    elif path == _OTLP:
        own |= {"application/json": {"schema": _OTLP_ERROR}, _PROTOBUF: {"schema": _STRINGS[_PROTOBUF]}}
    elif path == _INFLUX:
        own["application/json"] = {"schema": _INFLUX_ERROR}
    answers = problem_responses((_UNREADABLE, *COMPUTED) if path.startswith(_PROTOCOLS) else COMPUTED)
    return {status: answer | {"content": answer["content"] | own} for status, answer in answers.items()}


def _parameter(method: str, path: str, name: str) -> dict[str, Any]:
    """The description of a parameter of the query."""
    in_seconds = path.startswith(("prometheus/api/", "metrics/query/"))
    words = _WORDS.get(name, "Taken and ignored.")
    if name in _TIMES:
        words = _TIMES[name].format(unit="seconds" if in_seconds else "milliseconds")
    found: dict[str, Any] = {
        "name": name,
        "in": "query",
        "required": method == "GET" and name in _REQUIRED.get(path, ()),
        "description": words,
        "schema": {"type": "string"},
    }
    # /docs fills examples in, so those that may be missing have none.
    if found["required"]:
        found["example"] = PARAMETERS[name]
    return found
