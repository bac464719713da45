"""Which steps an account needs: one observation, one plan."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.operator.plan.accounts import (
    CURRENT,
    DAY,
    HOUR,
    NOW,
    OLDER,
    PENDING,
    STRANGER,
    UID,
    account,
    deleted,
    holds,
    key,
    row_of,
    settled,
    tier,
    unmade,
)

from luna_operator.plan.decide import AccountPlan, decide
from luna_operator.plan.observation import ABSENT, Observation
from luna_operator.plan.steps import (
    AddFinalizer,
    ApplyMembers,
    ApplyRow,
    ConfirmKey,
    EndAccount,
    IssueKey,
    RebuildCache,
    RemoveFinalizer,
    Step,
    Why,
    WriteSecret,
)
from luna_operator.resources.account import AccountResource
from luna_store.accounts.provisioning import DesiredAccount
from luna_store.people.roles import Role
from luna_store.quota.windows import QuotaWindow

REQUESTED = "2026-11-20T12:00:00Z"
REQUESTED_AT = NOW.replace(day=20, hour=12)


def requesting(at: str | None) -> AccountResource:
    return account({"apiKey": {"rotationRequestedAt": at}})


def every(interval: str, overlap: str = "24h") -> AccountResource:
    return account({"apiKey": {"rotationInterval": interval, "rotationOverlap": overlap}})


def kinds(seen: Observation) -> list[type[Step]]:
    return [type(step) for step in decide(seen).steps]


def reason_for_a_key(seen: Observation) -> Why | None:
    issued = [step for step in decide(seen).steps if isinstance(step, IssueKey)]
    assert len(issued) <= 1
    return issued[0].why if issued else None


def test_a_new_account_is_finalized_before_anything_is_made_outside_kubernetes() -> None:
    seen = unmade(account(finalizers=[]))
    assert decide(seen).steps == (
        AddFinalizer(),
        ApplyRow(seen.desired),
        IssueKey(Why.FIRST, overlap=DAY, requested_at=None),
        RebuildCache(),
    )


def test_an_account_that_is_as_specified_needs_nothing() -> None:
    assert decide(settled()) == AccountPlan((), None, NOW + timedelta(hours=2160) - DAY + timedelta(seconds=1))


def test_another_ones_finalizer_is_not_ours() -> None:
    assert kinds(settled(account(finalizers=["example.com/other"]))) == [AddFinalizer]


@pytest.mark.parametrize(
    "drift",
    [
        {"account_name": "team/other"},
        {"display_name": "Other"},
        {"tier": "gold"},
        {"state": "suspended"},
        {"state": "revoked"},
        {"quota_limit": 7},
        {"quota_window": QuotaWindow.DAY},
        {"rate_per_second": 7.0},
        {"rate_burst": 7},
        {"allowed": {"kalman": ["arima"]}},
        {"expires_at": NOW},
        {"limits": {"max_series_length": 7}},
        {"limits": {"max_series_per_request": 7}},
        {"limits": {"history_days": 7}},
    ],
    ids=lambda drift: next(iter(drift)),
)
def test_a_row_that_differs_in_one_column_is_written_and_carried_to_redis(drift: dict[str, object]) -> None:
    seen = settled(row_changes=drift)
    assert decide(seen).steps == (ApplyRow(seen.desired), RebuildCache())


@pytest.mark.parametrize("untold", [{"quota_used": 499}, {"id": 1}], ids=str)
def test_what_the_resource_does_not_say_is_no_difference(untold: dict[str, object]) -> None:
    assert decide(settled(row_changes=untold)).steps == ()


@pytest.mark.parametrize("behind", [{"cache_drifted": True}, {"row_changes": {"cache_stale": True}}], ids=str)
def test_redis_that_drifted_or_was_not_told_is_rebuilt_and_nothing_else(behind: dict[str, object]) -> None:
    assert decide(settled(**behind)).steps == (RebuildCache(),)


def test_models_in_another_order_are_no_difference() -> None:
    seen = settled(account({"allowedModels": ["arima", "local_level"]}))
    assert decide(replace(seen, account=account({"allowedModels": ["local_level", "arima"]}))).steps == ()


class TestKeys:
    """A key is issued for one of four reasons, or not at all."""

    def test_an_account_without_a_live_key_gets_its_first(self) -> None:
        seen = settled()
        assert seen.row is not None
        without = replace(seen, row=row_of(seen.desired), secret=holds(None))
        assert reason_for_a_key(without) is Why.FIRST

    @pytest.mark.parametrize("secret", [ABSENT, holds(None), holds(None, in_order=False)], ids=str)
    def test_a_secret_that_is_gone_or_holds_no_live_key_gets_a_new_one(self, secret: object) -> None:
        """Edited, deleted, or with a key under a pepper that the operator does not know: none holds a known key."""
        assert reason_for_a_key(settled(secret=secret)) is Why.REPAIR

    def test_a_secret_that_holds_a_retiring_key_gets_a_new_one(self) -> None:
        retiring = key(OLDER, age=2 * DAY, expires_at=NOW + HOUR)
        assert reason_for_a_key(settled(None, key(), retiring, secret=holds(OLDER))) is Why.REPAIR

    def test_a_pending_key_that_the_secret_holds_is_confirmed(self) -> None:
        pending = key(PENDING, age=HOUR, pending=True, expires_at=NOW + 23 * HOUR)
        seen = settled(None, pending, key(), secret=holds(PENDING))
        assert decide(seen).steps == (ConfirmKey(PENDING, DAY), RebuildCache())

    def test_the_first_key_is_confirmed_where_the_secret_holds_it(self) -> None:
        pending = key(PENDING, age=HOUR, pending=True, expires_at=NOW + 23 * HOUR)
        assert kinds(settled(None, pending, secret=holds(PENDING))) == [ConfirmKey, RebuildCache]

    @pytest.mark.parametrize("secret", [ABSENT, holds(None)], ids=str)
    def test_a_pending_key_that_nobody_holds_is_replaced(self, secret: object) -> None:
        pending = key(PENDING, age=HOUR, pending=True, expires_at=NOW + 23 * HOUR)
        assert reason_for_a_key(settled(None, pending, secret=secret)) is Why.REPAIR

    def test_a_pending_key_beside_a_secret_with_the_current_key_is_left_to_end(self) -> None:
        pending = key(PENDING, age=HOUR, pending=True, expires_at=NOW + 23 * HOUR)
        assert decide(settled(None, pending, key())).steps == ()

    def test_a_confirmed_key_that_is_due_already_is_replaced_in_the_same_pass(self) -> None:
        pending = key(PENDING, age=HOUR, pending=True, expires_at=NOW + 23 * HOUR)
        seen = settled(requesting(REQUESTED), pending, key(), secret=holds(PENDING))
        issued = IssueKey(Why.REQUESTED, DAY, REQUESTED_AT)
        assert decide(seen).steps == (ConfirmKey(PENDING, DAY), issued, RebuildCache())

    def test_a_confirmed_key_whose_secret_is_not_in_order_is_written_anew_in_the_same_pass(self) -> None:
        pending = key(PENDING, age=HOUR, pending=True, expires_at=NOW + 23 * HOUR)
        seen = settled(None, pending, key(), secret=holds(PENDING, in_order=False))
        assert kinds(seen) == [ConfirmKey, WriteSecret, RebuildCache]

    def test_a_secret_with_the_right_key_but_the_wrong_url_or_label_keeps_its_key(self) -> None:
        assert decide(settled(secret=holds(CURRENT, in_order=False))).steps == (WriteSecret(),)

    @pytest.mark.parametrize(
        ("wanted", "last", "reason"),
        [
            (None, None, None),
            (None, REQUESTED_AT, None),
            (REQUESTED, REQUESTED_AT, None),
            ("2026-11-20T14:00:00+02:00", REQUESTED_AT, None),
            (REQUESTED, None, Why.REQUESTED),
            (REQUESTED, REQUESTED_AT + HOUR, Why.REQUESTED),
            (REQUESTED, REQUESTED_AT - HOUR, Why.REQUESTED),
        ],
        ids=["never", "withdrawn", "same", "same in another zone", "first", "earlier than before", "later than before"],
    )
    def test_each_new_request_is_answered_once(self, wanted: str | None, last: object, reason: Why | None) -> None:
        assert reason_for_a_key(settled(requesting(wanted), key(rotation_requested_at=last))) is reason

    def test_a_first_key_answers_the_request_that_came_with_the_account(self) -> None:
        [issued] = [step for step in decide(unmade(requesting(REQUESTED))).steps if isinstance(step, IssueKey)]
        assert issued == IssueKey(Why.FIRST, DAY, REQUESTED_AT)

    @pytest.mark.parametrize(
        ("interval", "age", "reason"),
        [
            ("720h", timedelta(hours=720), Why.INTERVAL),
            ("720h", timedelta(hours=720) - timedelta(microseconds=1), None),
            ("720h", timedelta(hours=720) + timedelta(microseconds=1), Why.INTERVAL),
            ("1m", timedelta(seconds=60), Why.INTERVAL),
            ("0s", timedelta(days=10_000), None),
        ],
    )
    def test_a_key_lives_for_the_interval_and_no_longer(
        self, interval: str, age: timedelta, reason: Why | None
    ) -> None:
        assert reason_for_a_key(settled(every(interval, "0s"), key(age=age))) is reason

    def test_the_overlap_is_the_accounts(self) -> None:
        [issued] = [
            step for step in decide(settled(every("1h", "10m"), key())).steps if isinstance(step, IssueKey | ConfirmKey)
        ]
        assert issued == IssueKey(Why.INTERVAL, timedelta(minutes=10), None)

    def test_a_suspended_or_expired_account_keeps_a_key_in_its_secret(self) -> None:
        stopped = account({"suspended": True, "expiresAt": "2026-01-01T00:00:00Z"})
        assert reason_for_a_key(settled(stopped, secret=ABSENT)) is Why.REPAIR


class TestInTheWay:
    """Obstacles are reported, and take nothing away."""

    def test_a_strangers_secret_is_left_alone_while_the_row_is_kept_as_specified(self) -> None:
        seen = settled(secret=STRANGER, row_changes={"quota_limit": 7})
        plan = decide(seen)
        assert plan.steps == (ApplyRow(seen.desired), RebuildCache())
        assert plan.obstacle is not None
        assert (plan.obstacle.stage, plan.obstacle.reason) == ("KeyIssued", "SecretConflict")
        assert "'acme-luna-key'" in plan.obstacle.message

    def test_a_strangers_secret_does_not_end_the_keys_that_are_out(self) -> None:
        due = settled(every("1m", "0s"), key(age=HOUR), secret=STRANGER)
        assert decide(due).steps == ()

    def test_a_missing_tier_changes_nothing_that_held(self) -> None:
        lost = settled(account({"tier": "pro"}), secret=ABSENT, cache_drifted=True, row_changes={"quota_limit": 7})
        plan = decide(lost)
        assert plan.steps == ()
        assert plan.obstacle is not None
        assert (plan.obstacle.stage, plan.obstacle.reason) == ("DatabaseSynced", "TierNotFound")
        assert "'pro'" in plan.obstacle.message

    @pytest.mark.parametrize(
        "spec", [{"quota": {"limit": 2**31}}, {"rateLimit": {"requestsPerSecond": 0.0001}}], ids=str
    )
    def test_a_spec_that_no_row_can_hold_is_told_and_takes_nothing_away(self, spec: dict[str, object]) -> None:
        """It was stored before the schema refused it."""
        plan = decide(replace(settled(), account=account(spec, finalizers=[])))
        assert plan.steps == (AddFinalizer(),)
        assert plan.obstacle is not None
        assert (plan.obstacle.stage, plan.obstacle.reason) == ("DatabaseSynced", "InvalidSpec")
        assert "CustomResourceDefinition" in plan.obstacle.message

    def test_an_account_of_a_missing_tier_is_finalized_all_the_same(self) -> None:
        assert kinds(unmade(account({"tier": "pro"}, finalizers=[]))) == [AddFinalizer]

    def test_every_limit_reaches_the_row(self) -> None:
        limits = {"maxSeriesLength": 100, "maxSeriesPerRequest": 3, "historyDays": 30}
        given = {"quota": {"limit": 7, "window": "Day"}, "rateLimit": {"requestsPerSecond": 2.5, "burst": 9}}
        named = {"displayName": "Acme", "allowedModels": ["arima"], "expiresAt": "2027-01-31T00:00:00Z"}
        stopped = account({**given, **named, "limits": limits, "suspended": True})
        [desired] = [step.desired for step in decide(unmade(stopped)).steps if isinstance(step, ApplyRow)]
        assert desired == DesiredAccount(
            uid=UID,
            account_name="team-acme/acme",
            display_name="Acme",
            state="suspended",
            quota_limit=7,
            quota_window=QuotaWindow.DAY,
            rate_per_second=2.5,
            rate_burst=9,
            allowed={"kalman": ["arima"], "*": ["*"]},
            expires_at=NOW.replace(year=2027, month=1, day=31, hour=0),
            limits={"max_series_length": 100, "max_series_per_request": 3, "history_days": 30},
        )

    def test_a_tier_that_is_there_gives_what_the_account_leaves_out(self) -> None:
        seen = unmade(account({"tier": "pro", "quota": {"limit": 7}}), tier=tier({"quota": {"window": "Month"}}))
        [desired] = [step.desired for step in decide(seen).steps if isinstance(step, ApplyRow)]
        assert (desired.quota_limit, desired.quota_window, desired.tier) == (7, QuotaWindow.MONTH, "pro")


class TestDeletion:
    """A deleted account is ended, and nothing else."""

    @pytest.mark.parametrize(("policy", "retain"), [({}, True), ({"deletionPolicy": "Delete"}, False)])
    def test_it_is_ended_as_its_policy_says_and_then_let_go(self, policy: dict[str, str], retain: bool) -> None:
        assert decide(settled(deleted(policy))) == AccountPlan((EndAccount(retain), RemoveFinalizer()))

    def test_one_that_was_let_go_needs_nothing(self) -> None:
        assert decide(settled(deleted(finalizers=["example.com/other"]))) == AccountPlan()

    @pytest.mark.parametrize("seen", [unmade(deleted()), settled(deleted({"tier": "gone"}), secret=STRANGER)])
    def test_neither_a_missing_row_nor_a_missing_tier_nor_a_stranger_holds_it_up(self, seen: Observation) -> None:
        assert kinds(seen) == [EndAccount, RemoveFinalizer]


def test_members_are_applied_after_the_row_and_before_redis_is_rebuilt() -> None:
    seen = unmade(account({"members": [{"email": "ada@example.com", "role": "admin"}]}))
    assert kinds(seen) == [ApplyRow, ApplyMembers, IssueKey, RebuildCache]
    assert ApplyMembers({"ada@example.com": Role.ADMIN}) in decide(seen).steps


@pytest.mark.parametrize(
    "present",
    [
        {},
        {"ada@example.com": Role.VIEWER},
        {"ada@example.com": Role.MEMBER, "eve@example.com": Role.VIEWER},
    ],
    ids=["missing", "another role", "one too many"],
)
def test_members_that_differ_are_made_exact(present: dict[str, Role]) -> None:
    listed = account({"members": [{"email": "ada@example.com"}]})
    assert decide(settled(listed, members=present)).steps == (
        ApplyMembers({"ada@example.com": Role.MEMBER}),
        RebuildCache(),
    )


def test_members_that_are_as_specified_need_nothing() -> None:
    listed = account({"members": [{"email": "ada@example.com"}]})
    assert kinds(settled(listed, members={"ada@example.com": Role.MEMBER})) == []


def test_an_account_without_members_has_those_removed_that_a_resource_gave() -> None:
    assert decide(settled(members={"ada@example.com": Role.ADMIN})).steps == (ApplyMembers({}), RebuildCache())


def test_an_address_that_is_none_is_reported_and_everything_else_is_applied() -> None:
    listed = account({"members": [{"email": "ada@-"}, {"email": "alan@example.com"}], "displayName": "Acme"})
    plan = decide(settled(listed, row_changes={"display_name": "Other"}))
    assert [type(step) for step in plan.steps] == [ApplyRow, ApplyMembers, RebuildCache]
    assert ApplyMembers({"alan@example.com": Role.MEMBER}) in plan.steps
    assert plan.obstacle is not None
    assert plan.obstacle.reason == "InvalidMembers"
    assert "spec.members[0].email: 'ada@-' is no email address" in plan.obstacle.message
    assert "The other members and fields are in effect." in plan.obstacle.message
