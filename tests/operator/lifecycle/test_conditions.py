"""Conditions and Events, as the Kubernetes API conventions have them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.operator.lifecycle.team import conditions
from tests.operator.operating import eventually

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation

ALL = ["Ready", "DatabaseSynced", "QuotaSynced", "KeyIssued", "Suspended", "Expired", "QuotaExhausted"]


def next_second() -> datetime:
    """Wait until the clock shows another second, which is what the API's times can tell apart."""
    before = int(time.time())
    return datetime.fromtimestamp(eventually(lambda: (now := int(time.time())) > before and now, pause=0.02), UTC)


def test_every_condition_is_there_from_the_first_status_on(make: Make) -> None:
    team = make().ready()
    found = team.status()["conditions"]
    assert [condition["type"] for condition in found] == ALL
    created = datetime.fromisoformat(team.get()["metadata"]["creationTimestamp"])
    for condition in found:
        assert condition["message"]
        assert condition["reason"].isalnum()
        assert condition["observedGeneration"] == 1
        assert created <= datetime.fromisoformat(condition["lastTransitionTime"]) <= datetime.now(UTC)


def test_a_transition_is_timed_for_the_conditions_that_made_it_and_no_others(make: Make) -> None:
    team = make().ready()
    before = conditions(team.status())
    changed_at = next_second()
    team.patch({"suspended": True}).condition("Ready", "False", "Suspended")
    after = conditions(team.status())
    moved = {kind for kind in ALL if after[kind]["lastTransitionTime"] != before[kind]["lastTransitionTime"]}
    assert moved == {"Ready", "Suspended"} == {k for k in ALL if after[k]["status"] != before[k]["status"]}
    assert datetime.fromisoformat(after["Suspended"]["lastTransitionTime"]) >= changed_at
    assert {condition["observedGeneration"] for condition in after.values()} == {2}


def test_a_change_that_moves_no_condition_moves_only_their_generation(make: Make) -> None:
    team = make().ready()
    before = conditions(team.status())
    next_second()
    team.patch({"displayName": "Acme"}).ready()
    after = conditions(team.status())
    assert after == {kind: condition | {"observedGeneration": 2} for kind, condition in before.items()}


def test_a_label_is_no_change_of_the_spec_and_nothing_is_written(installation: Installation, make: Make) -> None:
    team, other = make().ready(), make(name="other").ready()
    team.patch(labels={"team": "web"})
    labelled = team.get()
    # Taken from the queue after it.
    other.patch({"displayName": "Other"}).ready()
    assert team.get() == labelled


def test_events_are_told_where_people_look(installation: Installation, make: Make) -> None:
    team = make().ready()
    eventually(lambda: team.told()["KeyIssued"])
    described = installation.cluster.kubectl("describe", "account", "acme", "--namespace", team.namespace)
    assert "KeyIssued" in described.partition("Events:")[2]
    [event] = installation.events.list_namespaced_event(team.namespace).items
    assert (event.type, event.action) == ("Normal", "IssueKey")
    assert event.reporting_controller == "luna.dev/luna-operator"
    assert event.regarding.uid == team.get()["metadata"]["uid"]
    assert team.key[:13] in event.note
    assert team.key not in event.note


def test_kubectl_shows_what_one_wants_to_know(installation: Installation, make: Make) -> None:
    team = make({"quota": {"limit": 7}}).ready()
    header, line = installation.cluster.kubectl("get", "lacc", "--namespace", team.namespace).splitlines()
    shown = dict(zip(header.split(), line.split(), strict=False))
    assert (shown["NAME"], shown["READY"], shown["REASON"]) == ("acme", "True", "Ready")
