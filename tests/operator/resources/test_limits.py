"""What holds for an account: its own fields, else its Tier's, else Luna's."""

from dataclasses import fields
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_operator.resources.limits import DEFAULTS, Limits, effective
from luna_store.grants import Grants
from luna_store.limits import LIMITS, Limit
from luna_store.quota.windows import QuotaWindow

# The place of each field in a spec, and two values of it.
PLACES: dict[str, tuple[tuple[str, ...], object, object]] = {
    "quota_limit": (("quota", "limit"), 7, 0),
    "quota_window": (("quota", "window"), QuotaWindow.DAY, QuotaWindow.MONTH),
    "rate_per_second": (("rateLimit", "requestsPerSecond"), 0.5, 20.0),
    "rate_burst": (("rateLimit", "burst"), 60, 200),
}
# Those that are merged by name.
BY_NAME = ("allowed", "limits")


def spec_of(field: str, value: object) -> dict[str, Any]:
    parent, last = PLACES[field][0]
    return {parent: {last: value}}


def test_every_field_has_a_place() -> None:
    assert [*PLACES, *BY_NAME] == [field.name for field in fields(Limits)]


@pytest.mark.parametrize("field", PLACES)
def test_a_field_is_read_from_its_place_and_leaves_the_others_open(field: str) -> None:
    _, value, _ = PLACES[field]
    assert Limits.parse(spec_of(field, value)) == Limits(**{field: value})


@pytest.mark.parametrize("field", PLACES)
def test_the_account_wins_over_the_tier_and_the_tier_over_luna(field: str) -> None:
    _, own, tiers = PLACES[field]
    account, tier = Limits(**{field: own}), Limits(**{field: tiers})
    merged = [effective(Limits(), None), effective(Limits(), tier), effective(account, tier), effective(account, None)]
    assert [getattr(limits, field) for limits in merged] == [getattr(DEFAULTS, field), tiers, own, own]


def test_without_an_account_or_a_tier_that_says_anything_lunas_own_hold() -> None:
    limits = effective(Limits(), None)
    assert (limits.quota_limit, limits.quota_window) == (500, "Lifetime")
    assert (limits.rate_per_second, limits.rate_burst, limits.allowed) == (50, 100, {"*": ["*"]})
    assert limits.limits == {}


def test_a_quota_of_nothing_is_a_quota() -> None:
    assert effective(Limits(quota_limit=0), Limits(quota_limit=7)).quota_limit == 0


def test_models_are_a_set_and_replace_the_tiers() -> None:
    own = Limits.parse({"allowedModels": ["local_level", "arima"]})
    assert own == Limits.parse({"allowedModels": ["arima", "local_level"]})
    tier = Limits.parse({"allowedModels": ["*"]})
    assert effective(own, tier).allowed == {"kalman": ["arima", "local_level"], "*": ["*"]}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_limit_is_the_accounts_else_the_tiers_else_absent(limit: Limit) -> None:
    account, tier = (Limits.parse({"limits": {limit.field: value}}) for value in (3, 7))
    assert account == Limits(limits={limit.name: 3})
    merged = [effective(Limits(), None), effective(Limits(), tier), effective(account, tier), effective(account, None)]
    assert [each.limits.get(limit.name) for each in merged] == [None, 7, 3, 3]


OPEN, CLOSED = {"*": ["*"]}, {}
ARIMA, LEVEL, SMA = ["arima"], ["local_level"], ["sma"]


