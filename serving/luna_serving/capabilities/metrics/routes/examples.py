"""The examples of the OpenAPI descriptions: bodies, answers and parameters, by the path of the operation."""

from collections.abc import Mapping
from typing import Any, Final

_AT_MS: Final = 1_795_867_200_000
_AT_S: Final = 1_795_867_200
_VECTOR: Final = {"resultType": "vector", "result": [{"metric": {"host": "a"}, "value": [_AT_S, "0.5"]}]}
_MATRIX: Final = {
    "resultType": "matrix",
    "result": [{"metric": {"host": "a"}, "values": [[_AT_S, "0.5"], [_AT_S + 15, "0.6"]]}],
}

# Of bodies; those in protobuf have none.
BODIES: Final[Mapping[str, Any]] = {
    "metrics/ingest": {"name": "cpu", "value": 0.5, "labels": {"host": "a"}},
    "metrics/batch": {
        "metrics": [
            {"name": "cpu", "value": 0.5, "labels": {"host": "a"}},
            {"name": "cpu", "value": 0.7, "labels": {"host": "b"}},
        ]
    },
    "metrics/query": {"name": "cpu", "aggregation": "avg", "group_by": ["host"], "step": "1m"},
    "influx/write": "cpu,host=a idle=97.5,user=2i",
    "prometheus/api/v1/query": {"query": "avg by (host) (cpu)"},
    "prometheus/api/v1/query_range": {
        "query": "avg by (host) (cpu)",
        "start": str(_AT_S),
        "end": str(_AT_S + 15),
        "step": "15s",
    },
    "prometheus/api/v1/series": {"match[]": "cpu"},
    "prometheus/api/v1/labels": {"match[]": "cpu"},
    "prometheus/api/v1/label/{name}/values": {"match[]": "cpu"},
}

ANSWERS: Final[Mapping[str, Any]] = {
    "metrics/ingest": {"accepted": 1},
    "metrics/batch": {
        "accepted": 1,
        "rejected": [
            {
                "index": 1,
                "type": "https://luna.dev/problems/invalid",
                "detail": 'Must be a number, or one of the texts "NaN", "+Inf" and "-Inf".',
                "pointer": "/metrics/1/value",
            }
        ],
    },
    "otlp/v1/metrics": {},
    "metrics/names": {"names": ["cpu", "jobs_total"]},
    "metrics/latest/{name}": {"name": "cpu", "series": [{"labels": {"host": "a"}, "timestamp": _AT_MS, "value": 0.5}]},
    "metrics/stats/{name}": {
        "name": "cpu",
        "count": 2,
        "min": 0.5,
        "max": 0.7,
        "mean": 0.6,
        "std": 0.1,
        "quantiles": {"0.5": 0.5, "0.9": 0.7, "0.99": 0.7},
        "first": 0.5,
        "last": 0.7,
    },
    "metrics/aggregated": {
        "name": "cpu",
        "interval": "5m",
        "series": [
            {
                "labels": {"host": "a"},
                "buckets": [
                    {
                        "start": _AT_MS,
                        "count": 2,
                        "sum": 1.2,
                        "min": 0.5,
                        "max": 0.7,
                        "mean": 0.6,
                        "first": 0.5,
                        "last": 0.7,
                    }
                ],
            }
        ],
    },
    "metrics/query": {"status": "success", "data": _MATRIX},
    "metrics/query/instant": {"status": "success", "data": _VECTOR},
    "metrics/query/range": {"status": "success", "data": _MATRIX},
    "prometheus/api/v1/query": {"status": "success", "data": _VECTOR},
    "prometheus/api/v1/query_range": {"status": "success", "data": _MATRIX},
    "prometheus/api/v1/series": {"status": "success", "data": [{"__name__": "cpu", "host": "a"}]},
    "prometheus/api/v1/labels": {"status": "success", "data": ["__name__", "host"]},
    "prometheus/api/v1/label/{name}/values": {"status": "success", "data": ["a", "b"]},
    "prometheus/api/v1/metadata": {
        "status": "success",
        "data": {"http_requests_total": [{"type": "counter", "help": "Requests answered.", "unit": ""}]},
    },
    "prometheus/api/v1/status/buildinfo": {
        "status": "success",
        "data": {"version": "3.14.0", "revision": "0.1", "branch": "luna", "buildUser": "", "buildDate": ""},
    },
}

# Of parameters that a call needs, by name; the instants are those of PromQL, in seconds.
PARAMETERS: Final[Mapping[str, str]] = {
    "query": "avg by (host) (cpu)",
    "start": str(_AT_S),
    "end": str(_AT_S + 3_600),
    "step": "15s",
    "match[]": 'cpu{host="a"}',
    "name": "cpu",
}
