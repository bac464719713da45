from datetime import UTC, datetime

import pytest

from luna_store.quota.windows import QuotaWindow, milliseconds, window_end, window_seconds, window_start

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "start", "end", "seconds"),
    [
        (QuotaWindow.LIFETIME, LONG_AGO, None, 0),
        (QuotaWindow.DAY, datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC), 86_400),
        (QuotaWindow.MONTH, datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC), 29 * 86_400),
    ],
)
def test_a_window_is_a_day_or_a_month_of_utc(
    window: QuotaWindow, start: datetime, end: datetime | None, seconds: int
) -> None:
    begun = window_start(window, LONG_AGO, NOON)
    assert begun == start
    assert window_end(window, begun) == end
    assert window_seconds(window, begun) == seconds
    assert window_start(window, begun, NOON) == begun


def test_december_ends_with_the_year() -> None:
    assert window_end(QuotaWindow.MONTH, datetime(2026, 12, 31, 23, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)


def test_never_is_zero_milliseconds() -> None:
    assert milliseconds(None) == 0
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1000
