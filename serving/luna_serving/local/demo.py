"""The account and the user that `luna up` offers for a first call."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from luna_serving.access.people.passwords import Passwords
from luna_serving.local.demo_limits import EMAIL, NAME, RATE_BURST, RATE_PER_SECOND
from luna_serving.settings import Argon2Settings
from luna_store.accounts.accounts import AccountNotFound, Accounts, AccountSpec
from luna_store.accounts.api_keys import ApiKey, MalformedKey, Peppers
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.tables import DEFAULT_QUOTA_LIMIT
from luna_store.audit.actors import command
from luna_store.people.memberships import Memberships, Source
from luna_store.people.roles import Role
from luna_store.people.users import Users
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client
from luna_store.tiers import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from luna_serving.local.demo_limits import DemoLimits


@dataclass(frozen=True)
class DemoAccount:
    """The demo account with its key, and the password of its admin."""

    id: int
    key: str
    state: str
    password: str


@dataclass(frozen=True)
class TierAccount:
    """A demo account of a shipped Tier."""

    tier: str
    id: int
    key: str


@dataclass(frozen=True)
class Kept:
    """The secrets of an earlier start; None for one that there is not."""

    key: str | None
    password: str | None


async def demo_account(
    database_url: str,
    redis_url: str,
    peppers: Peppers,
    limits: DemoLimits,
    *,
    kept: Kept,
    keep_key: Callable[[str], object],
    keep_password: Callable[[str], object],
) -> DemoAccount:
    """Find or make the demo account and its user, with a valid key and password.

    Args:
        database_url: the migrated database.
        redis_url: where its quota is.
        peppers: for the digest of its key.
        limits: changes to its limits.
        kept: its secrets, from an earlier start; replaced if they are no longer valid.
        keep_key: called with a new key before anything else can fail, because the key cannot be read again.
        keep_password: the same for a new password.
    """
    engine = async_engine(database_url, actor=command(), pool_size=1)
    redis = redis_client(redis_url, timeout_s=5.0)
    try:
        account_id, key, state = await _create_or_find(Accounts(engine, peppers), limits, kept.key, keep_key)
        password = await _user(engine, account_id, kept.password, keep_password)
        await AccountCache(engine, redis).rebuild(account_id)
        return DemoAccount(account_id, key, state, password)
    finally:
        await redis.aclose()
        await engine.dispose()


async def tier_accounts(
    database_url: str,
    redis_url: str,
    peppers: Peppers,
    *,
    kept: Callable[[str], str | None],
    keep: Callable[[str, str], object],
) -> list[TierAccount]:
    """Find or make a demo account of each shipped Tier, with a valid key.

    Args:
        database_url: the migrated database.
        redis_url: where their quotas are.
        peppers: for the digests of their keys.
        kept: the key of a Tier's account from an earlier start; None if there is none.
        keep: called with a Tier and a new key, which cannot be read again.
    """
    engine = async_engine(database_url, actor=command(), pool_size=1)
    redis = redis_client(redis_url, timeout_s=5.0)
    accounts, cache = Accounts(engine, peppers), AccountCache(engine, redis)
    try:
        made = []
        for name, tier in TIERS.items():
            spec = AccountSpec(f"local/{name}", f"Demo account of the Tier {name}", **tier.defaults())
            account_id, key, _ = await _found_or_made(accounts, spec, {}, kept(name), partial(keep, name))
            await cache.rebuild(account_id)
            made.append(TierAccount(name, account_id, key))
        return made
    finally:
        await redis.aclose()
        await engine.dispose()


async def _create_or_find(
    accounts: Accounts, limits: DemoLimits, kept_key: str | None, keep: Callable[[str], object]
) -> tuple[int, str, str]:
    defaults = {"quota_limit": DEFAULT_QUOTA_LIMIT, "rate_per_second": RATE_PER_SECOND, "rate_burst": RATE_BURST}
    spec = AccountSpec(NAME, "Demo account of `luna up`", **defaults | limits.changes())
    return await _found_or_made(accounts, spec, limits.changes(), kept_key, keep)


async def _found_or_made(
    accounts: Accounts,
    spec: AccountSpec,
    changes: dict[str, Any],
    kept_key: str | None,
    keep: Callable[[str], object],
) -> tuple[int, str, str]:
    """The account of this name, made if there is none; its key, and its state."""
    try:
        found = await accounts.get(spec.account_name)
    except AccountNotFound:
        account_id, key = await accounts.create(spec)
        keep(key.secret)
        return account_id, key.secret, "active"
    state = found.state
    if state == "revoked":
        # Deleted by hand. Its name stays taken, so the account is restored.
        state = "active"
        changes = {**changes, "state": state}
    if changes:
        await accounts.update(found.id, **changes)
    if kept_key is None or await _owner(accounts, kept_key) != found.id:
        _, key = await accounts.rotate_key(found.id, timedelta(0))
        keep(key.secret)
        kept_key = key.secret
    return found.id, kept_key, state


async def _user(engine: AsyncEngine, account_id: int, kept_password: str | None, keep: Callable[[str], object]) -> str:
    """Make the user an admin of the account; returns a valid password."""
    users, passwords = Users(engine), Passwords(Argon2Settings())
    try:
        found = await users.find(EMAIL)
        stored = None if found is None else found.password_hash
        valid = kept_password is not None and (await passwords.verify(kept_password, stored))[0]
        if not valid:
            kept_password = secrets.token_urlsafe(12)
            hashed = await passwords.hash(kept_password, EMAIL)
            keep(kept_password)
            await (users.create(EMAIL, hashed) if found is None else users.set_password(EMAIL, hashed))
        await Memberships(engine).put(account_id, EMAIL, Role.ADMIN, Source.COMMAND)
        assert kept_password is not None  # noqa: S101  it was valid, or has just been made
        return kept_password
    finally:
        passwords.close()


async def _owner(accounts: Accounts, key: str) -> int | None:
    try:
        return await accounts.owner(ApiKey.parse(key))
    except MalformedKey:
        return None
