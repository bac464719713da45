"""The rules of rows as one would write them first: row by row, in plain Python. Slow, and the tests' reference."""

import csv
import io
import math
import re
from datetime import datetime

TIME = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?")
NUMBER = re.compile(r"-?(\d+\.?\d*([eE][+-]?\d+)?|nan|NaN|inf)")


def findings_of(text: str) -> dict[tuple[str, str | None], tuple[int, int]]:  # noqa: C901  one piece is the point
    """First row and count by rule and column, of a CSV with columns ts, shop and y."""
    found: dict[tuple[str, str | None], tuple[int, int]] = {}

    def add(rule: str, column: str | None, row: int) -> None:
        first, count = found.get((rule, column), (row, 0))
        found[rule, column] = (min(first, row), count + 1)

    rows = [row for row in csv.reader(io.StringIO(text)) if row][1:]
    last: dict[str, datetime] = {}
    seen: set[tuple[str, datetime]] = set()
    for i, row in enumerate(rows):
        if len(row) != 3:
            add("TBL008", None, i)
            continue
        ts, shop, y = row
        if y == "":
            add("VAL001", "y", i)
        elif not NUMBER.fullmatch(y):
            add("TBL006", "y", i)
        elif math.isnan(float(y)):
            add("VAL002", "y", i)
        elif math.isinf(float(y)):
            add("VAL003", "y", i)
        time = None
        if ts == "":
            add("TS014", "ts", i)
        else:
            try:
                time = datetime.fromisoformat(ts) if TIME.fullmatch(ts) else None
            except ValueError:
                time = None
            if time is None:
                add("TS001", "ts", i)
        if shop == "":
            add("VAL010", "shop", i)
        if time is None or shop == "":
            continue
        if shop in last and time < last[shop]:
            add("TS002", "ts", i)
        last[shop] = time
        if (shop, time) in seen:
            add("TS003", "ts", i)
        seen.add((shop, time))
    return found
