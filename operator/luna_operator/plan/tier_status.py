"""The status of a Tier: how many Accounts use it, and whether all of them have its current defaults."""

from datetime import datetime
from typing import Any

from luna_operator.plan.conditions import Condition, render
from luna_operator.resources.tier import TierResource


def tier_status(tier: TierResource, *, accounts: int, waiting: int, now: datetime) -> dict[str, Any]:
    """The status as it should be written.

    Args:
        tier: the Tier.
        accounts: how many Accounts name it.
        waiting: how many of them do not have its defaults yet.
        now: UTC.
    """
    if waiting:
        message = f"{accounts - waiting} of {accounts} Accounts have these defaults; the others are under way."
        ready = Condition("Ready", "False", "RollingOut", message)
    else:
        ready = Condition("Ready", "True", "RolledOut", "Every Account of this Tier has these defaults.")
    before = tier.status.get("conditions") or ()
    return {
        "observedGeneration": tier.generation,
        "accounts": accounts,
        "conditions": render([ready], before, tier.generation, now),
    }
