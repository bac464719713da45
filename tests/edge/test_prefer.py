"""`Prefer: wait`, as RFC 7240 writes it."""

import pytest

from luna_serving.edge.prefer import wait_of, wait_within


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], None),
        (["wait=10"], 10),
        (["WAIT = 10"], 10),
        (['wait="10"'], 10),
        (["wait=10; strict"], 10),
        (["respond-async, wait=0"], 0),
        (["return=minimal", "handling=lenient, wait=5, wait=7"], 5),
        (["wait"], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=x, wait=3"], 3),
        (["await=3"], None),
    ],
)
def test_the_first_wait_that_can_be_read_counts(values: list[str], seconds: int | None) -> None:
    assert wait_of(values) == seconds


@pytest.mark.parametrize(("own", "seconds"), [(None, 30), (b"4.5", 4), (b"0", 30), (b"x", 30), (b"600", 30)])
def test_a_call_waits_no_longer_than_it_may_take(own: bytes | None, seconds: int) -> None:
    headers = [(b"prefer", b"wait=100")]
    headers += [] if own is None else [(b"x-luna-timeout-seconds", own)]
    assert wait_within({"headers": headers}, 30.0) == seconds
    assert wait_within({"headers": headers[1:]}, 30.0) is None
