"""People of a running Luna, each test with an address of its own: limits per address do not add up over tests."""

from __future__ import annotations

import itertools
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from luna_store.accounts.cache import AccountCache
from luna_store.people.links import PasswordLinks
from luna_store.people.memberships import Memberships, Source
from luna_store.people.roles import Role
from luna_store.people.users import User, Users
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving.platform import Luna, Platform

PASSWORD = "correct horse battery"
# As cheap as the library allows: what a hash costs is not what these tests are about.
HASH = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8192, parallelism=1),)).hash(PASSWORD)
# Every loopback address is this machine's, so a client may choose one (Linux).
ADDRESSES = (f"127.{a}.{b}.1" for a, b in itertools.product(range(1, 255), range(1, 255)))


@dataclass
class People:
    """Makes people and signs them in."""

    luna: Luna
    users: Users
    memberships: Memberships
    links: PasswordLinks
    cache: AccountCache
    client: httpx.AsyncClient
    more: list[httpx.AsyncClient] = field(default_factory=list)

    async def member(self, *accounts: int, role: Role = Role.MEMBER, **columns: Any) -> User:
        """A person with PASSWORD who is a member of accounts."""
        user = await self.users.create(f"{secrets.token_hex(6)}@people.test", columns.get("password_hash", HASH))
        for account_id in accounts:
            await self.give(account_id, user.email, role)
        return user

    async def give(self, account_id: int, email: str, role: Role, source: Source = Source.COMMAND) -> None:
        await self.memberships.put(account_id, email, role, source)
        await self.cache.rebuild(account_id)

    async def remove(self, account_id: int, email: str, source: Source = Source.COMMAND) -> None:
        await self.memberships.remove(account_id, email, source)
        await self.cache.rebuild(account_id)

    async def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return await self.client.post(f"/api/v1/auth/{path}", json=body, headers=headers)

    async def login(self, user: User, **more: object) -> httpx.Response:
        return await self.post("login", {"email": user.email, "password": PASSWORD, **more})

    async def signed_in(self, user: User, **more: object) -> dict[str, Any]:
        answer = await self.login(user, **more)
        assert answer.status_code == 200, answer.text
        session: dict[str, Any] = answer.json()
        return session

    async def refresh(self, refresh_token: str) -> httpx.Response:
        return await self.post("refresh", {"refresh_token": refresh_token})

    async def me(self, session: dict[str, Any]) -> httpx.Response:
        return await self.client.get("/api/v1/auth/me", headers=bearer(session))

    def elsewhere(self) -> httpx.AsyncClient:
        """A client with another address."""
        self.more.append(client_of(self.luna.url))
        return self.more[-1]


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['access_token']}"}


def client_of(url: str) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(local_address=next(ADDRESSES))
    return httpx.AsyncClient(base_url=url, transport=transport, timeout=60)


@asynccontextmanager
async def people_of(luna: Luna) -> AsyncIterator[People]:
    engine, redis = async_engine(luna.database_url), redis_client(luna.redis_url)
    cache, client = AccountCache(engine, redis), client_of(luna.url)
    found = People(luna, Users(engine), Memberships(engine), PasswordLinks(engine), cache, client)
    try:
        yield found
    finally:
        for client in (found.client, *found.more):
            await client.aclose()
        await redis.aclose()
        await engine.dispose()


@pytest.fixture
async def people(platform: Platform) -> AsyncIterator[People]:
    async with people_of(platform) as found:
        yield found
