"""The routes of an account on a real server, called by its people and its keys."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
from tests.edge.running import TOKENS, access_of, refused_of, running
from tests.store.stores import PEPPERS

from luna_serving.access.tokens import Token
from luna_serving.capabilities.account import routes as account_routes
from luna_serving.capabilities.account.keys.routes import KeyRoutes
from luna_serving.capabilities.people.members.routes import router as members_router
from luna_serving.edge.fastapi_app import build_api
from luna_store.accounts.own_keys import OwnKeys
from luna_store.people.memberships import Memberships, Source
from luna_store.people.own_members import OwnMembers
from luna_store.people.roles import Role
from luna_store.people.sessions import Sessions
from luna_store.people.users import Users
from luna_store.platform.idempotency import IdempotencyKeys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.store.stores import Caller, Store

DAY = timedelta(days=1)


@dataclass
class House:
    """An account whose people call its routes."""

    store: Store
    account: Caller
    url: str

    async def person(self, email: str, role: str, source: Source = Source.COMMAND) -> httpx.AsyncClient:
        """A user with this role, signed in."""
        user = await Users(self.store.engine).create(email, None)
        await Memberships(self.store.engine).put(self.account.account_id, email, Role.of(role), source)
        sessions = Sessions(self.store.engine, lifetime=DAY, refresh_lifetime=DAY, most_per_person=10)
        session, _ = await sessions.begin(user.id, self.account.account_id)
        await self.store.cache.rebuild(self.account.account_id)
        token = Token(self.account.account_id, session.principal(Role.of(role)), Role.of(role), user.id)
        return self.client(Authorization=f"Bearer {TOKENS.issue(token)}")

    def machine(self, key: str | None = None) -> httpx.AsyncClient:
        """A program with a key of the account."""
        return self.client(**{"X-API-Key": key or self.account.key.secret})

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"{self.url}/api/v1", headers=headers, timeout=60)

    async def roles(self) -> set[tuple[str, str, str]]:
        """Every membership in Postgres: address, source, role."""
        found = await self.store.scalar(
            "SELECT json_agg(json_build_array(email, source, role)) FROM memberships WHERE account_id = :id",
            id=self.account.account_id,
        )
        return {tuple(row) for row in found or ()}


@asynccontextmanager
async def house(store: Store, **spec: Any) -> AsyncIterator[House]:
    """Serve the routes of a new account."""
    account = await store.account(**spec)
    wired, engine = access_of(store), store.engine
    refused = refused_of(wired)
    routers = [
        members_router(wired.authorization, Memberships(engine), OwnMembers(engine), store.cache),
        KeyRoutes(
            wired.authorization, store.accounts, OwnKeys(engine, PEPPERS), IdempotencyKeys(engine), store.cache
        ).router(),
        account_routes.router(wired.authorization, store.accounts, engine, ceilings={}),
    ]
    app = build_api([], routers, refused.own_standing, refused.counted)
    async with running(app) as url:
        yield House(store, account, url)


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, slug and detail of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    return answer.status_code, problem["type"].removeprefix("https://luna.dev/problems/"), problem["detail"]