@pytest.mark.parametrize(
    ("account", "tier", "allowed"),
    [
        ({}, {}, OPEN),
        # The alias narrows models, and nothing else.
        ({"allowedModels": ARIMA}, {}, {"kalman": ARIMA} | OPEN),
        ({}, {"allowedModels": ARIMA}, {"kalman": ARIMA} | OPEN),
        ({"allowedModels": ["*"]}, {"allowedModels": ARIMA}, OPEN),
        # A list of capabilities closes those that it leaves out.
        ({"allowed": {"kalman": ARIMA}}, {}, {"kalman": ARIMA}),
        ({}, {"allowed": {"indicators": SMA}}, {"indicators": SMA}),
        ({"allowed": {"kalman": ARIMA, "*": ["*"]}}, {}, {"kalman": ARIMA} | OPEN),
        ({"allowed": {"*": ["*"]}}, {"allowed": {"kalman": ARIMA}}, {"kalman": ARIMA} | OPEN),
        # Capability by capability the Account's list wins, whichever way either is written.
        (
            {"allowed": {"kalman": ARIMA}},
            {"allowed": {"kalman": LEVEL, "indicators": SMA}},
            {"kalman": ARIMA, "indicators": SMA},
        ),
        ({"allowedModels": ARIMA}, {"allowed": {"kalman": LEVEL}}, {"kalman": ARIMA}),
        ({"allowedModels": ARIMA}, {"allowed": {"indicators": SMA}}, {"kalman": ARIMA, "indicators": SMA}),
        ({"allowed": {"indicators": SMA}}, {"allowedModels": ARIMA}, {"kalman": ARIMA, "indicators": SMA}),
        ({"allowedModels": ARIMA, "allowed": {"indicators": SMA}}, {}, {"kalman": ARIMA, "indicators": SMA}),
        # An empty list closes one.
        ({"allowed": {"indicators": []}}, {"allowed": {"indicators": ["*"]}}, {"indicators": []}),
    ],
)
def test_what_is_allowed_of_capabilities(
    account: dict[str, Any], tier: dict[str, Any], allowed: dict[str, list[str]]
) -> None:
    merged = effective(Limits.parse(account), Limits.parse(tier)).allowed
    # An empty list and no entry are the same where nothing else is open.
    without = {name: names for name, names in merged.items() if names or "*" in merged}
    assert without == {name: names for name, names in allowed.items() if names or "*" in allowed}


def test_models_that_are_listed_twice_are_refused_with_the_cure() -> None:
    with pytest.raises(ValueError, match=r"spec.allowed: lists kalman, and so does allowedModels: write one of them"):
        Limits.parse({"allowedModels": ["arima"], "allowed": {"kalman": ["arima"]}})


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ({}, "spec.allowed: names no capability"),
        ({"kalman": "arima"}, "spec.allowed.kalman: must be a list of names, not 'arima'."),
        ({"kalman": [1]}, r"spec.allowed.kalman: must be a list of names, not \[1\]."),
        ("kalman", "spec.allowed must be an object, not 'kalman'."),
    ],
)
def test_what_is_no_list_of_capabilities_is_refused(allowed: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Limits.parse({"allowed": allowed})


@pytest.mark.parametrize(
    ("account", "tier", "rate", "burst"),
    [
        (Limits(rate_per_second=300.0), None, 300, 300),
        (Limits(rate_per_second=150.5), None, 150.5, 151),
        (Limits(rate_burst=5), Limits(rate_per_second=20.0), 20, 20),
        (Limits(rate_per_second=20.0), Limits(rate_burst=5), 20, 20),
        (Limits(rate_per_second=0.001), Limits(rate_burst=1), 0.001, 1),
        (Limits(rate_per_second=20.0, rate_burst=20), None, 20, 20),
    ],
)
def test_a_burst_that_does_not_fit_the_rate_is_raised_to_it(
    account: Limits, tier: Limits | None, rate: float, burst: int
) -> None:
    limits = effective(account, tier)
    assert (limits.rate_per_second, limits.rate_burst) == (rate, burst)


some_names = st.dictionaries(st.sampled_from(["kalman", "indicators", "*"]), st.sampled_from([("*",), ("arima",), ()]))
some_limits = st.builds(
    Limits,
    **{field: st.none() | st.sampled_from([one, another]) for field, (_, one, another) in PLACES.items()},
    allowed=st.builds(Grants, some_names, st.booleans()),
    limits=st.dictionaries(st.sampled_from([limit.name for limit in LIMITS]), st.integers(1, 9)),
)


@given(some_limits, st.none() | some_limits)
def test_limits_are_merged_field_by_field(account: Limits, tier: Limits | None) -> None:
    merged = effective(account, tier)
    for field in PLACES:
        said = [getattr(limits, field) for limits in (account, tier or Limits(), DEFAULTS)]
        first = next((value for value in said if value is not None), None)
        raised = max(first, ceil(merged.rate_per_second)) if field == "rate_burst" else first
        assert getattr(merged, field) == raised
    assert merged.limits == {**(tier or Limits()).limits, **account.limits}


@given(some_limits, some_limits, some_limits)
def test_merging_is_associative_and_saying_nothing_changes_nothing(a: Limits, b: Limits, c: Limits) -> None:
    assert a.over(b).over(c) == a.over(b.over(c))
    assert a.over(Limits()) == Limits().over(a) == a
