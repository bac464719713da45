"""Answers that are tables: JSON, CSV or Parquet, by `Accept`."""

import io
import math
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from luna_serving.wire import problems

JSON: Final = "application/json"
CSV: Final = "text/csv"
PARQUET: Final = "application/vnd.apache.parquet"
ARROW: Final = "application/vnd.apache.arrow.stream"
FORMS: Final = (JSON, CSV, PARQUET)
# The forms that a schema in the OpenAPI document cannot describe.
OTHER_FORMS: Final = {form: {"schema": {"type": "string", "format": "binary"}} for form in (CSV, PARQUET)}
# What spreadsheets take for a formula (OWASP, "CSV injection").
FORMULA: Final = r"^[=+\-@\t\r]"


def acceptable(accept: str, forms: Sequence[str] = FORMS) -> str:
    """The offered form that the caller prefers, by quality (RFC 9110, 12.5.1).

    Raises:
        Problem: 406.
    """
    best: tuple[float, int, int] | None = None
    chosen = ""
    ranges = [_range(part) for part in accept.split(",")]
    for form in forms:
        # The most specific range that fits says how much the caller wants a form: `text/csv;q=0, */*` refuses CSV.
        fitting = [(_specificity(name), -i, weight) for i, (name, weight) in enumerate(ranges) if _fits(name, form)]
        if not fitting:
            continue
        specificity, place, weight = max(fitting)
        if weight > 0 and (best is None or (weight, specificity, place) > best):
            best, chosen = (weight, specificity, place), form
    if chosen:
        return chosen
    raise problems.not_acceptable(forms)


def rendered(rows: Sequence[dict[str, Any]], schema: pa.Schema, form: str) -> bytes:
    """A table as CSV or Parquet.

    Args:
        rows: by the names of the schema.
        schema: the columns.
        form: CSV or PARQUET.
    """
    table = pa.Table.from_pylist(rows, schema=schema)
    sink = io.BytesIO()
    if form == CSV:
        pyarrow.csv.write_csv(without_formulas(table), sink)
    else:
        pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


def without_formulas(table: pa.Table) -> pa.Table:
    """Text that a spreadsheet would compute, behind an apostrophe."""
    for index, field in enumerate(table.schema):
        if not pa.types.is_string(field.type):
            continue
        column = table.column(index)
        guarded = pyarrow.compute.binary_join_element_wise(pa.scalar("'"), column, "")
        formulas = pyarrow.compute.match_substring_regex(column, FORMULA)
        table = table.set_column(index, field, pyarrow.compute.if_else(formulas, guarded, column))
    return table


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    return name, _quality(next((p[2:] for p in parameters if p.startswith("q=")), "1"))


def _fits(name: str, form: str) -> bool:
    return name in {form, form.split("/", maxsplit=1)[0] + "/*", "*/*"}


def _specificity(name: str) -> int:
    return 0 if name == "*/*" else 1 if name.endswith("/*") else 2


def _quality(weight: str) -> float:
    try:
        number = float(weight)
    except ValueError:
        return 0.0
    # float() accepts NaN, which would make the order undefined.
    return 0.0 if math.isnan(number) else number
