"""Who is counted as blocked, which wakes somebody (the alert LunaAccountsNotReady)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.operator.operating import eventually

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation


def test_an_account_that_is_suspended_or_over_is_not_ready_and_not_blocked(
    installation: Installation, make: Make
) -> None:
    make({"suspended": True}, "stopped").condition("Ready", "False", "Suspended")
    make({"expiresAt": "2020-01-01T00:00:00Z"}, "over").condition("Ready", "False", "Expired")
    make({"tier": "no-such-tier"}, "blocked").condition("Ready", "False", "TierNotFound")
    with installation.another() as operator:
        # Counted at its start's sweep.
        eventually(lambda: operator.metric("luna_operator_accounts", ready="false") == 3)
        assert operator.metric("luna_operator_blocked_accounts") == 1
