"""The Accounts and Tiers that the watch delivered, by name, and which Accounts use which Tier."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import Key
from luna_operator.resources.tier import TierResource

# Versions of deleted Accounts, a few hundred bytes each: far more than are deleted while one request is in flight.
GONE_KEPT = 10_000


class ResourceCache:
    """Keeps the newest version of each resource.

    An answer of the API server may be older than an event of the watch. Such an answer restores no older version and no
    deleted Account.
    """

    def __init__(self) -> None:
        self._accounts: dict[Key, AccountResource] = {}
        self._gone: OrderedDict[Key, str] = OrderedDict()
        self._by_tier: dict[str, set[Key]] = defaultdict(set)
        self._tiers: dict[str, TierResource] = {}

    def __len__(self) -> int:
        """How many Accounts there are."""
        return len(self._accounts)

    def account(self, key: Key) -> AccountResource | None:
        """The Account; None if it was deleted or never seen."""
        return self._accounts.get(key)

    def accounts(self) -> Iterator[AccountResource]:
        """All Accounts; a snapshot, so that the cache may change during the iteration."""
        return iter(list(self._accounts.values()))

    def keep(self, account: AccountResource) -> bool:
        """Keep an Account; False if this or a later version is in the cache, or the Account was deleted since."""
        before = self._accounts.get(account.key)
        last = before.resource_version if before is not None else self._gone.get(account.key)
        if last is not None and not _newer(account.resource_version, last):
            return False
        self._gone.pop(account.key, None)
        if before is not None and before.tier is not None and before.tier != account.tier:
            self._by_tier[before.tier].discard(account.key)
        if account.tier is not None:
            self._by_tier[account.tier].add(account.key)
        self._accounts[account.key] = account
        return True

    def keep_written(self, account: AccountResource) -> None:
        """Keep the answer to a write of the status.

        An answer that also shows another writer's change is ignored: the watch must still see that change as new.
        """
        before = self._accounts.get(account.key)
        if before is not None and account == replace(
            before, resource_version=account.resource_version, status=account.status
        ):
            self.keep(account)

    def forget(self, key: Key, version: str | None = None) -> bool:
        """Remove a deleted Account; False if it was recreated since.

        Args:
            key: its name.
            version: the resource version of its deletion, or its last one; by default the one in the cache.
        """
        account = self._accounts.get(key)
        if account is not None and version is not None and _newer(account.resource_version, version):
            return False
        last = version or (account.resource_version if account is not None else None)
        if last is not None and (key not in self._gone or _newer(last, self._gone[key])):
            self._gone[key] = last
            self._gone.move_to_end(key)
        if len(self._gone) > GONE_KEPT:
            self._gone.popitem(last=False)
        if account is not None:
            del self._accounts[key]
            if account.tier is not None:
                self._by_tier[account.tier].discard(key)
        return True

    def tier(self, name: str | None) -> TierResource | None:
        """The Tier; None if it was deleted or never seen."""
        return None if name is None else self._tiers.get(name)

    def tiers(self) -> list[TierResource]:
        """All Tiers."""
        return list(self._tiers.values())

    def keep_tier(self, tier: TierResource) -> bool:
        """Keep a Tier; True if its limits changed."""
        before = self._tiers.get(tier.name)
        if before is not None and not _newer(tier.resource_version, before.resource_version):
            return False
        self._tiers[tier.name] = tier
        return before is None or before.limits != tier.limits

    def forget_tier(self, name: str) -> None:
        """Remove a deleted Tier."""
        self._tiers.pop(name, None)

    def accounts_of(self, tier: str) -> list[Key]:
        """The Accounts that name the Tier."""
        return sorted(self._by_tier.get(tier, ()))


def _newer(version: str, than: str) -> bool:
    """Whether a resource version is later than another.

    They are comparable as numbers: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.
    """
    return int(version) > int(than)
