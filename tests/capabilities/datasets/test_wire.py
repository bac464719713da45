"""The body of POST /upload/start: what is accepted, and where errors point."""

import json
from typing import Any

import pytest

from luna_serving.capabilities.datasets.report.form import form_of
from luna_serving.capabilities.datasets.uploads.arrivals import part_sizes
from luna_serving.capabilities.datasets.uploads.keys import parse_incoming, upload_key
from luna_serving.capabilities.datasets.wire.reading import Limits, read_reference, read_start
from luna_serving.capabilities.datasets.wire.schemas import EXAMPLE_START
from luna_serving.objects.keys import is_incoming
from luna_serving.wire.problems import Problem

LIMITS = Limits(max_files=3, max_file_bytes=1_000)
FILE = {"path": "a.csv", "bytes": 5, "sha256": "a" * 64, "media_type": "text/csv"}
CONTRACT = {"time_column": "ts", "value_columns": ["y"]}


def start(**changes: Any) -> dict[str, Any]:
    document = {"name": "sales", "type": "series", "contract": CONTRACT, "files": [FILE]} | changes
    return {name: value for name, value in document.items() if value is not ...}


def errors_of(document: Any) -> dict[str, str]:
    with pytest.raises(Problem) as refused:
        read_start(1, json.dumps(document).encode(), LIMITS)
    assert refused.value.status == 422
    return {each["pointer"]: each["detail"] for each in refused.value.extra["errors"]}


def test_the_example_of_the_documentation_is_accepted() -> None:
    new = read_start(7, json.dumps(EXAMPLE_START).encode(), Limits(1, 10_000))
    assert (new.account_id, new.name, new.type) == (7, "sales", "series")
    assert [each.path for each in new.files] == ["a.csv"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": ...}, "/name"),
        ({"name": "Sales"}, "/name"),
        ({"name": "-a"}, "/name"),
        ({"name": "a" * 64}, "/name"),
        ({"name": 3}, "/name"),
        ({"name": "0197c2d4-0000-7000-8000-000000000000"}, "/name"),
        ({"type": "images"}, "/type"),
        ({"type": None}, "/type"),
        ({"files": []}, "/files"),
        ({"files": {}}, "/files"),
        ({"files": [FILE] * 4}, "/files"),
        ({"contract": None}, "/contract/time_column"),
        ({"contract": {**CONTRACT, "frequency": "often"}}, "/contract/frequency"),
        ({"contract": {**CONTRACT, "value_columns": ["ts"]}}, "/contract/value_columns/0"),
        ({"more": 1}, "/more"),
    ],
)
def test_what_is_wrong_with_a_set_is_pointed_at(changes: dict[str, Any], pointer: str) -> None:
    assert pointer in errors_of(start(**changes))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"path": ""}, "/files/0/path"),
        ({"path": "../a.csv"}, "/files/0/path"),
        ({"path": "/a.csv"}, "/files/0/path"),
        ({"path": "a\u0000.csv"}, "/files/0/path"),
        ({"path": "a\u202e.csv"}, "/files/0/path"),
        ({"path": "e\u0301.csv"}, "/files/0/path"),
        ({"path": "é" * 128}, "/files/0/path"),
        ({"bytes": -1}, "/files/0/bytes"),
        ({"bytes": True}, "/files/0/bytes"),
        ({"bytes": 1.5}, "/files/0/bytes"),
        ({"bytes": 1_001}, "/files/0/bytes"),
        ({"sha256": "A" * 64}, "/files/0/sha256"),
        ({"sha256": "a" * 63}, "/files/0/sha256"),
        ({"sha256": None}, "/files/0/sha256"),
        ({"media_type": "csv"}, "/files/0/media_type"),
        ({"media_type": "text/csv\r\nX: y"}, "/files/0/media_type"),
        ({"md5": "x"}, "/files/0/md5"),
    ],
)
def test_what_is_wrong_with_a_file_is_pointed_at(changes: dict[str, Any], pointer: str) -> None:
    assert list(errors_of(start(files=[FILE | changes]))) == [pointer]


def test_a_member_that_a_file_lacks_is_named() -> None:
    assert set(errors_of(start(files=[{}]))) == {f"/files/0/{name}" for name in FILE}


def test_names_that_differ_in_letter_case_only_are_refused_at_the_second() -> None:
    other = FILE | {"path": "A.CSV"}
    assert "letter case" in errors_of(start(files=[FILE, other]))["/files/1/path"]


def test_a_name_that_is_there_twice_is_refused() -> None:
    assert list(errors_of(start(files=[FILE, FILE]))) == ["/files/1/path"]


def test_an_error_for_each_of_many_files_is_cut_to_ten() -> None:
    limits = Limits(1_000, 1_000)
    with pytest.raises(Problem) as refused:
        read_start(1, json.dumps(start(files=[{}] * 500)).encode(), limits)
    assert len(refused.value.extra["errors"]) == 10


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'\xef\xbb\xbf{"name": "a"}', b'{"name": NaN}'])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        read_start(1, body, LIMITS)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("text", "expected"),
    [("sales", ("sales", None)), ("sales@3", ("sales", 3)), ("a-1@2147483647", ("a-1", 2147483647))],
)
def test_a_reference_is_a_name_with_or_without_a_version(text: str, expected: tuple[str, int | None]) -> None:
    found = read_reference(text)
    assert (found.name, found.version) == expected


def test_a_reference_is_an_id() -> None:
    assert str(read_reference("0197c2d4-0000-7000-8000-00000000000a").id) == "0197c2d4-0000-7000-8000-00000000000a"


@pytest.mark.parametrize("text", ["", "Sales", "sales@", "sales@0", "sales@-1", "sales@2147483648", "a b", "sales@1@2"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        read_reference(text)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("size", "part", "most", "expected"),
    [(10, 4, 100, [4, 4, 2]), (8, 4, 100, [4, 4]), (100, 4, 10, [10] * 10), (101, 4, 10, [11] * 9 + [2])],
)
def test_parts_add_up_to_the_file_and_are_never_too_many(size: int, part: int, most: int, expected: list[int]) -> None:
    assert part_sizes(size, part, most) == expected


def test_the_key_of_an_upload_says_whose_it_is() -> None:
    reference = read_reference("0197c2d4-0000-7000-8000-00000000000a")
    assert reference.id is not None
    key = upload_key(7, reference.id, 12)
    assert is_incoming(key)
    assert parse_incoming(key) == (7, reference.id, 12)
    assert parse_incoming(key.replace("incoming", "sealed")) is None
    assert parse_incoming("elsewhere") is None


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("text/html;q=0.2, application/json", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/html"),
    ],
)
def test_the_report_has_the_form_that_is_preferred(accept: str | None, form: str) -> None:
    assert form_of(accept) == form


def test_a_form_that_is_not_offered_is_406() -> None:
    with pytest.raises(Problem) as refused:
        form_of("application/pdf, text/html;q=0")
    assert refused.value.status == 406
