"""Looks up accounts and keys in Redis, then in Postgres, and rebuilds Redis from Postgres."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from luna_serving.access.credentials import Credential
from luna_serving.access.redis_outage import RedisOutage
from luna_store.accounts.accounts import Accounts
from luna_store.platform.postgres import POSTGRES_GONE
from luna_store.quota.debits import StoreUnavailable
from luna_store.quota.redis_quota import RedisQuota

# How long unknown accounts are cached, and how many of them.
MISSING_S = 1.0
MAX_MISSING = 10_000

T = TypeVar("T")


class AccountDirectory:
    """Looks up accounts, and rebuilds those that Redis does not know."""

    def __init__(self, outage: RedisOutage, quota: RedisQuota, accounts: Accounts, *, timeout_s: float) -> None:
        """Wire the directory; a query to Postgres times out after `timeout_s` seconds."""
        self._outage = outage
        self._quota = quota
        self._accounts = accounts
        self._timeout_s = timeout_s
        self._repairs: dict[int, asyncio.Task[bool]] = {}
        # Keeps calls for accounts that do not exist from Postgres.
        self._missing: dict[int, float] = {}

    async def owner(self, credential: Credential) -> int | None:
        """The account of a credential; None if no store knows it.

        Raises:
            StoreUnavailable: neither store answered.
        """
        if credential.key is None:
            return credential.token_account
        if not self._outage.gone:
            try:
                owner = await self._quota.owner(credential.key_digests)
            except StoreUnavailable as e:
                self._outage.begin(e)
            else:
                if owner is not None:
                    return owner
        return await self._from_postgres(self._accounts.owner(credential.key))

    async def may_know(self, credential: Credential) -> bool:
        """Whether Redis knows a credential, or cannot tell; does not ask Postgres."""
        if credential.key is None or self._outage.gone:
            return True
        try:
            return await self._quota.owner(credential.key_digests) is not None
        except StoreUnavailable as e:
            self._outage.begin(e)
            return True

    async def repaired(self, account_id: int) -> bool:
        """Rebuild an account's Redis keys; False if there is no such account.

        Raises:
            StoreUnavailable: Postgres or Redis did not answer in time.
        """
        missing_since = self._missing.get(account_id)
        if missing_since is not None and time.monotonic() - missing_since < MISSING_S:
            return False
        if self._outage.gone:
            return await self._from_postgres(self._accounts.exists(account_id))
        repair = self._repairs.get(account_id)
        if repair is None:
            # One rebuild per account at a time; it goes on if its first caller hangs up.
            repair = asyncio.get_running_loop().create_task(self._outage.rebuild(account_id))
            self._repairs[account_id] = repair
            repair.add_done_callback(lambda _: self._repairs.pop(account_id, None))
        found = await asyncio.shield(repair)
        if not found:
            if len(self._missing) >= MAX_MISSING:
                self._missing.clear()
            self._missing[account_id] = time.monotonic()
        return found

    async def session_found(self, account_id: int, principal: str) -> bool:
        """Whether a person's session that Redis does not know is live in Postgres; if so, Redis knows it now.

        Raises:
            StoreUnavailable: Postgres or Redis did not answer in time.
        """
        if not await self._from_postgres(self._accounts.has_session(account_id, principal)):
            return False
        return await self.repaired(account_id)

    async def _from_postgres(self, question: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await question
        except POSTGRES_GONE as e:
            raise StoreUnavailable("Postgres", uncertain=False) from e
