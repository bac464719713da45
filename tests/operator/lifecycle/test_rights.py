"""The rights in the chart are sufficient and all used, and a missing one is reported."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.operator.lifecycle.installation import forbidden
from tests.operator.lifecycle.team import conditions

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make, MakeTier
    from tests.operator.lifecycle.installation import Installation


def test_a_whole_life_needs_no_right_that_the_chart_does_not_give(
    installation: Installation, make: Make, make_tier: MakeTier
) -> None:
    tier = make_tier({"quota": {"limit": 3}})
    before = forbidden(installation.operator)
    team = make({"tier": tier, "deletionPolicy": "Delete"}).ready()
    team.patch({"apiKey": {"rotationRequestedAt": "2026-11-21T09:00:00Z"}}).ready()
    team.patch({"suspended": True}).condition("Suspended", "True")
    installation.cluster.kubectl("delete", "tier", tier)
    team.condition("Ready", "False", "TierNotFound")
    team.patch({"tier": None, "suspended": False}).ready()
    team.delete()
    team.gone()
    assert forbidden(installation.operator) == before == Counter()
    asked = {request.rpartition(" ")[0] for request in installation.operator.requests()}
    assert asked >= {
        "list accounts", "patch accounts", "patch accounts/status", "list tiers",
        "list secrets", "get secrets", "create secrets", "apply secrets", "create events",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "group", "resource"),
    [
        ("watch", "", "secrets"),
        ("update", "", "secrets"),
        ("delete", "", "secrets"),
        ("create", "luna.dev", "accounts"),
        ("update", "luna.dev", "accounts"),
        ("delete", "luna.dev", "accounts"),
        ("create", "luna.dev", "tiers"),
        ("delete", "luna.dev", "tiers"),
        ("list", "", "namespaces"),
        ("get", "", "configmaps"),
        ("list", "", "pods"),
        ("list", "apiextensions.k8s.io", "customresourcedefinitions"),
        ("patch", "apiextensions.k8s.io", "customresourcedefinitions"),
        ("get", "coordination.k8s.io", "leases"),
        ("list", "", "events"),
        ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
        ("create", "", "serviceaccounts/token"),
        ("impersonate", "", "users"),
    ],
)
def test_the_operator_may_not_do_what_it_does_not_need(
    installation: Installation, verb: str, group: str, resource: str
) -> None:
    assert not installation.may(verb, group, resource)


@pytest.mark.parametrize(
    ("verb", "group", "resource"),
    [
        *(
            (verb, "luna.dev", resource)
            for resource in ("accounts", "tiers")
            for verb in ("get", "list", "watch", "patch")
        ),
        *(("patch", "luna.dev", f"{resource}/status") for resource in ("accounts", "tiers")),
        # Where OwnerReferencesPermissionEnforcement is on, blockOwnerDeletion in the Secrets asks for it.
        ("update", "luna.dev", "accounts/finalizers"),
        *((verb, "", "secrets") for verb in ("get", "list", "create", "patch")),
        ("create", "events.k8s.io", "events"),
    ],
)
def test_the_operator_may_do_in_any_namespace_what_it_needs(
    installation: Installation, verb: str, group: str, resource: str
) -> None:
    assert installation.may(verb, group, resource)


def test_a_right_that_is_missing_is_told_and_the_work_goes_on_when_it_is_given(
    installation: Installation, make: Make
) -> None:
    with installation.without_right_to("secrets"):
        team = make()
        told = team.condition("KeyIssued", "False", "Forbidden")
        assert 'cannot create resource "secrets"' in told["message"]
        assert "rights that docs/operator.md lists" in told["message"]
        assert conditions(team.status())["DatabaseSynced"]["status"] == "True"
        assert forbidden(installation.operator).keys() >= {"create secrets 403"}
    team.ready()
    assert team.call().status_code == 200
    assert len([key for key in team.issued() if key["revoked_at"] is None]) == 1
