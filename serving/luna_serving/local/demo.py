"""The account that `luna up` offers for a first call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from luna_serving.local.demo_limits import NAME, RATE_BURST, RATE_PER_SECOND
from luna_store.accounts.accounts import AccountNotFound, Accounts, AccountSpec
from luna_store.accounts.api_keys import ApiKey, MalformedKey, Peppers
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.tables import DEFAULT_QUOTA_LIMIT
from luna_store.audit.actors import command
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from luna_serving.local.demo_limits import DemoLimits


@dataclass(frozen=True)
class DemoAccount:
    """The id and key of the demo account."""

    id: int
    key: str
    state: str


async def demo_account(
    database_url: str,
    redis_url: str,
    peppers: Peppers,
    limits: DemoLimits,
    *,
    kept_key: str | None,
    keep: Callable[[str], object],
) -> DemoAccount:
    """Find or make the demo account, with a valid key.

    Args:
        database_url: the migrated database.
        redis_url: where its quota is.
        peppers: for the digest of its key.
        limits: changes to its limits.
        kept_key: its key, from an earlier start; replaced if it is no longer valid.
        keep: called with a new key before anything else can fail, because the key cannot be read again.
    """
    engine = async_engine(database_url, actor=command(), pool_size=1)
    redis = redis_client(redis_url, timeout_s=5.0)
    try:
        account = await _create_or_find(Accounts(engine, peppers), limits, kept_key, keep)
        await AccountCache(engine, redis).rebuild(account.id)
        return account
    finally:
        await redis.aclose()
        await engine.dispose()


async def _create_or_find(
    accounts: Accounts, limits: DemoLimits, kept_key: str | None, keep: Callable[[str], object]
) -> DemoAccount:
    defaults = {"quota_limit": DEFAULT_QUOTA_LIMIT, "rate_per_second": RATE_PER_SECOND, "rate_burst": RATE_BURST}
    try:
        found = await accounts.get(NAME)
    except AccountNotFound:
        spec = AccountSpec(NAME, "Demo account of `luna up`", **defaults | limits.changes())
        account_id, key = await accounts.create(spec)
        keep(key.secret)
        return DemoAccount(account_id, key.secret, "active")
    changes, state = limits.changes(), found.state
    if state == "revoked":
        # Deleted by hand. Its name stays taken, so the account is restored.
        changes["state"] = state = "active"
    if changes:
        await accounts.update(found.id, **changes)
    if kept_key is None or await _owner(accounts, kept_key) != found.id:
        _, key = await accounts.rotate_key(found.id, timedelta(0))
        keep(key.secret)
        kept_key = key.secret
    return DemoAccount(found.id, kept_key, state)


async def _owner(accounts: Accounts, key: str) -> int | None:
    try:
        return await accounts.owner(ApiKey.parse(key))
    except MalformedKey:
        return None
