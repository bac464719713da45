"""Arrow columns of lists: series of numbers, each in a row, and their conversion from and to arrays."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError


def read_lists(column: pa.ChunkedArray, pointer: str) -> list[NDArray[np.float64]]:
    """The series of a column, [T] each, or [T, m] where each point is a list of m numbers; NaN where a number is null.

    Args:
        column: of `list<number>`, `list<fixed_size_list<number>>` or their like, validated.
        pointer: of the column, for errors.

    Raises:
        Problem: 422, it has another type, a null in place of a list, or points of different lengths.
    """
    if not _is_list(column.type):
        raise _bad(pointer, f"Is {column.type}. Send list<double>: one series per row.")
    rows = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    _refuse_nulls(rows, pointer, "Send a list")
    lengths = pc.list_value_length(rows).to_numpy(zero_copy_only=False)
    points, width = rows.flatten(), None
    if _is_list(points.type):
        _refuse_nulls(points, pointer, "Send a list of nulls")
        widths = pc.list_value_length(points).to_numpy(zero_copy_only=False)
        if len(set(widths.tolist())) > 1:
            raise _bad(pointer, "Has points of different lengths. Send as many numbers in each point.")
        width = int(widths[0]) if len(widths) else 1
        points = points.flatten()
    if not (pa.types.is_floating(points.type) or pa.types.is_integer(points.type)):
        raise _bad(pointer, f"Holds {points.type}, not numbers. Send list<double>: one series per row.")
    values = pc.cast(points, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    array = np.ascontiguousarray(values if width is None else values.reshape(-1, width))
    return [array[a:b] for a, b in pairwise((0, *np.cumsum(lengths).tolist()))]


def as_lists(arrays: Sequence[NDArray[np.float64]]) -> pa.Array:
    """A column with an array per row: `list<double>` of vectors; of others a `fixed_size_list` per first index."""
    lengths = np.array([len(each) for each in arrays])
    values = np.concatenate(arrays)
    items = pa.array(values.reshape(-1))
    if values.ndim > 1:
        items = pa.FixedSizeListArray.from_arrays(items, int(np.prod(values.shape[1:])))
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), items)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _refuse_nulls(lists: pa.Array, pointer: str, cure: str) -> None:
    if lists.null_count:
        place = pc.index(lists.is_null(), True).as_py()
        raise _bad(pointer, f"Has a null in place of list {place}. {cure}.")


def _bad(pointer: str, detail: str) -> Exception:
    return problems.invalid(FieldError(pointer, detail))
