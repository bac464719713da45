"""Observes one account, or a page of accounts at once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from luna_operator.kube.secrets import Secret, SecretsClient, labels
from luna_operator.plan.observation import ABSENT, Observation, Ownership, SecretFacts
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import Key
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.provisioning import AccountRow, KeyRow, Provisioning
from luna_store.people.reconciled import ResourceMembers, Roles

Matches = Callable[[KeyRow, str], bool]


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation, with the Secret that its steps may change."""

    seen: Observation
    secret: Secret | None


class Observer:
    """Reads Postgres, Redis and the Secrets. Does not own its arguments."""

    def __init__(
        self,
        resource_cache: ResourceCache,
        provisioning: Provisioning,
        members: ResourceMembers,
        cache: AccountCache,
        secrets: SecretsClient,
        *,
        url: str,
    ) -> None:
        self._resource_cache = resource_cache
        self._provisioning = provisioning
        self._members = members
        self._cache = cache
        self._secrets = secrets
        self._url = url

    async def one(self, account: AccountResource) -> Observed:
        """Observe one account, without comparing Redis: every change rebuilds its keys anyway."""
        if account.status:
            (row, members), secret = await asyncio.gather(self.stored(account), self._secrets.find(account))
        else:
            row, members = await self.stored(account)
            # A new account has no Secret; if another one has its name, creating it fails.
            secret = await self._secrets.find(account) if row else None
        return self.observed(account, row, secret, members)

    async def stored(self, account: AccountResource) -> tuple[AccountRow | None, Roles]:
        """What Postgres holds of an account: its row, and the members that its resource gave."""
        name = str(account.key)
        members = await self._members.of_accounts([name])
        return await self._provisioning.find(account.uid), members.get(name, {})

    async def many(self, accounts: Sequence[AccountResource], secrets: Mapping[Key, Secret]) -> list[Observed]:
        """Observe a page of accounts, Redis included.

        Args:
            accounts: at most a few hundred.
            secrets: the Secrets with Luna's label, by namespace and name.
        """
        rows = {row.uid: row for row in await self._provisioning.find_many([account.uid for account in accounts])}
        members = await self._members.of_accounts([str(account.key) for account in accounts])
        drifted = await self._cache.drifted([row.id for row in rows.values()])
        found = []
        for account in accounts:
            row, secret = rows.get(account.uid), secrets.get(Key(account.key.namespace, account.api_key.secret_name))
            differs = row is not None and row.id in drifted
            roles = members.get(str(account.key), {})
            found.append(self.observed(account, row, secret, roles, cache_drifted=differs))
        return found

    def observed(
        self,
        account: AccountResource,
        row: AccountRow | None,
        secret: Secret | None,
        members: Roles,
        *,
        cache_drifted: bool = False,
    ) -> Observed:
        """Combine what was read into an observation."""
        facts = secret_facts(secret, account, row, url=self._url, matches=self._provisioning.matches)
        tier = self._resource_cache.tier(account.tier)
        return Observed(Observation(account, tier, row, facts, datetime.now(UTC), cache_drifted, members), secret)


def secret_facts(
    secret: Secret | None, account: AccountResource, row: AccountRow | None, *, url: str, matches: Matches
) -> SecretFacts:
    """The facts about the Secret that was found under the account's name for it."""
    if secret is None or secret.name != account.api_key.secret_name:
        return ABSENT
    if secret.owner_uid != str(account.uid):
        return SecretFacts(Ownership.STRANGER)
    if row is None:
        return SecretFacts(Ownership.OURS)
    presented = secret.data.get("api-key", "")
    return SecretFacts(
        Ownership.OURS,
        held_prefix=next((key.prefix for key in row.keys if matches(key, presented)), None),
        in_order=secret.data.get("account-id") == str(row.id)
        and secret.data.get("url") == url
        and labels(account).items() <= secret.labels.items(),
    )
