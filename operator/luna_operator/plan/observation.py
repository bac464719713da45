"""What a reconciliation observed of one account before it decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from luna_operator.resources.account import AccountResource
from luna_operator.resources.limits import EffectiveLimits, effective
from luna_operator.resources.tier import TierResource
from luna_store.accounts.desired import AccountRow, DesiredAccount, KeyRow
from luna_store.people.roles import Role


class Ownership(StrEnum):
    """Who owns the Secret under the name that the account wants."""

    ABSENT = "absent"
    OURS = "ours"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """Facts about the account's Secret, without the key, so that no log line can show it."""

    ownership: Ownership
    held_prefix: str | None = None
    """The prefix of the live key of this account that it holds (the digest matches); None otherwise."""
    in_order: bool = False
    """Whether everything but the key is as the operator writes it: account id, URL, labels, owner."""


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
    """UTC, from this machine's clock."""
    cache_drifted: bool = False
    """Whether Redis differed from the row."""
    members: Mapping[str, Role] = field(default_factory=dict)
    """The memberships that this resource, or an earlier one of its name, gave; by address."""

    @property
    def tier_missing(self) -> bool:
        """Whether the account names a Tier that does not exist."""
        return self.account.tier is not None and self.tier is None

    @property
    def limits(self) -> EffectiveLimits:
        """The limits of the account, merged with its Tier's and the defaults."""
        return effective(self.account.limits, self.tier.limits if self.tier else None)

    @property
    def desired(self) -> DesiredAccount:
        """The row that the resources ask for."""
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
