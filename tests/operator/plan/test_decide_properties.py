"""Properties of every plan, for any observation."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.operator.plan.accounts import DAY, NOW, account, key, settled
from tests.operator.plan.observations import observations
from tests.operator.plan.taking import later, take_all

from luna_operator.plan.conditions import conditions_of
from luna_operator.plan.decide import decide, wake_at
from luna_operator.plan.observation import ABSENT, Observation, Ownership
from luna_operator.plan.obstacles import Stage
from luna_operator.plan.steps import (
    AddFinalizer,
    ApplyMembers,
    ApplyRow,
    ConfirmKey,
    EndAccount,
    IssueKey,
    RebuildCache,
    RemoveFinalizer,
    WriteSecret,
)

ORDER = (
    AddFinalizer,
    ApplyRow,
    ApplyMembers,
    ConfirmKey,
    IssueKey,
    WriteSecret,
    RebuildCache,
    EndAccount,
    RemoveFinalizer,
)
SECOND = timedelta(seconds=1)
examples = settings(max_examples=150, deadline=None)


@examples
@given(observations())
def test_after_the_steps_were_taken_there_are_none(seen: Observation) -> None:
    plan = decide(seen)
    event(" ".join(type(step).__name__ for step in plan.steps) or "nothing")
    after = decide(take_all(seen, plan.steps))
    assert after.steps == ()
    assert after.obstacle == plan.obstacle


@examples
@given(observations())
def test_a_plan_takes_each_kind_of_step_once_and_in_order(seen: Observation) -> None:
    places = [ORDER.index(type(step)) for step in decide(seen).steps]
    assert places == sorted(set(places))


@examples
@given(observations())
def test_a_strangers_secret_is_never_written(seen: Observation) -> None:
    stranger = replace(seen, secret=replace(ABSENT, ownership=Ownership.STRANGER))
    assert not [step for step in decide(stranger).steps if isinstance(step, IssueKey | ConfirmKey | WriteSecret)]


@examples
@given(observations())
def test_a_deleted_account_is_ended_and_let_go_and_nothing_else(seen: Observation) -> None:
    plan = decide(replace(seen, account=replace(seen.account, deleting=True)))
    assert [type(step) for step in plan.steps] in ([], [EndAccount, RemoveFinalizer])
    assert (plan.obstacle, plan.wake_at) == (None, None)


@examples
@given(observations())
def test_nothing_is_made_of_an_account_that_could_vanish_without_us(seen: Observation) -> None:
    steps = decide(seen).steps
    assert not steps or seen.account.finalized or isinstance(steps[0], AddFinalizer)


@examples
@given(observations())
def test_what_serving_must_hear_of_reaches_redis(seen: Observation) -> None:
    steps = decide(seen).steps
    if any(isinstance(step, ApplyRow | ApplyMembers | IssueKey | ConfirmKey) for step in steps):
        assert isinstance(steps[-1], RebuildCache)


@examples
@given(observations())
def test_with_nothing_in_the_way_a_plan_leads_to_all_that_ready_asks_for(seen: Observation) -> None:
    plan = decide(seen)
    if seen.account.deleting or plan.obstacle is not None:
        return
    told = {condition.type: condition.status for condition in conditions_of(take_all(seen, plan.steps), None)}
    assert [told[stage] for stage in Stage] == ["True", "True", "True"]


def picture(seen: Observation) -> object:
    """Everything observable of an unchanged account."""
    plan = decide(seen)
    conditions = [(c.type, c.status, c.reason) for c in conditions_of(seen, plan.obstacle)]
    return plan.steps, conditions, seen.row.keys if seen.row else None


@examples
@given(observations(), st.lists(st.floats(0, 0.999999), max_size=5))
def test_an_account_does_not_change_before_it_is_looked_at_again(seen: Observation, moments: list[float]) -> None:
    """A second's grace apart, by which the stores' clocks may be behind."""
    if seen.account.deleting:
        return
    settled_now = take_all(seen, decide(seen).steps)
    wake = wake_at(settled_now)
    until = wake - SECOND - settled_now.now if wake is not None else 1000 * DAY
    assert until > timedelta()
    for part in (*moments, 0.999999):
        assert picture(later(settled_now, until * part)) == picture(settled_now)


@examples
@given(observations())
def test_it_is_looked_at_when_it_has_changed(seen: Observation) -> None:
    """Where nothing is in the way: what waits for somebody else may be looked at too often."""
    settled_now = take_all(seen, decide(seen).steps)
    wake = wake_at(settled_now)
    if seen.account.deleting or decide(seen).obstacle is not None or wake is None:
        return
    assert wake > settled_now.now
    assert picture(later(settled_now, wake - settled_now.now)) != picture(settled_now)


def test_an_account_that_never_changes_by_itself_is_not_woken() -> None:
    assert decide(settled(account({"apiKey": {"rotationInterval": "0s"}}))).wake_at is None


def test_of_several_changes_the_next_one_wakes() -> None:
    spec = {"expiresAt": "2026-12-24T00:00:00Z", "apiKey": {"rotationInterval": "48h"}}
    retiring = key("luna_Older000", age=3 * DAY, expires_at=NOW + timedelta(minutes=5))
    at = [decide(settled(account(spec), *keys)).wake_at for keys in ([key(), retiring], [key()], [key(age=0 * DAY)])]
    assert at == [NOW + timedelta(minutes=5) + SECOND, NOW + DAY + SECOND, NOW + 2 * DAY + SECOND]


def test_an_exhausted_account_wakes_when_its_window_ends_and_another_does_not() -> None:
    daily = account({"quota": {"limit": 7, "window": "Day"}, "apiKey": {"rotationInterval": "0s"}})
    midnight = NOW.replace(hour=0)
    never = account({"quota": {"limit": 0, "window": "Day"}, "apiKey": {"rotationInterval": "0s"}})
    assert decide(settled(never, row_changes={"window_started_at": midnight})).wake_at is None
    wakes = [
        decide(settled(daily, row_changes={"quota_used": used, "window_started_at": midnight})).wake_at
        for used in (6, 7, 8)
    ]
    assert wakes == [None, midnight + DAY + SECOND, midnight + DAY + SECOND]
