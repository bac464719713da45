"""Claims about contracts and names: what is accepted, and that each refusal names the member and the cure."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luna_serving.capabilities.datasets.validation.contract import ContractError, SetType, contract_json
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.frequency import Frequency
from luna_serving.capabilities.datasets.validation.names import clashes, path_fault, set_name_fault

SERIES = {"time_column": "ts", "value_columns": ["y"]}
BARS = {"time_column": "t", "series_column": "symbol"}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("series", SERIES),
        (
            "series",
            {
                **SERIES,
                "series_column": "shop",
                "frequency": "15min",
                "timezone": "Europe/Paris",
                "ranges": {"y": [0, None]},
                "enums": {"shop": ["a", "b"]},
                "nullable": ["y"],
            },
        ),
        ("series", {**SERIES, "nullable": False}),
        ("ohlcv", BARS),
        ("ohlcv", {**BARS, "open": "o", "volume": None}),
        ("xray", {}),
        ("xray", {"labels": {"path": "labels.csv", "file_column": "file", "label_column": "label"}}),
    ],
)
def test_a_contract_is_the_same_after_json(kind, given):
    contract = contract_of(SetType(kind), given)
    assert contract_of(SetType(kind), contract_json(contract)) == contract


@pytest.mark.parametrize(
    ("kind", "given", "pointer", "cure"),
    [
        ("series", [], "", "object"),
        ("series", {"value_columns": ["y"]}, "/time_column", "required"),
        ("series", {"time_column": "ts"}, "/value_columns", "required"),
        ("series", {"time_column": "", "value_columns": ["y"]}, "/time_column", "not empty"),
        ("series", {"time_column": 1, "value_columns": ["y"]}, "/time_column", "string"),
        ("series", {"time_column": "ts", "value_columns": []}, "/value_columns", "1 to"),
        ("series", {"time_column": "ts", "value_columns": ["y", 2]}, "/value_columns/1", "string"),
        ("series", {"time_column": "ts", "value_columns": ["y", "y"]}, "/value_columns/1", "second time"),
        ("series", {"time_column": "y", "value_columns": ["y"]}, "/value_columns/0", "another"),
        ("series", {**SERIES, "series_column": "ts"}, "/series_column", "another"),
        ("series", {**SERIES, "frequency": "fortnight"}, "/frequency", "15min"),
        ("series", {**SERIES, "timezone": "Mars/Base"}, "/timezone", "Europe/Paris"),
        ("series", {**SERIES, "timezone": "../etc/passwd"}, "/timezone", "Europe/Paris"),
        ("series", {**SERIES, "ranges": {"y": [2, 1]}}, "/ranges/y", "least value first"),
        ("series", {**SERIES, "ranges": {"y": [float("nan"), 1]}}, "/ranges/y/0", "finite"),
        ("series", {**SERIES, "enums": {"y": []}}, "/enums/y", "1 to"),
        ("series", {**SERIES, "nullable": "y"}, "/nullable", "list"),
        ("series", {**SERIES, "tz": "UTC"}, "/tz", "timezone"),
        ("ohlcv", {"series_column": "s"}, "/time_column", "required"),
        ("ohlcv", {**BARS, "open": "close"}, "/close", "another"),
        (
            "xray",
            {"labels": {"path": "../x.csv", "file_column": "f", "label_column": "l"}},
            "/labels/path",
            "plain path",
        ),
        ("xray", {"labels": {"path": "x.csv", "file_column": "f"}}, "/labels/label_column", "required"),
        (
            "xray",
            {"labels": {"path": "x.csv", "file_column": "f", "label_column": "l", "a/b": 1}},
            "/labels/a~1b",
            "remove",
        ),
    ],
)
def test_a_refusal_names_the_member_and_the_cure(kind, given, pointer, cure):
    with pytest.raises(ContractError) as refused:
        contract_of(SetType(kind), given)
    assert refused.value.pointer == pointer
    assert cure in refused.value.message


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_is_sent_is_parsed_or_refused(given):
    for kind in SetType:
        for sent in (given, {"time_column": given, "value_columns": given, "labels": given, "ranges": given}):
            with contextlib.suppress(ContractError):
                contract_of(kind, sent)


@pytest.mark.parametrize("name", ["a", "sales-2024", "0", "a" * 63])
def test_a_plain_name_is_a_sets_name(name):
    assert set_name_fault(name) is None


@pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "a.b", "a" * 64, "ä", "a\n"])
def test_other_names_are_not(name):
    assert set_name_fault(name)


@pytest.mark.parametrize("path", ["a.csv", "train/a.csv", "Größe.csv", "日本.parquet", "a b.csv", "x" * 255])
def test_a_relative_name_is_a_files_name(path):
    assert path_fault(path) is None


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../a.csv", "a/../b", "a//b", "./a", "C:/a.csv", "a\\b.csv", "a\x00b", "a\nb", "a\u202eb.csv",
     "gro\u0308ße.csv", "x" * 256, "\ud800"],
)  # fmt: skip
def test_names_that_lead_elsewhere_or_read_otherwise_are_refused(path):
    assert path_fault(path)


def test_names_clash_where_case_does_not_count():
    assert list(clashes(["a.csv", "b.csv", "A.CSV", "straße", "STRASSE"])) == [
        ("a.csv", "A.CSV"),
        ("straße", "STRASSE"),
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("h", "h"), ("1h", "h"), ("15min", "15min"), ("15T", "15min"), ("D", "D"), ("MS", "M"), ("A", "Y")],
)
def test_frequencies_have_one_spelling(text, shown):
    assert str(Frequency.of(text)) == shown


@pytest.mark.parametrize("text", ["", "0h", "-1h", "1.5h", "hh", "2B", "1 h"])
def test_other_texts_are_no_frequency(text):
    with pytest.raises(ValueError, match="must be"):
        Frequency.of(text)
