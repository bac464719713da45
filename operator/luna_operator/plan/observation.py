"""What a reconciliation has seen of one account before it decides."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from luna_operator.resources.account import AccountResource
from luna_operator.resources.limits import EffectiveLimits, effective
from luna_operator.resources.tier import TierResource
from luna_store.accounts.desired import AccountRow, DesiredAccount, KeyRow


class Ownership(StrEnum):
    """Whose Secret stands under the name that the account wants."""

    ABSENT = "absent"
    OURS = "ours"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """The account's Secret. It never holds the key itself: nothing that is logged can show it."""

    ownership: Ownership
    held_prefix: str | None = None
    """The prefix of the live key of this account that it really holds (its digest matches); None for anything else."""
    in_order: bool = False
    """Whether all besides the key is as we would write it: account id, URL, labels, owner."""


ABSENT = SecretFacts(Ownership.ABSENT)


@dataclass(frozen=True, slots=True)
class Observation:
    """One account at one instant."""

    account: AccountResource
    tier: TierResource | None
    """The Tier that the account names; None if it names none, or one that does not exist."""
    row: AccountRow | None
    secret: SecretFacts
    now: datetime
    """UTC, this machine's clock."""
    cache_drifted: bool = False
    """Whether Redis was seen to differ from the row."""

    @property
    def tier_missing(self) -> bool:
        """Whether the account names a Tier that is not there."""
        return self.account.tier is not None and self.tier is None

    @property
    def limits(self) -> EffectiveLimits:
        """What holds for the account."""
        return effective(self.account.limits, self.tier.limits if self.tier else None)

    @property
    def desired(self) -> DesiredAccount:
        """The row as the resources want it."""
        account, limits = self.account, self.limits
        return DesiredAccount(
            uid=account.uid,
            account_name=str(account.key),
            display_name=account.display_name,
            tier=account.tier,
            state="suspended" if account.suspended else "active",
            quota_limit=limits.quota_limit,
            quota_window=limits.quota_window,
            rate_per_second=limits.rate_per_second,
            rate_burst=limits.rate_burst,
            allowed=limits.allowed,
            expires_at=account.expires_at,
            limits=limits.limits,
        )

    @property
    def current_key(self) -> KeyRow | None:
        """The key that is neither pending nor retiring."""
        return next((key for key in self.row.keys if key.current), None) if self.row else None
