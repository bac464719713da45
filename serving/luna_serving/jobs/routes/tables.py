"""A result as a table: its `results`, one row each with nested members as dotted columns, or columns already."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from luna_serving.wire.tabular import ARROW, JSON, PARQUET

FORMS: Final = (JSON, ARROW, PARQUET)
ROWS: Final = "results"
CODES: Final = "codes"
CODE: Final = "code"
# In the table's metadata: the other members of the result, as JSON.
METADATA: Final = b"luna.result"


class NoTable(Exception):
    """The result is not a table."""


def table_of(result: bytes) -> pa.Table:
    """The table of a result.

    Raises:
        NoTable: it has no list `results` of objects, or the list is empty.
    """
    document = orjson.loads(result)
    rows = document.get(ROWS) if isinstance(document, dict) else None
    if isinstance(rows, dict):
        return _of_columns(document, rows)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise NoTable
    flat = [dict(_flattened("", row)) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    if not names:
        raise NoTable
    columns = [_column([row.get(name) for row in flat]) for name in names]
    rest = {name: value for name, value in document.items() if name != ROWS}
    return pa.Table.from_arrays(columns, names=names).replace_schema_metadata({METADATA: orjson.dumps(rest)})


def _of_columns(document: Mapping[str, Any], columns: Mapping[str, Any]) -> pa.Table:
    """The table of results that are columns: lists of one length; `codes` beside them is a column `code`."""
    codes = document.get(CODES)
    named = {**columns, **({CODE: codes} if isinstance(codes, list) else {})}
    lengths = {len(each) if isinstance(each, list) else -1 for each in named.values()}
    if len(lengths) != 1 or lengths & {-1, 0}:
        raise NoTable
    rest = {name: value for name, value in document.items() if name not in {ROWS, CODES}}
    table = pa.Table.from_arrays([_column(each) for each in named.values()], names=list(named))
    return table.replace_schema_metadata({METADATA: orjson.dumps(rest)})


def _flattened(prefix: str, row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in row.items():
        if isinstance(value, dict):
            found += _flattened(f"{prefix}{name}.", value)
        else:
            found.append((prefix + name, value))
    return found


def _column(values: Sequence[Any]) -> pa.Array:
    """A column of the values' common type; as JSON texts where they have none."""
    try:
        column = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if value is None else orjson.dumps(value).decode() for value in values], pa.string())
    # Parquet has no column of nothing.
    return column.cast(pa.float64()) if pa.types.is_null(column.type) else column
