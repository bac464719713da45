"""When a new report of the usage is due."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operator.plan.accounts import ACCOUNT_ID, BEGINNING, DAY, HOUR, NOW, UID

from luna_operator.plan.usage import THRESHOLDS, next_usage, remaining, usage_of
from luna_operator.resources.account import format_time
from luna_store.accounts.provisioning import UsageRow
from luna_store.quota.windows import QuotaWindow

MAX_AGE = timedelta(minutes=5)
MIDNIGHT = NOW.replace(hour=0)


def usage(
    used: int, limit: int = 1000, window: QuotaWindow = QuotaWindow.LIFETIME, start: datetime = BEGINNING
) -> UsageRow:
    return UsageRow(ACCOUNT_ID, UID, limit, used, window, start)


def report(row: UsageRow, now: datetime = NOW) -> dict[str, Any]:
    """A report as the API server gives it back: without nulls."""
    return {name: value for name, value in usage_of(row, now).items() if value is not None}


def due(before: dict[str, Any], row: UsageRow, now: datetime = NOW + timedelta(seconds=15)) -> bool:
    found = next_usage(before, row, now, MAX_AGE)
    assert found is before or found == usage_of(row, now)
    return found is not before


def test_a_first_report_is_always_due() -> None:
    for nothing in (None, {}):
        assert next_usage(nothing, usage(3), NOW, MAX_AGE) == {
            "limit": 1000,
            "used": 3,
            "remaining": 997,
            "windowEndsAt": None,
            "asOf": "2026-11-21T09:00:00Z",
        }


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_threshold_is_reported_at_once_in_both_directions(threshold: int) -> None:
    below, at, above = (usage(10 * threshold + units) for units in (-1, 0, 1))
    assert due(report(below), at)
    assert due(report(at), below)
    assert not due(report(at), above)
    assert not due(report(below), replace_used(below, below.quota_used - 1))


def replace_used(row: UsageRow, used: int) -> UsageRow:
    return row._replace(quota_used=used)


def test_between_thresholds_a_report_waits_for_its_age() -> None:
    before = report(usage(1))
    assert not due(before, usage(400), NOW + MAX_AGE - timedelta(microseconds=1))
    assert due(before, usage(400), NOW + MAX_AGE)


def test_usage_that_stands_still_is_never_reported_again() -> None:
    for window, start in ((QuotaWindow.LIFETIME, BEGINNING), (QuotaWindow.MONTH, NOW.replace(day=1))):
        row = usage(400, window=window, start=start)
        assert not due(report(row), row, NOW + 5 * DAY)


def test_another_limit_is_reported_at_once() -> None:
    assert due(report(usage(1)), usage(1, limit=1001))


def test_another_window_is_reported_at_once() -> None:
    daily = usage(1, window=QuotaWindow.DAY, start=MIDNIGHT)
    assert due(report(usage(1)), daily)
    assert due(report(daily), usage(1))


def test_a_window_that_ended_counts_nothing_before_its_row_is_rolled() -> None:
    daily = usage(700, window=QuotaWindow.DAY, start=MIDNIGHT)
    last, first = MIDNIGHT + DAY - timedelta(microseconds=1), MIDNIGHT + DAY
    assert [remaining(daily, now) for now in (last, first)] == [300, 1000]
    ended = next_usage(report(daily), daily, first, MAX_AGE)
    assert ended == {
        "limit": 1000,
        "used": 0,
        "remaining": 1000,
        "windowEndsAt": "2026-11-23T00:00:00Z",
        "asOf": "2026-11-22T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("window", "end"),
    [(QuotaWindow.DAY, "2027-01-01T00:00:00Z"), (QuotaWindow.MONTH, "2027-01-01T00:00:00Z")],
)
def test_a_window_ends_with_the_year(window: QuotaWindow, end: str) -> None:
    silvester = datetime.fromisoformat("2026-12-31T23:59:59+00:00")
    assert usage_of(usage(0, window=window, start=MIDNIGHT), silvester)["windowEndsAt"] == end


def test_more_than_the_limit_leaves_nothing_rather_than_less() -> None:
    """A limit was lowered below what was used."""
    assert usage_of(usage(30, limit=7), NOW)["remaining"] == 0


@pytest.mark.parametrize("name", ["limit", "used", "remaining", "windowEndsAt", "asOf"])
def test_a_report_that_somebody_mutilated_is_written_anew(name: str) -> None:
    daily = usage(1, window=QuotaWindow.DAY, start=MIDNIGHT)
    mutilated = {field: value for field, value in report(daily).items() if field != name}
    assert due(mutilated, daily, NOW + MAX_AGE)


rows = st.builds(
    usage,
    st.integers(0, 30),
    st.integers(0, 20),
    st.sampled_from(list(QuotaWindow)),
    st.sampled_from([BEGINNING, MIDNIGHT - DAY, MIDNIGHT, NOW.replace(day=1, hour=0)]),
)


@given(rows, rows, st.timedeltas(timedelta(), DAY))
def test_a_report_is_at_rest_and_never_hides_an_empty_or_a_full_quota(
    first: UsageRow, second: UsageRow, passed: timedelta
) -> None:
    now = NOW + passed
    found = next_usage(report(first), second, now, MAX_AGE)
    assert next_usage(found, second, now, MAX_AGE) is found
    assert (found["remaining"] == 0) == (usage_of(second, now)["remaining"] == 0)
    assert found["limit"] == second.quota_limit


@given(rows, st.lists(st.timedeltas(timedelta(), HOUR), max_size=8))
def test_a_busy_account_is_reported_at_most_once_an_age_and_threshold(row: UsageRow, pauses: list[timedelta]) -> None:
    """Within one window; each report is one write to the API server."""
    lifetime = row._replace(quota_window=QuotaWindow.LIFETIME, quota_used=0)
    now, written, last = NOW, 0, report(lifetime)
    for step, pause in enumerate(pauses, 1):
        now += pause
        found = next_usage(last, replace_used(lifetime, step), now, MAX_AGE)
        written += found is not last
        last = found
    assert written <= sum(pauses, timedelta()) / MAX_AGE + len(THRESHOLDS)
    assert last["asOf"] <= (format_time(now) or "")
