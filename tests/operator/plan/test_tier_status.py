"""What a Tier's status says of its Accounts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.operator.plan.accounts import NOW, tier

from luna_operator.plan.status import patch
from luna_operator.plan.tier_status import tier_status


@pytest.mark.parametrize(
    ("accounts", "waiting", "ready"),
    [
        (0, 0, ("True", "RolledOut", "Every Account of this Tier has these defaults.")),
        (3, 0, ("True", "RolledOut", "Every Account of this Tier has these defaults.")),
        (3, 2, ("False", "RollingOut", "1 of 3 Accounts have these defaults; the others are under way.")),
    ],
)
def test_a_tier_is_ready_when_all_its_accounts_have_its_defaults(
    accounts: int, waiting: int, ready: tuple[str, str, str]
) -> None:
    status = tier_status(tier(), accounts=accounts, waiting=waiting, now=NOW)
    [condition] = status.pop("conditions")
    assert status == {"observedGeneration": 1, "accounts": accounts}
    assert (condition["status"], condition["reason"], condition["message"]) == ready
    assert (condition["type"], condition["observedGeneration"]) == ("Ready", 1)
    assert condition["lastTransitionTime"] == "2026-11-21T09:00:00Z"


def test_a_tier_that_stays_as_it_is_is_not_written_again() -> None:
    first = tier_status(tier(), accounts=3, waiting=0, now=NOW)
    known = replace(tier(), status=first)
    assert patch(first, tier_status(known, accounts=3, waiting=0, now=NOW + timedelta(hours=1))) is None
    assert patch(first, tier_status(known, accounts=4, waiting=0, now=NOW + timedelta(hours=1))) == {"accounts": 4}
