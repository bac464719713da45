"""Whether Redis holds what an account's rows say, as values: no store is asked."""

from datetime import UTC, datetime, timedelta

import pytest

from luna_store.quota.redis_image import Held, Mirror, MirroredKey

SINCE = datetime(2026, 11, 21, 12, 0, 0, 500_400, UTC)
UNTIL = SINCE + timedelta(milliseconds=3)


def mirror(expires_at: datetime | None, *, revoked: bool = False) -> Mirror:
    expires_ms = 0 if expires_at is None else int(expires_at.timestamp() * 1000)
    return Mirror(7, 100, 0, {"state": "active", "epoch": 3}, [MirroredKey("luna_1", "d1", expires_ms, revoked)])


def held(of: Mirror, owner: str | None, **fields: str) -> Held:
    return Held({name: str(value) for name, value in of.fields(SINCE).items()} | fields, True, [owner])


@pytest.mark.parametrize(
    ("expires_at", "owners"),
    [
        (None, {"7"}),
        (UNTIL + timedelta(seconds=1), {"7"}),
        (SINCE - timedelta(seconds=1), {None}),
        # Redis ends a key by its own clock, to the millisecond: amid the look, or just before or after it.
        (SINCE + timedelta(milliseconds=1), {"7", None}),
        (SINCE, {"7", None}),
        (UNTIL, {"7", None}),
    ],
)
def test_an_index_entry_is_there_until_its_key_ends(expires_at: datetime | None, owners: set[str | None]) -> None:
    wanted = mirror(expires_at)
    assert {owner for owner in ("7", None, "8") if wanted.agrees(held(wanted, owner), SINCE, UNTIL)} == owners


def test_a_revoked_key_has_no_entry() -> None:
    wanted = mirror(None, revoked=True)
    assert wanted.agrees(held(wanted, None), SINCE, UNTIL)
    assert not wanted.agrees(held(wanted, "7"), SINCE, UNTIL)


@pytest.mark.parametrize(
    ("fields", "agrees"),
    [
        ({"state": "suspended"}, False),
        ({"of-a-newer-release": "1"}, True),
        ({"key:luna_0": f"d0:{int(SINCE.timestamp() * 1000) - 5}"}, True),  # ended, and harms nobody
        ({"key:luna_0": f"d0:{int(UNTIL.timestamp() * 1000) + 5000}"}, False),
        ({"key:luna_0": "d0:0"}, False),
    ],
)
def test_fields_are_compared_as_far_as_they_matter(fields: dict[str, str], agrees: bool) -> None:
    wanted = mirror(None)
    assert wanted.agrees(held(wanted, "7", **fields), SINCE, UNTIL) is agrees


def test_an_account_without_units_left_has_drifted() -> None:
    wanted = mirror(None)
    whole = held(wanted, "7")
    assert not wanted.agrees(Held(whole.fields, False, whole.owners), SINCE, UNTIL)
