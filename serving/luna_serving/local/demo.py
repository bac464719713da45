"""The account that `luna up` offers for a first call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from luna_store.accounts import AccountNotFound, Accounts, AccountSpec
from luna_store.api_keys import ApiKey, MalformedKey, Peppers
from luna_store.cache import AccountCache
from luna_store.postgres import async_engine
from luna_store.quota import redis_client
from luna_store.tables import DEFAULT_QUOTA_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "local/demo"
# So high that a benchmark on one machine measures Luna and not the limit.
RATE_PER_SECOND = 10_000.0
RATE_BURST = 20_000


@dataclass(frozen=True)
class DemoLimits:
    """What the caller wants the account to be allowed; None keeps what it has, or takes the default."""

    quota: int | None = None
    rate: float | None = None
    burst: int | None = None

    def changes(self) -> dict[str, Any]:
        """The columns that the caller named."""
        named = {"quota_limit": self.quota, "rate_per_second": self.rate, "rate_burst": self.burst}
        return {column: value for column, value in named.items() if value is not None}


@dataclass(frozen=True)
class DemoAccount:
    """What a first call needs."""

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
    """Find the demo account, or make it, with a key that works.

    Args:
        database_url: the migrated database.
        redis_url: where its quota stands.
        peppers: for its key.
        limits: what to change about it.
        kept_key: its key, from an earlier start. If it is not valid any more, it is replaced at once.
        keep: called with a new key before anything else can fail: it cannot be shown again.

    """
    engine = async_engine(database_url, pool_size=1)
    redis = redis_client(redis_url, timeout_s=5.0)
    try:
        accounts = Accounts(engine, peppers)
        account_id, state = await _find_or_create(accounts, limits, keep)
        if kept_key is None or await _owner(accounts, kept_key) != account_id:
            _, key = await accounts.rotate_key(account_id, timedelta(0))
            kept_key = key.secret
            keep(kept_key)
        await AccountCache(engine, redis).rebuild(account_id)
        return DemoAccount(account_id, kept_key, state)
    finally:
        await redis.aclose()
        await engine.dispose()


async def _owner(accounts: Accounts, key: str) -> int | None:
    try:
        return await accounts.owner(ApiKey.parse(key))
    except MalformedKey:
        return None
