"""A migrated database, an empty Valkey and an account in both: the fixtures `store` and `open_store`."""

import secrets
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store import limits
from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.grants import Grants
from luna_store.platform.postgres import async_engine
from luna_store.quota.debits import Debit, Grant
from luna_store.quota.redis_quota import RedisQuota, redis_client
from luna_store.settlement.settlement import Settler

PEPPERS = Peppers.parse("test:" + "p" * 32)


@dataclass
class Store:
    """Everything that a store test speaks to."""

    engine: AsyncEngine
    redis: Redis
    accounts: Accounts
    cache: AccountCache
    quota: RedisQuota
    fallback: PostgresQuota
    settler: Settler

    async def account(self, **spec: object) -> "Caller":
        spec = {"account_name": f"test/{secrets.token_hex(4)}", "rate_per_second": 1e5, "rate_burst": 10_000} | spec
        account_id, key = await self.accounts.create(AccountSpec(**as_data(spec)))
        await self.cache.rebuild(account_id)
        return Caller(account_id, key)

    async def scalar(self, sql: str, **parameters: object) -> object:
        async with self.engine.connect() as connection:
            return await connection.scalar(text(sql), parameters)

    async def execute(self, sql: str, **parameters: object) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(sql), parameters)

    async def used(self, account_id: int) -> int:
        return await self.scalar("SELECT quota_used FROM accounts WHERE id = :id", id=account_id)

    async def left(self, account_id: int) -> int:
        return int(await self.redis.get(f"user:{{{account_id}}}:quota"))


def as_data(fields: dict[str, object]) -> dict[str, object]:
    """An account's fields with single limits and `allowed_models` moved to where an `AccountSpec` has them."""
    names = fields.keys() & {limit.name for limit in limits.LIMITS}
    moved = {name: fields[name] for name in fields.keys() - names - {"allowed_models"}}
    if names:
        moved["limits"] = {name: fields[name] for name in names}
    if "allowed_models" in fields:
        moved["allowed"] = Grants.of(None, fields["allowed_models"]).in_force()
    return moved


@dataclass
class Caller:
    account_id: int
    key: ApiKey

    def debit(self, units: int = 1, *, model: str = "", length: int = 0, **changes: object) -> Debit:
        return Debit(
            **{
                "account_id": self.account_id,
                "key_prefix": self.key.prefix,
                "key_digests": (PEPPERS.digest(self.key),),
                "units": units,
                "debit_id": uuid.uuid4(),
                "route": "kalman",
                "grant": Grant("kalman", model) if model else None,
                "amounts": {"max_series_per_request": units, "max_series_length": length},
            }
            | changes
        )


@pytest.fixture
async def open_store(migrated_database: str) -> AsyncIterator[Callable[[str], Store]]:
    engine = async_engine(migrated_database)
    clients: list[Redis] = []

    def build(redis_url: str) -> Store:
        redis = redis_client(redis_url)
        clients.append(redis)
        return Store(
            engine=engine,
            redis=redis,
            accounts=Accounts(engine, PEPPERS),
            cache=AccountCache(engine, redis),
            quota=RedisQuota(redis),
            fallback=PostgresQuota(engine),
            settler=Settler(engine, redis),
        )

    yield build
    for client in clients:
        await client.aclose()
    await engine.dispose()


@pytest.fixture
def store(open_store: Callable[[str], Store], fresh_redis: str) -> Store:
    return open_store(fresh_redis)
