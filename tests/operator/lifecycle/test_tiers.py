"""A Tier's fields reach its accounts when it changes, and hold on when it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.operator.lifecycle.fields import CHANGES, Change, holds
from tests.operator.lifecycle.schema import spec_fields
from tests.operator.lifecycle.team import Team
from tests.operator.operating import eventually

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make, MakeTier
    from tests.operator.lifecycle.installation import Installation

# Words for people: the operator does not read it.
TOLD_NOBODY = {"description"}


def change_tier(installation: Installation, name: str, spec: dict[str, Any]) -> None:
    installation.custom.patch_cluster_custom_object(
        "luna.dev", "v1", "tiers", name, {"spec": spec}, field_validation="Strict"
    )


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_changed_tier_changes_its_accounts_but_for_what_they_set_themselves(
    installation: Installation, make: Make, make_tier: MakeTier, change: Change
) -> None:
    tier = make_tier(change.before)
    followers = [make({"tier": tier}, name) for name in ("first", "second")]
    own = make(change.before | {"tier": tier}, "own")
    for team in (*followers, own):
        team.ready()
    before = own.get()
    change_tier(installation, tier, change.after)
    for team in followers:
        eventually(lambda: holds(team.status()["effective"], change.effective))  # noqa: B023  called at once
        change.stored(team)
    change.felt(followers[0])
    if change.before:
        # What it set itself won, so there was nothing to write.
        assert own.get() == before


def test_every_field_of_a_tier_is_changed_here() -> None:
    assert spec_fields("tier") == {change.path for change in CHANGES} | TOLD_NOBODY


def test_a_tier_reaches_its_accounts_in_all_namespaces_and_no_others(
    installation: Installation, make: Make, make_tier: MakeTier
) -> None:
    tier, other = make_tier({"quota": {"limit": 10}}), make_tier({"quota": {"limit": 10}})
    stranger, loner = make({"tier": other}, "stranger").ready(), make(name="loner").ready()
    with installation.cluster.namespace("team") as elsewhere:
        teams = [make({"tier": tier}), Team(installation, elsewhere, "acme").create({"tier": tier})]
        for team in teams:
            team.ready()
        untouched = [stranger.get(), loner.get()]
        change_tier(installation, tier, {"quota": {"limit": 11}})
        for team in teams:
            eventually(lambda: team.cached()["quota_limit"] == "11")  # noqa: B023  called at once
        assert [stranger.get(), loner.get()] == untouched
        teams[1].delete()
        teams[1].gone()


def test_an_account_waits_for_a_tier_that_does_not_exist_yet(
    installation: Installation, make: Make, make_tier: MakeTier
) -> None:
    team = make({"tier": "not-yet"})
    missing = team.condition("DatabaseSynced", "False", "TierNotFound")
    assert "'not-yet'" in missing["message"]
    assert "kubectl get tiers" in missing["message"]
    team.condition("Ready", "False", "TierNotFound")
    eventually(lambda: team.told()["TierNotFound"] == "Warning")
    assert installation.core.list_namespaced_secret(team.namespace).items == []
    body = {"apiVersion": "luna.dev/v1", "kind": "Tier", "metadata": {"name": "not-yet"}}
    installation.custom.create_cluster_custom_object(
        "luna.dev", "v1", "tiers", body | {"spec": {"quota": {"limit": 3}}}
    )
    try:
        team.ready()
        assert team.row()["quota_limit"] == 3
        assert team.call().status_code == 200
    finally:
        installation.cluster.kubectl("delete", "tier", "not-yet")


def test_a_deleted_tier_leaves_its_accounts_what_they_had_and_says_so(
    installation: Installation, make: Make, make_tier: MakeTier
) -> None:
    tier = make_tier({"quota": {"limit": 7}})
    team = make({"tier": tier}).ready()
    effective = team.status()["effective"]
    installation.cluster.kubectl("delete", "tier", tier)
    team.condition("Ready", "False", "TierNotFound")
    assert team.status()["effective"] == effective
    assert (team.row()["quota_limit"], team.cached()["quota_limit"]) == (7, "7")
    assert team.call().status_code == 200
    assert eventually(lambda: team.told()["TierNotFound"]) == "Warning"
    team.patch({"tier": None}).ready()
    assert team.row()["quota_limit"] == 500
    assert eventually(lambda: team.told()["Ready"]) == "Normal"


def test_a_merged_burst_below_the_rate_is_raised_to_the_rate(make: Make, make_tier: MakeTier) -> None:
    tier = make_tier({"rateLimit": {"requestsPerSecond": 200, "burst": 1000}})
    team = make({"tier": tier, "rateLimit": {"burst": 20}}).ready()
    assert team.status()["effective"]["rateLimit"] == {"requestsPerSecond": 200, "burst": 200}
    assert (team.row()["rate_burst"], team.cached()["burst"]) == (200, "200")
