"""Claims about rows: first row and count of each finding are those of a row-by-row reference, wherever blocks end."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.capabilities.datasets.validation.naive import findings_of

from luna_serving.capabilities.datasets.validation.tables import csv_reader
from luna_serving.capabilities.datasets.validation.tables.validator import validate

CONTRACT = {"time_column": "ts", "series_column": "shop", "value_columns": ["y"]}
BY_ROW = {"TBL006", "TBL008", "TS001", "TS002", "TS003", "TS014", "VAL001", "VAL002", "VAL003", "VAL010"}
TIMES = st.one_of(
    st.integers(1, 28).map(lambda day: f"2024-01-{day:02}"),
    st.integers(1, 28).map(lambda day: f"2024-01-{day:02}T12:30"),
    st.sampled_from(["", "2024-02-30", "yesterday", "01/02/2024"]),
)
SHOPS = st.sampled_from(["a", "b", "c", "a", "b", ""])
VALUES = st.one_of(
    st.integers(-99, 99).map(lambda value: f"{value}.5"), st.sampled_from(["", "NaN", "inf", "-inf", "1,5x", "abc"])
)
ROWS = st.one_of(
    st.tuples(TIMES, SHOPS, VALUES).map(lambda cells: ",".join(f'"{c}"' if "," in c else c for c in cells)),
    st.sampled_from(["2024-01-05,a", "2024-01-06,b,1,2", ""]),
)
CLEAN = st.tuples(st.integers(1, 28), st.sampled_from("abc"), st.integers(0, 9)).map(
    lambda cells: f"2024-01-{cells[0]:02},{cells[1]},{cells[2]}.5"
)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 160)
    monkeypatch.setattr(csv_reader, "_TYPED_BYTES", 100)


def found_in(file: Path) -> dict[tuple[str, str | None], tuple[int, int]]:
    messages: list[dict] = []
    validate({"file": str(file), "path": "a.csv", "type": "series", "contract": CONTRACT}, messages.append)
    found = [message["finding"] for message in messages if "finding" in message]
    return {
        (finding["id"], finding.get("column")): (finding["row"], finding["count"])
        for finding in found
        if finding["id"] in BY_ROW
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(CLEAN, CLEAN, CLEAN, ROWS), min_size=1, max_size=60))
@example(["2024-01-05,a,1.5", "2024-01-04,a,1.5", "2024-01-05,a,1.5"])
@example(["2024-01-05,a", "2024-01-05,a,1.5", "2024-01-05,a,1.5"])
def test_rows_and_counts_are_those_of_a_reading_row_by_row(small_blocks, tmp_path_factory, rows):
    text = "\n".join(["ts,shop,y", *rows]) + "\n"
    file = tmp_path_factory.mktemp("rows") / "a.csv"
    file.write_text(text)
    expected = findings_of(text)
    if not any(row and len(row.split(",")) == 3 for row in rows):
        return
    assert found_in(file) == expected
