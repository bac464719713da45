"""The quick reader of series answers what Python's JSON parser answers, or leaves the body to the careful one."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_serving.wire.documents import MAX_MEMBERS
from luna_serving.wire.flat_series import FlatReader

READER = FlatReader()
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1)
SERIES = st.lists(st.lists(NUMBER | st.none(), min_size=1, max_size=8), min_size=1, max_size=5)
TEXT = st.text('ab[]{}:,"\\é\u2028', max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def many(body: bytes, lists: int = 1000) -> Any:
    return READER.many(body, "y", lists)


@given(SERIES, st.dictionaries(st.sampled_from(["model", "outputs", "a_b"]), JSON))
def test_what_is_read_is_what_python_reads(series: list[list[float | None]], members: dict[str, Any]) -> None:
    flat = many(json.dumps({"y": series, **members}).encode())
    assert flat is not None
    assert flat.members == members
    assert [each.dtype for each in flat.series] == [np.float64] * len(series)
    for found, sent in zip(flat.series, series, strict=True):
        np.testing.assert_array_equal(found, np.array(sent, dtype=np.float64))


def test_what_is_read_stays_when_the_reader_goes_on() -> None:
    first = many(b'{"y":[[1.5,2.5],[3.5]],"model":{"kind":"a"}}')
    for i in range(50):
        many(json.dumps({"y": [[float(i)] * 500], "model": {"kind": "b" * i}}).encode())
    assert first.members == {"model": {"kind": "a"}}
    assert [each.tolist() for each in first.series] == [[1.5, 2.5], [3.5]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"7",
        b'{"y":[]}',
        b'{"y":[[]]}',
        b'{"y":[[1],[]]}',
        b'{"y":[1,2]}',
        b'{"y":[[1],2]}',
        b'{"y":[[[1],[2]]]}',
        b'{"y":[[1,[2]],[3]]}',
        b'{"y":[[[1],2],[]]}',
        b'{"y":[[true]]}',
        b'{"y":[["1"]]}',
        b'{"y":[[{}]]}',
        b'{"y":[[1]],"y":[[2]]}',
        b'{"y":[[1]],"x":1,"x":2}',
        b'{"y":[[1]],"a[b":1}',
        b'{"y":{"dataset":"a"}}',
        b'{"x":[[1]]}',
        b'{"y":[[1]]',
        b'{"y":[[1]]} 1',
        b'{"y":[[NaN]]}',
        b'{"y":[[1e400]]}',
        b'{"y":[[18446744073709551616]]}',
        b'{"y":[[1,]]}',
        b'{"y":[[01]]}',
        b'{"y":[[1]],"x":"\xff"}',
        b'{"y":[[1]],"x":"\\ud800"}',
    ],
)
def test_anything_else_is_left_to_the_careful_reader(body: bytes) -> None:
    assert many(body) is None


def test_brackets_in_text_are_not_lists() -> None:
    flat = many(b'{"y":[[1],[2]],"x":"[[","z":{"a":["]["]}}')
    assert flat is not None
    assert len(flat.series) == 2


def test_a_body_with_more_than_a_call_has_is_left_alone() -> None:
    lists = b'{"y":[[1]],"x":[' + b"[]," * 1100 + b"[]]}"
    assert many(lists, lists=1000) is not None
    assert many(lists, lists=100) is None
    assert many(json.dumps({"y": [[1]], "x": {str(i): 1 for i in range(MAX_MEMBERS)}}).encode()) is None
