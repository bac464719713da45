"""Every field of an Account, changed: Postgres, Redis, the status, and callers show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client import ApiException
from tests.operator.lifecycle.fields import CHANGES, ONE_CALL, Change
from tests.operator.lifecycle.schema import spec_fields
from tests.operator.lifecycle.team import conditions, refused
from tests.operator.operating import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation

CHANGED = {change.path for change in CHANGES}


def changes(path: str) -> Callable[[Any], Any]:
    """Say which field a test changes."""
    CHANGED.add(path)
    return lambda test: test


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_changed_limit_holds_for_the_very_next_call(make: Make, change: Change) -> None:
    team = make(change.before).ready()
    with pytest.raises(AssertionError):
        change.stored(team)
    team.patch(change.after).ready()
    change.stored(team)
    change.felt(team)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_limit_that_is_taken_out_again_falls_back_to_lunas_own(make: Make, change: Change) -> None:
    usual = make(name="usual").ready()
    team = make(change.before | change.after).ready()
    team.patch(dict.fromkeys(change.before | change.after)).ready()
    assert team.status()["effective"] == usual.status()["effective"]
    same = ("quota_limit", "quota_window", "rate_per_second", "rate_burst", "allowed_models")
    same += ("max_series_length", "max_series_per_request", "history_days", "allowed", "limits")
    assert [team.row()[name] for name in same] == [usual.row()[name] for name in same]


def test_a_raised_rate_holds_at_once_also_for_who_has_just_been_refused(make: Make) -> None:
    team = make(ONE_CALL).ready()
    assert team.call().status_code == 200
    assert refused(team.call()) == (429, "rate-limited")
    team.patch({"rateLimit": {"requestsPerSecond": 50, "burst": 100}}).ready()
    eventually(lambda: team.call().status_code == 200, seconds=5)


@changes("displayName")
def test_a_display_name_is_shown_to_its_team(make: Make) -> None:
    team = make({"displayName": "Acme"}).ready()
    assert team.row()["display_name"] == "Acme"
    team.patch({"displayName": "Acme Corp — Zürich"}).ready()
    assert team.row()["display_name"] == "Acme Corp — Zürich"
    assert team.get_http().json()["display_name"] == "Acme Corp — Zürich"


@changes("members")
def test_members_are_exactly_those_of_the_newest_spec(make: Make) -> None:
    team = make({"members": [{"email": "ada@example.com", "role": "admin"}, {"email": "alan@example.com"}]}).ready()
    assert team.members() == {"ada@example.com": "admin", "alan@example.com": "member"}
    team.patch({"members": [{"email": "ada@example.com", "role": "viewer"}, {"email": "grace@example.com"}]}).ready()
    assert team.members() == {"ada@example.com": "viewer", "grace@example.com": "member"}
    team.patch({"members": None}).ready()
    assert team.members() == {}


@changes("suspended")
def test_a_suspended_team_is_refused_and_a_resumed_one_goes_on_with_the_same_key(make: Make) -> None:
    team = make().ready()
    key = team.key
    team.patch({"suspended": True})
    suspended = team.condition("Suspended", "True", "Requested")
    assert "set it to false to resume" in suspended["message"]
    assert conditions(team.status())["Ready"]["reason"] == "Suspended"
    assert (team.row()["state"], team.cached()["state"]) == ("suspended", "suspended")
    assert refused(team.call()) == (403, "suspended")
    team.patch({"suspended": False}).ready()
    assert team.condition("Suspended", "False", "NotRequested")
    assert (team.row()["state"], team.cached()["state"]) == ("active", "active")
    assert team.call(key=key).status_code == 200
    assert team.key == key
    assert team.told()["Suspended"] == team.told()["Resumed"] == "Normal"


@changes("expiresAt")
def test_an_account_expires_by_itself_and_is_extended_by_a_later_instant(make: Make) -> None:
    team = make({"expiresAt": "2999-01-01T00:00:00Z"}).ready()
    assert "2999-01-01T00:00:00Z" in team.condition("Expired", "False", "NotYet")["message"]
    end = datetime.now(UTC) + timedelta(seconds=3)
    team.patch({"expiresAt": end.isoformat()}).ready()
    assert team.call().status_code == 200
    # Nobody touches it from here on.
    team.condition("Expired", "True", "Expired")
    assert datetime.now(UTC) >= end
    assert conditions(team.status())["Ready"]["reason"] == "Expired"
    assert refused(team.call()) == (403, "expired")
    assert team.row()["expires_at"] == end
    team.patch({"expiresAt": None}).ready()
    team.condition("Expired", "False", "NoExpiry")
    assert team.call().status_code == 200
    assert team.cached()["expires_at"] == "0"
    assert (team.told()["Expired"], team.told()["Extended"]) == ("Warning", "Normal")


def test_an_account_that_has_expired_before_it_came_is_never_ready(make: Make) -> None:
    team = make({"expiresAt": "2020-02-29T12:00:00+02:00"})
    assert "2020-02-29T10:00:00Z" in team.condition("Expired", "True", "Expired")["message"]
    team.condition("Ready", "False", "Expired")
    assert refused(team.call()) == (403, "expired")


@changes("apiKey.rotationRequestedAt")
def test_each_new_request_is_answered_with_one_new_key(make: Make) -> None:
    team = make().ready()
    keys = [team.key]
    for asked in ("2026-11-21T09:00:00Z", "2026-11-21T09:00:01Z"):
        team.patch({"apiKey": {"rotationRequestedAt": asked}}).ready()
        keys.append(team.key)
        assert team.call().status_code == 200
        # The same request once more.
        team.patch({"displayName": asked}).ready()
        assert team.key == keys[-1]
    assert len(set(keys)) == len(team.issued()) == 3
    assert team.told()["KeyRotated"] == "Normal"


@changes("apiKey.rotationInterval")
def test_a_shorter_interval_replaces_a_key_that_is_older(make: Make, installation: Installation) -> None:
    team = make().ready()
    old = team.key
    aged(installation, team.id, hours=2)
    team.patch({"apiKey": {"rotationInterval": "3h", "rotationOverlap": "1h"}}).ready()
    assert team.key == old
    team.patch({"apiKey": {"rotationInterval": "119m"}}).ready()
    assert team.key != old
    assert team.call().status_code == team.call(key=old).status_code == 200


def test_a_key_is_replaced_by_itself_when_its_time_has_come(make: Make, installation: Installation) -> None:
    team = make({"apiKey": {"rotationInterval": "1m", "rotationOverlap": "1s"}}).ready()
    old = team.key
    aged(installation, team.id, seconds=57)
    # Any event: the operator reads the key's age and knows when to come back.
    team.patch({"displayName": "Acme"}).settled()
    eventually(lambda: team.key != old)
    assert team.call().status_code == 200
    eventually(lambda: refused(team.call(key=old)) == (401, "unauthenticated"))


def test_an_interval_of_0s_never_replaces_a_key(make: Make, installation: Installation) -> None:
    team = make({"apiKey": {"rotationInterval": "0s"}}).ready()
    old = team.key
    aged(installation, team.id, days=4000)
    team.patch({"displayName": "Acme"}).ready()
    assert team.key == old


@changes("apiKey.rotationOverlap")
def test_an_old_key_works_for_the_overlap_and_not_longer(make: Make) -> None:
    team = make().ready()
    old = team.key
    team.patch({"apiKey": {"rotationOverlap": "3s", "rotationRequestedAt": "2026-11-21T09:00:00Z"}}).ready()
    assert team.key != old
    retiring, active = sorted(team.status()["keys"], key=lambda key: key["state"], reverse=True)
    assert (active["prefix"], active["state"]) == (team.key[:13], "Active")
    assert (retiring["prefix"], retiring["state"]) == (old[:13], "Retiring")
    assert "expiresAt" not in active
    ends = datetime.fromisoformat(retiring["expiresAt"])
    assert ends - datetime.fromisoformat(active["createdAt"]) <= timedelta(seconds=4)
    assert team.call(key=old).status_code == 200
    eventually(lambda: refused(team.call(key=old)) == (401, "unauthenticated"))
    assert datetime.now(UTC) >= ends
    assert team.call().status_code == 200
    # The status drops it by itself.
    assert eventually(lambda: [key["prefix"] for key in team.status()["keys"]] == [team.key[:13]])


def test_without_an_overlap_the_old_key_is_refused_at_once(make: Make) -> None:
    team = make({"apiKey": {"rotationOverlap": "0s"}}).ready()
    old = team.key
    team.patch({"apiKey": {"rotationRequestedAt": "2026-11-21T09:00:00Z"}}).ready()
    assert refused(team.call(key=old)) == (401, "unauthenticated")
    assert team.call().status_code == 200


@changes("apiKey.secretName")
def test_a_secrets_name_is_chosen_once(make: Make, installation: Installation) -> None:
    team = make({"apiKey": {"secretName": "forecasts"}}).ready()
    assert team.status()["secretName"] == "forecasts"
    assert set(installation.core.read_namespaced_secret("forecasts", team.namespace).data) == {
        "api-key",
        "account-id",
        "url",
    }
    with pytest.raises(ApiException, match="cannot be changed"):
        team.patch({"apiKey": {"secretName": "other"}})


@changes("deletionPolicy")
@pytest.mark.parametrize(("before", "after", "left"), [("Retain", "Delete", 0), ("Delete", "Retain", 1)])
def test_the_newest_deletion_policy_counts(
    make: Make, installation: Installation, before: str, after: str, left: int
) -> None:
    team = make({"deletionPolicy": before}).ready()
    account_id = team.id
    team.patch({"deletionPolicy": after})
    team.delete()
    team.gone()
    rows = installation.sql.execute("SELECT state FROM accounts WHERE id = %s", [account_id]).fetchall()
    assert rows == [{"state": "revoked"}] * left


@changes("tier")
def test_an_account_may_take_a_tier_another_or_none(make: Make, make_tier: Callable[..., str]) -> None:
    small, large = make_tier({"quota": {"limit": 5}}), make_tier({"quota": {"limit": 50}})
    team = make({"tier": small}).ready()
    for tier, limit in ((small, 5), (large, 50), (None, 500)):
        team.patch({"tier": tier}).ready()
        assert team.status()["effective"]["quota"]["limit"] == limit
        assert (team.row()["tier"], team.row()["quota_limit"]) == (tier, limit)
        assert team.get_http().json()["tier"] == tier
        assert team.cached()["quota_limit"] == str(limit)


def test_every_field_of_an_account_is_changed_here() -> None:
    assert spec_fields("account") == CHANGED


def aged(installation: Installation, account_id: int, **age: float) -> None:
    """Set the account's keys' creation to a time before now."""
    installation.sql.execute(
        "UPDATE api_keys SET created_at = now() - %s WHERE account_id = %s", [timedelta(**age), account_id]
    )
