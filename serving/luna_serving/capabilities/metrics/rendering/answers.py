"""Answers: `{"status": "success", "data": ..}`.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/. A range answer has up to a million points, so it is
put together from texts that are made by orjson all at once.
"""

from collections.abc import Mapping, Sequence
from functools import singledispatch
from operator import add
from typing import Any

import numpy as np
import orjson

from luna_serving.capabilities.metrics.rendering.numbers import float_text, float_texts, time_text
from luna_serving.engines.promql.api import InstantResult, Matrix, Scalar, String, Vector


class _Heads(dict[int, bytes]):
    """The beginning of a point, by its time: series of a range share their times."""

    def __missing__(self, milliseconds: int) -> bytes:
        head = self[milliseconds] = f'[{time_text(milliseconds)},"'.encode()
        return head


def query_answer(result: InstantResult) -> bytes:
    """The answer to a query, with its warnings and infos."""
    return _enveloped(_data(result), result.warnings, result.infos)


def list_answer(data: Any, warnings: Sequence[str] = ()) -> bytes:  # noqa: ANN401  JSON
    """The answer of the other routes: names, values, series, metadata."""
    return _enveloped(orjson.dumps(data, option=orjson.OPT_SORT_KEYS), warnings, ())


def _enveloped(data: bytes, warnings: Sequence[str], infos: Sequence[str]) -> bytes:
    parts = [b'{"status":"success","data":', data]
    for name, notes in ((b"warnings", warnings), (b"infos", infos)):
        if notes:
            parts += [b',"', name, b'":', orjson.dumps(list(notes))]
    return b"".join([*parts, b"}"])


@singledispatch
def _data(result: object) -> bytes:
    raise TypeError(f"not a result of a query: {type(result).__name__}")


@_data.register
def _(result: Vector) -> bytes:
    head = _Heads()[result.at_ms]
    elements = [
        b'{"metric":' + _labels(labels) + b',"value":' + head + text + b'"]}'
        for labels, text in zip(result.labels, float_texts(result.values), strict=True)
    ]
    return b'{"resultType":"vector","result":[' + b",".join(elements) + b"]}"


@_data.register
def _(result: Matrix) -> bytes:
    texts = float_texts(np.concatenate([np.empty(0), *(series.values for series in result.series)]))
    heads = _Heads()
    elements = []
    first = 0
    for series in result.series:
        after = first + len(series.values)
        points = b'"],'.join(map(add, map(heads.__getitem__, series.timestamps.tolist()), texts[first:after]))
        elements.append(b'{"metric":' + _labels(series.labels) + b',"values":[' + points + b'"]]}')
        first = after
    return b'{"resultType":"matrix","result":[' + b",".join(elements) + b"]}"


@_data.register
def _(result: Scalar) -> bytes:
    point = f'[{time_text(result.at_ms)},"{float_text(result.value)}"]'
    return b'{"resultType":"scalar","result":' + point.encode() + b"}"


@_data.register
def _(result: String) -> bytes:
    return f'{{"resultType":"string","result":[{time_text(result.at_ms)},'.encode() + orjson.dumps(result.value) + b"]}"


def _labels(labels: Mapping[str, str]) -> bytes:
    return orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS)
