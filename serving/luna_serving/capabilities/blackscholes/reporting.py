"""What the report of a job shows: counts, charts, and the first rows."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson

from luna_serving.capabilities.blackscholes.charts import charts
from luna_serving.capabilities.blackscholes.wire.reading import Reader
from luna_serving.jobs.report.numbers import number
from luna_serving.jobs.report.page import MOST_ROWS, Charts, Column, Figure, KeyFigures, Section, Table
from luna_serving.wire.sent import Sent

# The parameters of a job were within its limit when it was created.
_ANY_ROWS: Final = 2**31
_MOST_OUTPUTS: Final = 8


def sections(parameters: bytes, result: bytes) -> Sequence[Section]:
    """Of a job of the kind `blackscholes`."""
    document: dict[str, Any] = orjson.loads(result)
    columns: dict[str, list[float | None]] = document["results"]
    job = Reader(_ANY_ROWS).parse(Sent(parameters)).job
    results = {name: np.array(values, dtype=float) for name, values in columns.items()}
    codes = Counter(code for code in document["codes"] if code is not None)
    figures = [
        Figure("Options", number(job.rows)),
        Figure("Style", job.style),
        Figure("Method", document["plan"]["method"].replace("_", " ")),
        Figure("With a code", number(sum(codes.values())), ", ".join(f"{c}: {n}" for c, n in codes.most_common())),
    ]
    drawn = charts(job, results)
    blocks: list[Any] = [KeyFigures(figures)]
    if drawn:
        blocks.append(Charts(list(drawn.values())))
    return (Section("Summary", blocks), Section("Options", (_table(columns, document["codes"]),)))


def _table(columns: dict[str, list[float | None]], codes: list[str | None]) -> Table:
    shown = list(columns)[:_MOST_OUTPUTS]
    rows = [
        (number(i), *(number(columns[name][i], 8) for name in shown), codes[i] or "")
        for i in range(min(MOST_ROWS, len(codes)))
    ]
    heads = [Column("row", numeric=True), *(Column(name, numeric=True) for name in shown), Column("code")]
    return Table("Outputs by row, counted from 0.", heads, rows, len(codes))
