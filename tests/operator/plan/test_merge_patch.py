"""The patch from one status to another, against RFC 7386 written down a second time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operator.plan.merging import as_stored, merge_patch

from luna_operator.plan.status import patch

# Appendix A of RFC 7386: target, patch, result. Those whose patch is no object replace the whole and are no status.
RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

names = st.sampled_from(["limit", "used", "keys", "conditions", "type"])
leaves = st.none() | st.integers(-3, 3) | st.sampled_from(["True", "False", ""])
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
statuses = st.dictionaries(names, values, max_size=5)


@pytest.mark.parametrize(("target", "change", "result"), RFC_7386)
def test_the_reference_merges_as_the_rfc_shows(target: Any, change: Any, result: Any) -> None:
    assert merge_patch(target, change) == result


@given(statuses, statuses.map(as_stored))
def test_merging_the_patch_into_the_old_status_gives_the_new_one(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert as_stored(merge_patch(before, patch(before, after) or {})) == after


@given(statuses, statuses.map(as_stored))
def test_a_patch_is_made_exactly_where_something_is_to_be_changed(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert (patch(before, after) is None) == (as_stored(before) == after)


@given(statuses)
def test_equal_statuses_need_no_patch(status: dict[str, Any]) -> None:
    assert patch(status, as_stored(status)) is None
    assert patch(as_stored(status), as_stored(status)) is None


@given(statuses, statuses.map(as_stored))
def test_a_patch_that_was_merged_is_not_made_again(before: dict[str, Any], after: dict[str, Any]) -> None:
    merged = merge_patch(before, patch(before, after) or {})
    assert patch(merged, after) is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"usage": {"used": 1, "limit": 5}}, {"usage": {"used": 2, "limit": 5}}, {"usage": {"used": 2}}),
        ({"usage": {"windowEndsAt": "x", "used": 1}}, {"usage": {"used": 1}}, {"usage": {"windowEndsAt": None}}),
        ({"usage": {"windowEndsAt": "x"}}, {"usage": {"windowEndsAt": None}}, {"usage": {"windowEndsAt": None}}),
        ({"usage": {"used": 1}}, {"usage": {"used": 1, "windowEndsAt": None}}, None),
        ({"keys": [{"a": 1}, {"b": 1}]}, {"keys": [{"a": 1}]}, {"keys": [{"a": 1}]}),
        ({"accountId": 1, "keys": []}, {"keys": []}, {"accountId": None}),
        ({"effective": {"limits": {}}}, {}, None),
    ],
)
def test_a_patch_holds_what_changes_and_nothing_else(before: Any, after: Any, expected: Any) -> None:
    assert patch(before, after) == expected
