"""Luna with OpenID providers, and a browser that signs in through them."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlalchemy import text
from tests.serving.platform import PEPPERS, Luna

from luna_serving.local.data_folder.ports import free_port
from luna_store.accounts.cache import AccountCache
from luna_store.people.memberships import Memberships, Source
from luna_store.people.roles import Role
from luna_store.people.users import User, Users
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate
from luna_store.quota.redis_quota import redis_client

SECRET = "the client secret of the tests"
READY_S = 120


@dataclass
class Website:
    """Luna with providers."""

    luna: Luna
    honest: str
    """The issuer of the library's provider."""
    secrets: list[str] = field(default_factory=list)
    """What must be in no log."""

    @property
    def url(self) -> str:
        return self.luna.url

    def browser(self) -> "Browser":
        return Browser(self)

    async def account(self) -> tuple[int, str]:
        """A new account: its id and its name."""
        caller = await self.luna.caller()
        async with self._engine() as engine, engine.connect() as connection:
            query = text("SELECT account_name FROM accounts WHERE id = :i")
            return caller.id, str(await connection.scalar(query, {"i": caller.id}))

    async def named(self, account_name: str) -> int:
        """The account of a name, made if there is none."""
        caller = await self.luna.caller()
        async with self._engine() as engine, engine.begin() as connection:
            found = await connection.scalar(
                text("SELECT id FROM accounts WHERE account_name = :n"), {"n": account_name}
            )
            if found is not None:
                return int(found)
            await connection.execute(
                text("UPDATE accounts SET account_name = :n WHERE id = :i"), {"n": account_name, "i": caller.id}
            )
        return caller.id

    async def invite(self, email: str, role: Role = Role.MEMBER, account_id: int | None = None) -> int:
        """Give an address a role; in a new account unless one is named."""
        account = account_id or (await self.account())[0]
        client = redis_client(self.luna.redis_url)
        try:
            async with self._engine() as engine:
                await Memberships(engine).put(account, email, role, Source.COMMAND)
                await AccountCache(engine, client).rebuild(account)
        finally:
            await client.aclose()
        return account

    async def roles(self, email: str) -> dict[int, str]:
        async with self._engine() as engine:
            return {own.account_id: own.role.word for own in await Memberships(engine).of_person(email)}

    async def actors(self, account_id: int) -> set[str]:
        """Who made the changes that the audit log has of an account."""
        query = text("SELECT actor FROM audit_log WHERE account_id = :i")
        async with self._engine() as engine, engine.connect() as connection:
            return set(await connection.scalars(query, {"i": account_id}))

    async def user(self, email: str) -> User | None:
        async with self._engine() as engine:
            return await Users(engine).find(email)

    async def make_user(self, email: str, password_hash: str | None) -> User:
        async with self._engine() as engine:
            return await Users(engine).create(email, password_hash)

    async def disable(self, email: str) -> None:
        async with self._engine() as engine:
            await Users(engine).set_disabled(email, disabled=True)

    def _engine(self) -> Any:
        return _Engine(self.luna.database_url)


class _Engine:
    def __init__(self, url: str) -> None:
        self._engine = async_engine(url)

    async def __aenter__(self) -> Any:
        return self._engine

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()


class Browser:
    """Keeps cookies, and follows a sign-in step by step."""

    def __init__(self, website: Website) -> None:
        self.website = website
        self.client = httpx.AsyncClient(timeout=90)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def begin(self, provider: str, **query: Any) -> httpx.Response:
        return await self.client.get(f"{self.website.url}/api/v1/auth/oidc/{provider}", params=query)

    async def asked(self, provider: str, **query: Any) -> str:
        """The provider's page to which Luna sends the person."""
        answer = await self.begin(provider, **query)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    async def consent(self, location: str, subject: str) -> str:
        """Sign in at the provider; returns the callback's URL."""
        answer = await self.client.post(location, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        callback = answer.headers["location"]
        self.website.secrets += parse_qs(urlsplit(callback).query).get("code", [])
        return callback

    async def open(self, url: str) -> httpx.Response:
        answer = await self.client.get(url)
        if answer.status_code == 200:
            self.website.secrets += [answer.json()["access_token"], answer.json()["refresh_token"]]
        return answer

    async def sign_in(self, provider: str, subject: str, **query: Any) -> httpx.Response:
        return await self.open(await self.consent(await self.asked(provider, **query), subject))


def address() -> str:
    """A new person's."""
    return f"{secrets.token_hex(6)}@example.com"


def settings_of(providers: dict[str, Any]) -> dict[str, str]:
    """The environment of a Luna with these providers."""
    return {
        "LUNA_OIDC_PROVIDERS": json.dumps(providers),
        "LUNA_CLIENT_SECRETS": json.dumps(dict.fromkeys(providers, SECRET)),
        "LUNA_OIDC_TIMEOUT_S": "3",
        "LUNA_THROTTLE_PROVIDER_ATTEMPTS": "1000",
        "LUNA_THROTTLE_DELAY_FIRST_S": "0",
        "LUNA_LOG_LEVEL": "DEBUG",
    }


@contextmanager
def website(folder: Path, database_url: str, redis_url: str, honest: str, more: dict[str, str]) -> Iterator[Website]:
    """Start an ingress replica with these settings, on an empty database."""
    migrate(database_url)
    port, log = free_port(), folder / "luna.log"
    servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "LUNA_PEPPERS": PEPPERS}
    command = [sys.executable, "-m", "tests.capabilities.people.openid.served", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | servers | more, stdout=output, stderr=output)
    luna = Luna(f"http://127.0.0.1:{port}", database_url, redis_url, PEPPERS, process, log)
    try:
        wait_for(f"{luna.url}/api/v1/auth/providers", process, log)
        yield Website(luna, honest, [SECRET])
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            httpx.get(url).raise_for_status()
            return
        except httpx.HTTPError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
