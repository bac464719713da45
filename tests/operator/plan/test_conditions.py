"""What an account's conditions say, and when their times move."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.operator.plan.accounts import DAY, NOW, STRANGER, account, holds, key, settled, tier, unmade
from tests.operator.plan.observations import observations

from luna_operator.plan.conditions import Condition, conditions_of, render
from luna_operator.plan.decide import decide
from luna_operator.plan.observation import ABSENT, Observation
from luna_operator.plan.obstacles import Obstacle, Stage, name_taken, secret_conflict, unavailable

TYPES = ["Ready", "DatabaseSynced", "QuotaSynced", "KeyIssued", "Suspended", "Expired", "QuotaExhausted"]


def shown(seen: Observation, obstacle: Obstacle | None = None) -> dict[str, Condition]:
    return {condition.type: condition for condition in conditions_of(seen, obstacle)}


def statuses(seen: Observation, obstacle: Obstacle | None = None) -> str:
    """One letter a condition, in the order of TYPES."""
    return "".join(shown(seen, obstacle)[kind].status[0] for kind in TYPES)


@settings(deadline=None)
@given(observations())
def test_every_condition_is_always_there_with_a_reason_and_a_message(seen: Observation) -> None:
    conditions = conditions_of(seen, decide(seen).obstacle)
    assert [condition.type for condition in conditions] == TYPES
    for condition in conditions:
        assert condition.status in {"True", "False"}
        assert condition.reason.isidentifier()
        assert condition.message


@settings(deadline=None)
@given(observations())
def test_ready_is_true_exactly_if_all_is_synced_and_nothing_stops_the_account(seen: Observation) -> None:
    obstacle = decide(seen).obstacle
    told = shown(seen, obstacle)
    synced = all(told[stage].status == "True" for stage in Stage)
    stopped = told["Suspended"].status == "True" or told["Expired"].status == "True"
    assert (told["Ready"].status == "True") == (obstacle is None and synced and not stopped)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (settled(), "TTTTFFF"),
        (unmade(), "FFFFFFF"),
        (settled(secret=ABSENT), "FTTFFFF"),
        (settled(secret=holds(None)), "FTTFFFF"),
        (settled(row_changes={"cache_stale": True}), "FTFTFFF"),
        (settled(account({"suspended": True})), "FTTTTFF"),
        (settled(account({"expiresAt": "2026-11-21T09:00:00Z"})), "FTTTFTF"),
        (settled(account({"expiresAt": "2026-11-21T09:00:01Z"})), "TTTTFFF"),
        (settled(row_changes={"quota_used": 499}), "TTTTFFF"),
        (settled(row_changes={"quota_used": 500}), "TTTTFFT"),
    ],
    ids=[
        "settled",
        "nothing made yet",
        "no Secret",
        "a Secret without its key",
        "Redis not told yet",
        "suspended",
        "expires now",
        "expires in a second",
        "one unit left",
        "nothing left",
    ],
)
def test_conditions_say_what_is_seen(seen: Observation, expected: str) -> None:
    assert statuses(seen) == expected


def test_ready_tells_of_the_first_thing_that_is_missing() -> None:
    ready = shown(settled(secret=ABSENT))["Ready"]
    assert (ready.reason, ready.message) == ("Pending", "KeyIssued: Not there yet.")


@pytest.mark.parametrize("stage", Stage)
def test_a_problem_stands_at_its_stage_and_at_ready_in_the_same_words(stage: Stage) -> None:
    told = shown(settled(), Obstacle(stage, "Why", "What to do."))
    for kind in ("Ready", stage):
        assert (told[kind].status, told[kind].reason, told[kind].message) == ("False", "Why", "What to do.")


@pytest.mark.parametrize(
    "obstacle",
    [
        decide(unmade(account({"tier": "pro"}))).obstacle,
        secret_conflict("acme-luna-key"),
        name_taken("team-acme/acme", 7),
        unavailable(Stage.QUOTA, "Redis", "connection refused"),
    ],
    ids=lambda obstacle: obstacle.reason,
)
def test_a_problems_message_is_a_sentence_that_ends(obstacle: Obstacle) -> None:
    assert obstacle.message[0].isupper()
    assert obstacle.message.endswith((".", "it does."))


def test_a_problem_outweighs_a_suspension() -> None:
    """It is what has to be mended; the suspension has a condition of its own."""
    told = shown(settled(account({"suspended": True}), secret=STRANGER), secret_conflict("acme-luna-key"))
    assert (told["Ready"].reason, told["Suspended"].status) == ("SecretConflict", "True")


def test_an_exhausted_window_that_ended_exhausts_nothing() -> None:
    daily = account({"quota": {"limit": 7, "window": "Day"}})
    midnight = NOW.replace(hour=0)
    used_up = settled(daily, row_changes={"quota_used": 7, "window_started_at": midnight})
    assert shown(used_up)["QuotaExhausted"].status == "True"
    assert shown(replace(used_up, now=midnight + DAY))["QuotaExhausted"].status == "False"


def test_the_message_of_an_exhausted_quota_says_what_helps() -> None:
    lifetime = settled(row_changes={"quota_used": 500})
    daily = settled(account({"quota": {"window": "Day"}}), row_changes={"quota_used": 500, "window_started_at": NOW})
    messages = [shown(seen)["QuotaExhausted"].message for seen in (lifetime, daily)]
    assert messages == [
        "All 500 units are used; calls are answered 429 until spec.quota.limit is raised.",
        "All 500 units are used; calls are answered 429 until the window ends.",
    ]


def test_a_key_beside_its_successor_is_issued_while_the_secret_holds_the_successor() -> None:
    retiring = key("luna_Older000", age=2 * DAY, expires_at=NOW + DAY)
    assert statuses(settled(None, key(), retiring)) == "TTTTFFF"
    assert statuses(settled(None, key(), retiring, secret=holds("luna_Older000"))) == "FTTFFFF"


def test_a_tier_that_is_missing_is_told_though_the_row_is_there() -> None:
    lost = settled(account({"tier": "pro"}))
    told = shown(lost, decide(lost).obstacle)
    assert (told["DatabaseSynced"].reason, told["Ready"].reason) == ("TierNotFound", "TierNotFound")
    found = replace(lost, tier=tier())
    assert statuses(found, decide(found).obstacle) == "TTTTFFF"


some_conditions = st.lists(
    st.builds(Condition, st.sampled_from(TYPES), st.sampled_from(["True", "False"]), st.sampled_from("AB"), st.text()),
    unique_by=lambda condition: condition.type,
)


@given(some_conditions, some_conditions, st.timedeltas(timedelta(), timedelta(days=400)))
def test_a_time_moves_with_the_status_and_with_nothing_else(
    first: list[Condition], second: list[Condition], passed: timedelta
) -> None:
    before = render(first, [], 1, NOW)
    after = render(second, before, 2, NOW + passed)
    old = {condition["type"]: condition for condition in before}
    moved = (NOW + passed).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [condition["type"] for condition in after] == [condition.type for condition in second]
    for condition in after:
        same = old.get(condition["type"], {}).get("status") == condition["status"]
        assert condition["lastTransitionTime"] == (old[condition["type"]]["lastTransitionTime"] if same else moved)
        assert condition["observedGeneration"] == 2


@pytest.mark.parametrize("left_over", [[{}], [{"type": "Ready"}], [{"type": "Ready", "status": "True"}]], ids=str)
def test_a_condition_that_somebody_mutilated_is_written_anew(left_over: list[dict[str, Any]]) -> None:
    [rendered] = render([Condition("Ready", "True", "Ready", "Well.")], left_over, 1, NOW)
    assert rendered["lastTransitionTime"] == "2026-11-21T09:00:00Z"
