"""Results as tables."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luna_serving.jobs.routes.tables import NoTable, table_of
from luna_serving.wire.columnar import ARROW, written
from luna_serving.wire.tabular import PARQUET


def test_each_result_is_a_row_and_nested_members_are_columns() -> None:
    rows = [
        {"a": 1, "b": {"c": 0.5, "d": {"e": "x"}}, "list": [1, 2]},
        {"a": 2.5, "b": {"c": None}, "late": True},
    ]
    table = table_of(json.dumps({"plan": {"n": 2}, "results": rows}).encode())
    assert table.column_names == ["a", "b.c", "b.d.e", "list", "late"]
    assert table.to_pydict() == {
        "a": [1.0, 2.5],
        "b.c": [0.5, None],
        "b.d.e": ["x", None],
        "list": [[1, 2], None],
        "late": [None, True],
    }
    assert json.loads(table.schema.metadata[b"luna.result"]) == {"plan": {"n": 2}}


def test_members_without_a_common_type_are_json_texts() -> None:
    table = table_of(json.dumps({"results": [{"x": 1}, {"x": "a"}, {"x": None}, {"x": [1, "b"]}]}).encode())
    assert table["x"].to_pylist() == ["1", '"a"', None, '[1,"b"]']


@pytest.mark.parametrize("form", [ARROW, PARQUET])
def test_a_column_of_nothing_survives_both_forms(form: str) -> None:
    body = written(table_of(b'{"results": [{"a": null, "b": []}, {"a": null, "b": []}]}'), form)
    table = pa.ipc.open_stream(body).read_all() if form == ARROW else pq.read_table(io.BytesIO(body))
    assert table["a"].to_pylist() == [None, None]
    assert table["b"].to_pylist() == [[], []]


@pytest.mark.parametrize(
    "result", [b"[]", b"{}", b'{"results": []}', b'{"results": [1]}', b'{"results": {}}', b'{"results": [{}]}', b"3"]
)
def test_a_result_without_rows_is_no_table(result: bytes) -> None:
    with pytest.raises(NoTable):
        table_of(result)
