"""What holds for an account: its own fields, else its Tier's, else Luna's."""

from dataclasses import fields
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_operator.resources.limits import DEFAULTS, Limits, effective
from luna_store.quota.windows import QuotaWindow

# Where each field stands in a spec, and two values of it.
PLACES: dict[str, tuple[tuple[str, ...], object, object]] = {
    "quota_limit": (("quota", "limit"), 7, 0),
    "quota_window": (("quota", "window"), QuotaWindow.DAY, QuotaWindow.MONTH),
    "rate_per_second": (("rateLimit", "requestsPerSecond"), 0.5, 20.0),
    "rate_burst": (("rateLimit", "burst"), 60, 200),
    "allowed_models": (("allowedModels",), ("arima",), ("arima", "local_level")),
    "max_series_length": (("limits", "maxSeriesLength"), 100, 1),
    "max_series_per_request": (("limits", "maxSeriesPerRequest"), 3, 1),
    "history_days": (("limits", "historyDays"), 30, 1),
}


def spec_of(field: str, value: object) -> dict[str, Any]:
    *parents, last = PLACES[field][0]
    leaf = {last: list(value) if isinstance(value, tuple) else value}
    return {parents[0]: leaf} if parents else leaf


def test_every_field_has_a_place() -> None:
    assert list(PLACES) == [field.name for field in fields(Limits)]


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
    assert (limits.rate_per_second, limits.rate_burst, limits.allowed_models) == (50, 100, ("*",))
    assert (limits.max_series_length, limits.max_series_per_request, limits.history_days) == (None, None, None)


def test_a_quota_of_nothing_is_a_quota() -> None:
    assert effective(Limits(quota_limit=0), Limits(quota_limit=7)).quota_limit == 0


def test_models_are_a_set_and_replace_the_tiers() -> None:
    own = Limits.parse({"allowedModels": ["local_level", "arima"]})
    assert own == Limits.parse({"allowedModels": ["arima", "local_level"]})
    assert effective(own, Limits(allowed_models=("*",))).allowed_models == ("arima", "local_level")


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


some_limits = st.builds(
    Limits,
    **{field: st.none() | st.sampled_from([one, another]) for field, (_, one, another) in PLACES.items()},
)


@given(some_limits, st.none() | some_limits)
def test_limits_are_merged_field_by_field(account: Limits, tier: Limits | None) -> None:
    merged = effective(account, tier)
    for field in PLACES:
        said = [getattr(limits, field) for limits in (account, tier or Limits(), DEFAULTS)]
        first = next((value for value in said if value is not None), None)
        raised = max(first, ceil(merged.rate_per_second)) if field == "rate_burst" else first
        assert getattr(merged, field) == raised


@given(some_limits, some_limits, some_limits)
def test_merging_is_associative_and_saying_nothing_changes_nothing(a: Limits, b: Limits, c: Limits) -> None:
    assert a.over(b).over(c) == a.over(b.over(c))
    assert a.over(Limits()) == Limits().over(a) == a
