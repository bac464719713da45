"""A `luna up` of its own, as a person starts it: embedded servers, its own logs, one address that may be blocked.

The tests of this folder send thousands of wrong keys and broken requests; the fixture `platform` of the other folders
would feel them.
"""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
from tests.serving.platform import Caller, Luna

from luna_serving.access.people.passwords import Passwords
from luna_serving.settings import PlatformSettings
from luna_store.people.memberships import Memberships, Source
from luna_store.people.roles import Role
from luna_store.people.users import Users
from luna_store.platform.postgres import async_engine

READY_S = 300
ADDRESS = "127.42.0.1"


@dataclass
class LocalLuna(Luna):
    """A running `luna up` with everything that it started."""

    folder: Path
    """Its data folder."""

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    @property
    def run_folder(self) -> Path:
        """Ray's session and HAProxy's files."""
        return Path((self.folder / "run").read_text().strip())

    def processes(self) -> list[psutil.Process]:
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def ingresses(self) -> list[psutil.Process]:
        """The replicas that parse what callers send."""
        return [each for each in self.processes() if each.cmdline()[:1] == ["ray::ServeReplica:luna:ingress"]]

    async def person(self, account_id: int, role: Role) -> "Person":
        """A new person with a password and a role in an account."""
        made = Person(
            f"{role.word}-{secrets.token_hex(6)}@example.org", secrets.token_urlsafe(18), account_id, self.url
        )
        engine = async_engine(self.database_url)
        passwords = Passwords(PlatformSettings().argon2)
        try:
            await Users(engine).create(made.email, await passwords.hash(made.password, made.email))
            await Memberships(engine).put(account_id, made.email, role, Source.COMMAND)
        finally:
            passwords.close()
            await engine.dispose()
        return made

    def new_person(self, account_id: int, role: Role = Role.ADMIN) -> "Person":
        return asyncio.run(self.person(account_id, role))

    def new_caller(self, **spec: object) -> Caller:
        return asyncio.run(self.caller(**spec))

    def connect(self, timeout: float = 20) -> socket.socket:
        return socket.create_connection(self.address, timeout=timeout)


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in."""

    email: str
    password: str
    account_id: int
    base_url: str

    def sign_in(self) -> Mapping[str, Any]:
        """The answer of /auth/login, asked from an address of its own: another may be blocked for wrong passwords."""
        sent = {"email": self.email, "password": self.password, "account_id": self.account_id}
        with httpx.Client(transport=httpx.HTTPTransport(local_address=ADDRESS), timeout=60) as client:
            answer = client.post(f"{self.base_url}/api/v1/auth/login", json=sent)
        return dict(answer.raise_for_status().json())


@contextmanager
def local_luna(folder: Path, *arguments: str, **environment: str) -> Iterator[LocalLuna]:
    """Start `luna up` with embedded servers; stop it, whatever happened.

    Args:
        folder: for its data and its output; it exists.
        arguments: further arguments of `luna up`.
        environment: further variables.
    """
    data, log, out = folder / "luna", folder / "luna.log", folder / "luna.out"
    kept = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL", "LUNA_PEPPERS"}}
    command = [sys.executable, "-m", "luna_serving.cli", "up", "--port", "0", "--data-dir", str(data), *arguments]
    # Apart: standard output is for the person who starts it, and shows the demo account's key once.
    with log.open("wb") as err, out.open("wb") as said:
        process = subprocess.Popen(command, env=kept | environment, stdout=said, stderr=err, start_new_session=True)
    try:
        deadline = time.monotonic() + READY_S
        while not (data / "env").exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        env = dict(line.split("=", 1) for line in (data / "env").read_text().splitlines())
        peppers = (data / "peppers").read_text().strip()
        yield LocalLuna(env["LUNA_URL"], env["DATABASE_URL"], env["REDIS_URL"], peppers, process, log, data)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
