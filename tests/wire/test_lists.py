"""Columns of lists become arrays, whatever writes them, and arrays become columns."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from luna_serving.wire.lists import as_lists, read_lists
from luna_serving.wire.problems import Problem


def column(values: object, kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def refused(given: pa.ChunkedArray) -> str:
    with pytest.raises(Problem) as refusal:
        read_lists(given, "/y")
    (error,) = refusal.value.extra["errors"]
    assert (refusal.value.status, error["pointer"]) == (422, "/y")
    return str(error["detail"])


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float32()), pa.list_(pa.int64())]
)
def test_series_of_different_lengths_keep_them_and_nulls_are_missing(kind: pa.DataType) -> None:
    read = read_lists(column([[1, None, 3], [4], []], kind), "/y")
    assert [each.shape for each in read] == [(3,), (1,), (0,)]
    np.testing.assert_array_equal(read[0], [1, np.nan, 3])
    assert all(each.dtype == np.float64 for each in read)


def test_points_of_several_numbers_are_rows() -> None:
    for kind in (pa.list_(pa.list_(pa.float64(), 2)), pa.list_(pa.list_(pa.float64()))):
        first, second = read_lists(column([[[1, 2], [3, None]], [[5, 6]]], kind), "/y")
        np.testing.assert_array_equal(first, [[1, 2], [3, np.nan]])
        np.testing.assert_array_equal(second, [[5, 6]])


def test_slices_and_chunks_are_read_as_they_are() -> None:
    whole = pa.array([[0.0], [1.0, 2.0], [3.0]], pa.list_(pa.float64()))
    read = read_lists(pa.chunked_array([whole.slice(1, 1), whole.slice(2, 1)]), "/y")
    assert [each.tolist() for each in read] == [[1.0, 2.0], [3.0]]


def test_what_polars_writes_is_read() -> None:
    table = pl.DataFrame({"y": [[1.0, None], [2.0]]}).to_arrow()
    assert [len(each) for each in read_lists(table.column("y"), "/y")] == [2, 1]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (column([1.0], pa.float64()), "list<double>"),
        (column([["a"]], pa.list_(pa.string())), "not numbers"),
        (column([[None]], pa.list_(pa.null())), "not numbers"),
        (column([[True]], pa.list_(pa.bool_())), "not numbers"),
        (column([[[[1.0]]]], pa.list_(pa.list_(pa.list_(pa.float64())))), "not numbers"),
        (column([None, [1.0]], pa.list_(pa.float64())), "in place of list 0"),
        (column([[None, [1.0]]], pa.list_(pa.list_(pa.float64()))), "a list of nulls"),
        (column([[[1.0], [1.0, 2.0]]], pa.list_(pa.list_(pa.float64()))), "different lengths"),
    ],
)
def test_what_holds_no_series_is_refused_with_the_cure(given: pa.ChunkedArray, says: str) -> None:
    assert says in refused(given)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_arrays_become_lists_and_come_back(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=(length, *shape)) for length in (3, 1, 4)]
    made = as_lists(arrays)
    made.validate(full=True)
    read = read_lists(pa.chunked_array([made]), "/y")
    for before, after in zip(arrays, read, strict=True):
        np.testing.assert_array_equal(after, before.reshape(after.shape))
