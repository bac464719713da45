"""`status.usage` and QuotaExhausted: coarse, on thresholds, and right when it matters."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.operator.lifecycle.team import Team, conditions, refused
from tests.operator.operating import eventually

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation


def spend(team: Team, units: int) -> None:
    """Use so many units, and wait until Postgres knows."""
    assert [team.call().status_code for _ in range(units)] == [200] * units
    team.used()


def reported(team: Team) -> int:
    """Units used, as the status has them."""
    used: int = team.status()["usage"]["used"]
    return used


def test_a_new_account_has_its_whole_quota(make: Make) -> None:
    usage = make({"quota": {"limit": 10}}).ready().status()["usage"]
    assert usage.pop("asOf")
    assert usage == {"limit": 10, "used": 0, "remaining": 10}


def test_usage_is_written_when_a_threshold_is_crossed_and_not_in_between(make: Make) -> None:
    team, other = make({"quota": {"limit": 20}}).ready(), make({"quota": {"limit": 1}}, "other").ready()
    spend(team, 10)
    eventually(lambda: reported(team) == 10)
    written = team.get()
    spend(team, 4)
    # A report on another account that was due later: the one on this account would have come by now.
    spend(other, 1)
    eventually(lambda: reported(other) == 1)
    assert team.get() == written
    spend(team, 1)
    eventually(lambda: reported(team) == 15)
    assert team.status()["usage"]["remaining"] == 5


def test_a_quota_that_is_used_up_is_told_and_a_raised_one_is_told_too(make: Make) -> None:
    team = make({"quota": {"limit": 4}}).ready()
    team.condition("QuotaExhausted", "False", "QuotaLeft")
    spend(team, 4)
    assert "raised" in team.condition("QuotaExhausted", "True", "NothingLeft")["message"]
    assert team.status()["usage"]["remaining"] == 0
    # Nothing is wrong with the account.
    assert conditions(team.status())["Ready"]["status"] == "True"
    assert refused(team.call()) == (429, "quota-exhausted")
    team.patch({"quota": {"limit": 5}})
    team.condition("QuotaExhausted", "False", "QuotaLeft")
    assert team.call().status_code == 200
    assert eventually(lambda: (team.told()["QuotaExhausted"], team.told()["QuotaRestored"])) == ("Warning", "Normal")


def test_a_quota_of_nothing_is_exhausted_from_the_start(make: Make) -> None:
    team = make({"quota": {"limit": 0}})
    team.condition("QuotaExhausted", "True", "NothingLeft")
    assert refused(team.call()) == (429, "quota-exhausted")


def test_a_lowered_limit_takes_back_nothing_but_admits_no_more(make: Make) -> None:
    team = make({"quota": {"limit": 10}}).ready()
    spend(team, 3)
    team.patch({"quota": {"limit": 2}})
    team.condition("QuotaExhausted", "True", "NothingLeft")
    usage = team.status()["usage"]
    assert (usage["limit"], usage["used"], usage["remaining"]) == (2, 3, 0)
    assert refused(team.call()) == (429, "quota-exhausted")


def test_a_new_window_restores_the_quota_by_itself(installation: Installation, make: Make) -> None:
    team = make({"quota": {"limit": 2, "window": "Day"}}).ready()
    spend(team, 2)
    team.condition("QuotaExhausted", "True", "NothingLeft")
    today = team.row()["window_started_at"]
    a_day_passes(installation, team)
    team.condition("QuotaExhausted", "False", "QuotaLeft")
    assert team.call().status_code == 200
    eventually(lambda: team.row()["window_started_at"] == today)
    assert eventually(lambda: team.told()["QuotaRestored"]) == "Normal"


def a_day_passes(installation: Installation, team: Team) -> None:
    """Set what the account has used, and when its window began, back to yesterday, in both stores."""
    day = timedelta(days=1)
    account_id = team.id
    with installation.sql.transaction():
        moved = "UPDATE usage_events SET occurred_at = occurred_at - %s WHERE account_id = %s"
        installation.sql.execute(moved, [day, account_id])
        moved = "UPDATE accounts SET window_started_at = window_started_at - %s WHERE id = %s"
        installation.sql.execute(moved, [day, account_id])
    name = f"account:{{{account_id}}}"
    for field in ("window_started_at", "window_ends_at"):
        installation.redis.hincrby(name, field, -int(day.total_seconds() * 1000))
