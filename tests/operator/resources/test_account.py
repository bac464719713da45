"""An Account read from what the API server sends: complete, typed, and refused by the name of a field."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operator.plan.accounts import UID, body

from luna_operator.resources.account import AccountResource, KeyPolicy, format_time, parse_time
from luna_operator.resources.limits import Limits
from luna_operator.resources.names import Key
from luna_operator.resources.tier import TierResource


def parse(spec: dict[str, Any] | None = None, **metadata: Any) -> AccountResource:
    return AccountResource.parse(body(spec, **metadata))


def test_an_account_that_says_nothing_is_complete() -> None:
    nothing = body(generation=3, finalizers=[])
    del nothing["spec"]
    assert AccountResource.parse(nothing) == AccountResource(
        key=Key("team-acme", "acme"),
        uid=UID,
        generation=3,
        resource_version="100",
        deleting=False,
        finalizers=(),
        display_name="",
        tier=None,
        limits=Limits(),
        suspended=False,
        expires_at=None,
        api_key=KeyPolicy("acme-luna-key", timedelta(days=90), timedelta(days=1), None),
        retain=True,
        status={},
    )


def test_every_field_is_read() -> None:
    account = parse(
        {
            "displayName": "Acme Corp",
            "tier": "pro",
            "quota": {"limit": 7},
            "suspended": True,
            "expiresAt": "2027-01-31T01:00:00+01:00",
            "apiKey": {
                "secretName": "other",
                "rotationInterval": "36h30m",
                "rotationOverlap": "90s",
                "rotationRequestedAt": "2026-11-21T09:00:00.25Z",
            },
            "deletionPolicy": "Delete",
        },
        deletionTimestamp="2026-11-21T09:00:00Z",
        finalizers=["example.com/other", "luna.dev/account"],
    )
    assert (account.display_name, account.tier, account.limits.quota_limit) == ("Acme Corp", "pro", 7)
    assert (account.suspended, account.retain, account.deleting, account.finalized) == (True, False, True, True)
    assert account.expires_at == datetime(2027, 1, 31, tzinfo=UTC)
    requested = datetime(2026, 11, 21, 9, 0, 0, 250_000, tzinfo=UTC)
    assert account.api_key == KeyPolicy("other", timedelta(hours=36.5), timedelta(seconds=90), requested)


def test_0s_is_no_interval_but_is_an_overlap() -> None:
    policy = parse({"apiKey": {"rotationInterval": "0s", "rotationOverlap": "0s"}}).api_key
    assert (policy.rotation_interval, policy.rotation_overlap) == (None, timedelta())


@pytest.mark.parametrize("nothing", [{"apiKey": None}, {"suspended": None, "expiresAt": None, "quota": None}], ids=str)
def test_a_null_says_nothing(nothing: dict[str, Any]) -> None:
    assert parse(nothing) == parse()


def test_a_status_speaks_of_its_generation_only() -> None:
    observed = [
        AccountResource.parse({**body(generation=3), "status": status}).observed
        for status in ({}, {"observedGeneration": 2}, {"observedGeneration": 3})
    ]
    assert observed == [False, False, True]


DURATION_CURE = "write hours, minutes and seconds, as in 2160h, 1h30m or 0s."
REFUSED = [
    ({"expiresAt": "soon"}, "spec.expiresAt: 'soon' is no time; write it as 2027-01-31T00:00:00Z."),
    ({"expiresAt": 5}, "spec.expiresAt: 5 is no time; write it as 2027-01-31T00:00:00Z."),
    (
        {"expiresAt": "2027-01-31T00:00:00"},
        "spec.expiresAt: '2027-01-31T00:00:00' has no time zone; write it as 2027-01-31T00:00:00Z.",
    ),
    (
        {"apiKey": {"rotationInterval": "90d"}},
        f"spec.apiKey.rotationInterval: '90d' is no duration; {DURATION_CURE}",
    ),
    (
        {"apiKey": {"rotationOverlap": "-1h"}},
        f"spec.apiKey.rotationOverlap: '-1h' is no duration; {DURATION_CURE}",
    ),
    (
        {"apiKey": {"rotationRequestedAt": "now"}},
        "spec.apiKey.rotationRequestedAt: 'now' is no time; write it as 2027-01-31T00:00:00Z.",
    ),
    ({"apiKey": "luna_x"}, "spec.apiKey must be an object, not 'luna_x'."),
    ({"suspended": "false"}, "spec.suspended: must be true or false, not 'false'."),
    ({"quota": 500}, "spec.quota must be an object, not 500."),
    ({"quota": {"limit": 1.5}}, "spec.quota.limit: must be a whole number, not 1.5."),
    ({"quota": {"limit": "500"}}, "spec.quota.limit: must be a whole number, not '500'."),
    ({"quota": {"limit": True}}, "spec.quota.limit: must be a whole number, not True."),
    ({"quota": {"window": "Week"}}, "spec.quota.window: must be one of Lifetime, Day, Month, not 'Week'."),
    ({"rateLimit": {"requestsPerSecond": "50"}}, "spec.rateLimit.requestsPerSecond: must be a number, not '50'."),
    ({"rateLimit": {"burst": 0.5}}, "spec.rateLimit.burst: must be a whole number, not 0.5."),
    ({"allowedModels": "arima"}, "spec.allowedModels: must be a list of names, not 'arima'."),
    ({"allowedModels": [1]}, "spec.allowedModels: must be a list of names, not [1]."),
    ({"limits": {"maxSeriesLength": "x"}}, "spec.limits.maxSeriesLength: must be a whole number, not 'x'."),
    ({"limits": {"maxSeriesPerRequest": "x"}}, "spec.limits.maxSeriesPerRequest: must be a whole number, not 'x'."),
    ({"limits": {"historyDays": "x"}}, "spec.limits.historyDays: must be a whole number, not 'x'."),
]


@pytest.mark.parametrize(("spec", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_the_schema_should_have_refused_is_refused_by_its_name(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse(spec)


def test_a_tier_is_read_and_refused_like_an_account() -> None:
    tier = {"metadata": {"name": "pro", "resourceVersion": "7"}, "spec": {"quota": {"limit": 7}}}
    assert TierResource.parse(tier) == TierResource("pro", 1, "7", Limits(quota_limit=7))
    with pytest.raises(ValueError, match=r"spec\.quota\.window"):
        TierResource.parse({**tier, "spec": {"quota": {"window": "Week"}}})


def test_a_tier_without_a_spec_says_nothing() -> None:
    assert TierResource.parse({"metadata": {"name": "pro", "resourceVersion": "7"}}).limits == Limits()


# What the CRD lets through: years 2000 to 9998.
instants = st.datetimes(datetime(2000, 1, 1), datetime(9998, 12, 31), timezones=st.timezones())  # noqa: DTZ001  given by `timezones`


@given(instants)
def test_a_time_written_and_read_is_the_same_second(instant: datetime) -> None:
    text = format_time(instant)
    assert text is not None
    assert parse_time(text) == instant.astimezone(UTC).replace(microsecond=0)
    assert format_time(parse_time(text)) == text


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-21T09:00:00Z", datetime(2026, 11, 21, 9, tzinfo=UTC)),
        ("2026-11-21T09:00:00-23:59", datetime(2026, 11, 22, 8, 59, tzinfo=UTC)),
        ("2026-11-21T09:00:00.123456789Z", datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)),
        ("9998-12-31T23:59:59.999999999+00:00", datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_whatever_time_the_schema_accepts_can_be_read(text: str, instant: datetime) -> None:
    assert parse_time(text) == instant


def test_no_time_is_no_time() -> None:
    assert (parse_time(None), format_time(None)) == (None, None)
