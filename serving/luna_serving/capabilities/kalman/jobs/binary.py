"""Renders a job's answer as an Arrow stream or a NumPy array; unknown values are NaN."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

# Of an Arrow schema: what JSON has beside the series, as JSON.
METADATA: Final = b"luna"
# Outputs that are objects in JSON.
OBJECTS: Final = ("state", "auxiliary_residuals")


def as_arrow(answers: Sequence[Mapping[str, object]], beside: Mapping[str, object]) -> bytes:
    """A stream with a row per series and a column per output.

    A column is of doubles where an output is one number per series; else of lists, time first: `list<double>`, or
    `list<fixed_size_list<double>>` with the shape of each element in the field's metadata. A saved state is its JSON.

    Args:
        answers: by output, of each series.
        beside: what goes into the metadata of the schema.
    """
    # Imported here: most replicas answer in JSON alone, and the import takes memory.
    import pyarrow as pa

    from luna_serving.wire.columnar import written
    from luna_serving.wire.lists import as_lists
    from luna_serving.wire.tabular import ARROW

    fields, columns = [], []
    for name, values in _columns(answers).items():
        first, shape = values[0], {}
        if isinstance(first, dict):
            column = pa.array([orjson.dumps(each, option=orjson.OPT_SERIALIZE_NUMPY).decode() for each in values])
        elif isinstance(first, np.ndarray) and first.ndim:
            column = as_lists(values)
            shape = {"shape": ",".join(map(str, first.shape[1:]))} if first.ndim > 1 else {}
        else:
            column = pa.array(np.array(values, dtype=np.float64))
        fields.append(pa.field(name, column.type, nullable=False, metadata=shape or None))
        columns.append(column)
    schema = pa.schema(fields, metadata={METADATA: orjson.dumps(beside)})
    return written(pa.Table.from_arrays(columns, schema=schema), ARROW)


def as_npy(answers: Sequence[Mapping[str, object]]) -> bytes:
    """A file with one array, series first; of a forecast its four outputs: [output, series, step].

    Args:
        answers: by output, of each series; all of one length.
    """
    from luna_serving.wire.npy import written_npy

    stacked = [np.array([answer[name] for answer in answers], dtype=np.float64) for name in answers[0]]
    return written_npy(stacked[0] if len(stacked) == 1 else np.stack(stacked))


def _columns(answers: Sequence[Mapping[str, object]]) -> dict[str, list[Any]]:
    """By column, the values of the series; residuals are two columns."""
    columns: dict[str, list[Any]] = {}
    for answer in answers:
        for name, value in answer.items():
            parts: dict[str, NDArray[np.float64] | object] = {name: value}
            if name == "auxiliary_residuals" and isinstance(value, dict):
                parts = {f"{name}.{part}": each for part, each in value.items()}
            for column, each in parts.items():
                columns.setdefault(column, []).append(each)
    return columns
