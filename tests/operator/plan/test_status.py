"""The status as a whole: what is in it, and that it is at rest."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.operator.plan.accounts import ACCOUNT_ID, DAY, HOUR, NOW, STRANGER, account, key, settled, tier, unmade
from tests.operator.plan.merging import as_stored, merge_patch
from tests.operator.plan.observations import observations

from luna_operator.plan.decide import decide
from luna_operator.plan.event_notes import event_notes
from luna_operator.plan.observation import ABSENT, Observation
from luna_operator.plan.obstacles import Stage, unavailable
from luna_operator.plan.status import patch, status_of
from luna_store.limits import LIMITS

MAX_AGE = timedelta(minutes=5)
# Limits that hold where nobody sets them.
DEFAULTS = {limit.field: limit.default for limit in LIMITS if limit.default is not None}
examples = settings(deadline=None)


def told(seen: Observation) -> dict[str, Any]:
    return status_of(seen, decide(seen).obstacle, MAX_AGE)


def remembering(seen: Observation, status: dict[str, Any], **changes: Any) -> Observation:
    """The same account with this status, as the API server gives it back."""
    return replace(seen, account=replace(seen.account, status=status), **changes)


def test_the_whole_status_of_a_settled_account() -> None:
    retiring = key("luna_Older000", age=3 * DAY, expires_at=NOW + HOUR)
    pending = key("luna_Pending0", age=HOUR, pending=True, expires_at=NOW + DAY)
    spec = {"tier": "pro", "quota": {"limit": 7, "window": "Day"}, "allowedModels": ["local_level", "arima"]}
    grants = tier({"rateLimit": {"requestsPerSecond": 2.5, "burst": 9}, "limits": {"historyDays": 30}})
    seen = settled(
        account(spec, generation=3),
        pending,
        key(),
        retiring,
        tier=grants,
        row_changes={"quota_used": 5, "window_started_at": NOW.replace(hour=0)},
    )
    status = told(seen)
    conditions = status.pop("conditions")
    assert status == {
        "observedGeneration": 3,
        "accountId": ACCOUNT_ID,
        "secretName": "acme-luna-key",
        "effective": {
            "quota": {"limit": 7, "window": "Day"},
            "rateLimit": {"requestsPerSecond": 2.5, "burst": 9},
            "allowed": {"kalman": ["arima", "local_level"], "*": ["*"]},
            "allowedModels": ["arima", "local_level"],
            "limits": DEFAULTS | {"historyDays": 30},
        },
        "keys": [
            {"prefix": "luna_Current0", "createdAt": "2026-11-20T09:00:00Z", "state": "Active"},
            {
                "prefix": "luna_Older000",
                "createdAt": "2026-11-18T09:00:00Z",
                "expiresAt": "2026-11-21T10:00:00Z",
                "state": "Retiring",
            },
        ],
        "usage": {
            "limit": 7,
            "used": 5,
            "remaining": 2,
            "windowEndsAt": "2026-11-22T00:00:00Z",
            "asOf": "2026-11-21T09:00:00Z",
        },
    }
    assert {condition["observedGeneration"] for condition in conditions} == {3}


@examples
@given(observations())
def test_a_status_that_was_written_is_at_rest(seen: Observation) -> None:
    status = told(seen)
    assert as_stored(status) == status
    assert patch(status, told(remembering(seen, status))) is None


@examples
@given(observations(), st.timedeltas(timedelta(), 400 * DAY))
def test_time_alone_moves_only_what_it_ends(seen: Observation, passed: timedelta) -> None:
    """Usage, keys that ended and the conditions Expired and QuotaExhausted apart, a status never changes by itself."""
    status = told(seen)
    after = told(remembering(seen, status, now=seen.now + passed))
    stable = {"observedGeneration", "secretName", "accountId", "effective", "keys"}
    assert {name: status.get(name) for name in stable} == {name: after.get(name) for name in stable}
    for old, new in zip(status["conditions"], after["conditions"], strict=True):
        if old["status"] == new["status"]:
            assert old["lastTransitionTime"] == new["lastTransitionTime"]
        else:
            assert new["type"] in {"Ready", "Expired", "QuotaExhausted"}


@examples
@given(observations(), observations())
def test_the_patch_between_two_observations_turns_one_status_into_the_other(
    first: Observation, second: Observation
) -> None:
    before = told(first)
    after = told(remembering(second, before))
    assert as_stored(merge_patch(before, patch(before, after) or {})) == after


def test_a_whole_rate_is_a_whole_number() -> None:
    """The API server gives 50.0 back as 50."""
    rate = told(settled())["effective"]["rateLimit"]["requestsPerSecond"]
    assert (rate, type(rate)) == (50, int)


def test_without_its_tier_an_account_shows_the_limits_that_hold() -> None:
    granted = settled(account({"tier": "pro"}), tier=tier({"quota": {"limit": 900}}))
    status = told(granted)
    lost = told(remembering(granted, status, tier=None))
    assert lost["effective"]["quota"] == {"limit": 900, "window": "Lifetime"}


def test_an_account_of_a_tier_that_never_was_shows_no_limits() -> None:
    assert "effective" not in told(unmade(account({"tier": "pro"})))


def test_an_outage_takes_nothing_out_of_a_status() -> None:
    """Postgres does not answer: there is no row to see, but there is one."""
    status = told(settled())
    blind = remembering(unmade(account(generation=2)), status)
    after = status_of(blind, unavailable(Stage.DATABASE, "Database", "refused"), MAX_AGE)
    for name in ("accountId", "keys", "usage"):
        assert after[name] == status[name]
    assert after["conditions"][0]["reason"] == "DatabaseUnavailable"


class TestNews:
    """Events tell of changes, each once."""

    @staticmethod
    def between(first: Observation, second: Observation) -> list[tuple[str, str]]:
        before = told(first)
        return [(item.type, item.reason) for item in event_notes(before, told(remembering(second, before)))]

    @examples
    @given(observations(), observations())
    def test_what_was_told_is_not_told_again(self, first: Observation, second: Observation) -> None:
        before = told(first)
        after = told(remembering(second, before))
        assert event_notes(after, told(remembering(second, after))) == []

    @examples
    @given(observations(), observations())
    def test_an_event_has_the_words_of_a_condition_that_changed(self, first: Observation, second: Observation) -> None:
        before = told(first)
        after = told(remembering(second, before))
        old = {condition["type"]: condition for condition in before["conditions"]}
        changed = [new["message"] for new in after["conditions"] if new != old[new["type"]]]
        for item in event_notes(before, after):
            assert item.note in changed
            assert item.reason.isidentifier()

    def test_an_account_that_is_ready_at_once_needs_no_event(self) -> None:
        assert event_notes({}, told(settled())) == []

    def test_being_ready_at_last_is_told(self) -> None:
        assert self.between(settled(secret=ABSENT), settled()) == [("Normal", "Ready")]

    def test_an_obstacle_is_told_when_it_comes_and_when_another_takes_its_place(self) -> None:
        lost = settled(account({"tier": "pro"}))
        assert self.between(settled(), lost) == [("Warning", "TierNotFound")]
        conflict = settled(secret=STRANGER)
        assert self.between(lost, conflict) == [("Warning", "SecretConflict")]

    def test_a_suspension_is_told_once_and_by_its_own_condition(self) -> None:
        suspended = settled(account({"suspended": True}))
        assert self.between(settled(), suspended) == [("Normal", "Suspended")]
        assert self.between(suspended, settled()) == [("Normal", "Ready"), ("Normal", "Resumed")]

    def test_expiry_and_an_empty_quota_are_warnings_and_their_ends_are_not(self) -> None:
        expired = settled(account({"expiresAt": "2026-11-21T08:00:00Z"}))
        assert self.between(settled(), expired) == [("Warning", "Expired")]
        assert self.between(expired, settled()) == [("Normal", "Ready"), ("Normal", "Extended")]
        empty = settled(row_changes={"quota_used": 500})
        assert self.between(settled(), empty) == [("Warning", "QuotaExhausted")]
        assert self.between(empty, settled()) == [("Normal", "QuotaRestored")]
