"""`luna account create --tier` knows the shipped Tiers, and `--allow` the capabilities."""

import pytest

from luna_serving.commands import account_flags


def test_what_is_given_beside_a_tier_wins_by_capability() -> None:
    tier = account_flags.tier_of("free")
    given = account_flags.allowed([account_flags.allow("indicators=rsi")], None)
    merged = account_flags.over_tier(given, tier)
    assert merged == {
        "kalman": ["local_level", "local_linear_trend"],
        "market": ["server"],
        "indicators": ["rsi"],
    }
    assert account_flags.over_tier(None, tier) == tier["allowed"]
    assert account_flags.over_tier(given, {}) == {"indicators": ["rsi"]}
    assert account_flags.tier_of(None) == {}


def test_an_unknown_tier_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="'gold' is none of the Tiers free, pro, premium"):
        account_flags.tier_of("gold")


def test_an_unknown_capability_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"'indicatr' is no capability: choose from .*indicators.*kalman"):
        account_flags.allow("indicatr=sma")
    assert account_flags.allow("*=*") == ("*", ("*",))


def test_an_unknown_grant_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="'smaa' is nothing that indicators grants: did you mean 'sma'"):
        account_flags.allow("indicators=ema,smaa")
    with pytest.raises(ValueError, match="'RSI' is nothing that indicators grants: did you mean 'rsi'"):
        account_flags.allow("indicators=RSI")
    with pytest.raises(ValueError, match=r"choose from .*server"):
        account_flags.allow("market=zzzzzz")
    assert account_flags.allow("indicators=*") == ("indicators", ("*",))
    assert account_flags.allow("kalman=arima,local_level") == ("kalman", ("arima", "local_level"))
