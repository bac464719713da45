"""Statuses as they are written to a real API server: each patch gives the whole new status, and the next is None."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.operator.plan.accounts import DAY, HOUR, NOW, STRANGER, account, key, settled, tier, unmade
from tests.operator.plan.merging import as_stored, merge_patch

from luna_operator.plan.decide import decide
from luna_operator.plan.status import patch, status_of
from luna_operator.resources.account import AccountResource

if TYPE_CHECKING:
    from tests.operator.kube.conftest import Make

    from luna_operator.kube.resources import Resources
    from luna_operator.plan.observation import Observation

DAILY = account({"quota": {"limit": 7, "window": "Day"}, "rateLimit": {"requestsPerSecond": 0.1, "burst": 1}})
MIDNIGHT = NOW.replace(hour=0)
GRANTS = tier({"quota": {"limit": 900}, "limits": {"maxSeriesLength": 100, "historyDays": 30}})


def life() -> list[Observation]:
    """What becomes of one account, so that fields come, change and go again."""
    retiring = key("luna_Older000", age=3 * DAY, expires_at=NOW + HOUR)
    granted = settled(account({"tier": "pro"}), key(), retiring, tier=GRANTS)
    return [
        unmade(),
        settled(),
        granted,
        replace(granted, tier=None),
        settled(account({"suspended": True, "expiresAt": "2026-11-21T08:00:00Z"})),
        settled(DAILY, row_changes={"quota_used": 7, "window_started_at": MIDNIGHT}),
        settled(DAILY, row_changes={"quota_used": 7, "window_started_at": MIDNIGHT}, now=NOW + DAY),
        settled(secret=STRANGER),
        settled(None, key(), retiring),
        unmade(account({"tier": "gone"})),
        settled(),
    ]


async def test_a_status_that_was_patched_is_the_one_that_was_meant(resources: Resources, make: Make) -> None:
    made = await make()
    for number, observed in enumerate(life()):
        now = observed.now + timedelta(minutes=number)
        seen = replace(observed, now=now, account=replace(observed.account, status=made.status))
        meant = status_of(seen, decide(seen).obstacle, timedelta(minutes=5))
        change = patch(made.status, meant)
        assert change is not None
        written = AccountResource.parse(await resources.patch_account_status(made, change))
        assert written.status == merge_patch(made.status, change), "the reference merges as the API server does"
        assert as_stored(written.status) == meant
        assert patch(written.status, meant) is None
        made = written


async def test_what_the_api_server_does_not_keep_is_no_difference(resources: Resources, make: Make) -> None:
    """Nulls in a patch remove; a null that is stored nowhere is not sent again and again."""
    made = await make()
    usage = {"limit": 7, "used": 1, "remaining": 6, "windowEndsAt": "2026-11-22T00:00:00Z", "asOf": None}
    first = AccountResource.parse(await resources.patch_account_status(made, {"usage": usage}))
    lifetime = {**usage, "windowEndsAt": None}
    change = patch(first.status, {"usage": lifetime})
    assert change == {"usage": {"windowEndsAt": None}}
    second = AccountResource.parse(await resources.patch_account_status(first, change))
    assert second.status == {"usage": {"limit": 7, "used": 1, "remaining": 6}}
    assert patch(second.status, {"usage": lifetime}) is None
