"""Sign-ins and refreshes whose process, or whose Postgres, is killed at any moment: counted afterwards."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.stopping import stopped
from tests.store.stores import PEPPERS

from luna_serving.local.servers.postgres import PostgresServer
from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.people.memberships import Memberships, Source
from luna_store.people.roles import Role
from luna_store.people.sessions import Sessions
from luna_store.people.users import Users
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

DAY = timedelta(days=1)
SPAWN = multiprocessing.get_context("spawn")


def sessions_of(engine: AsyncEngine) -> Sessions:
    return Sessions(engine, lifetime=DAY, refresh_lifetime=DAY, most_per_person=100)


def rotating(url: str, token: str, answers: Connection) -> None:
    """Refresh again and again, as a client that keeps the last answer."""

    async def rotate() -> None:
        engine, last = async_engine(url, pool_size=1), token
        while True:
            _, last = await sessions_of(engine).rotate(last)
            answers.send(last)

    asyncio.run(rotate())


async def person(engine: AsyncEngine) -> tuple[Any, int]:
    account_id, _ = await Accounts(engine, PEPPERS).create(AccountSpec("people/killed"))
    user = await Users(engine).create("killed@people.test", None)
    await Memberships(engine).put(account_id, user.email, Role.MEMBER, Source.COMMAND)
    return user, account_id


def chain(url: str, session_id: object) -> tuple[int, int]:
    """How many of a session's refresh tokens were used, and how many were not."""
    with psycopg.connect(url) as sql:
        query = (
            "SELECT count(used_at), count(*) FILTER (WHERE used_at IS NULL) FROM refresh_tokens WHERE session_id = %s"
        )
        used, unused = sql.execute(query, [session_id]).fetchone() or (0, 0)
    return int(used), int(unused)


async def test_a_process_that_is_killed_while_it_refreshes_leaves_one_token(migrated_database: str) -> None:
    engine = async_engine(migrated_database)
    user, account_id = await person(engine)
    for _ in range(8):
        session, first = await sessions_of(engine).begin(user.id, account_id)
        here, there = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=rotating, args=(migrated_database, first, there))
        process.start()
        answered = [first, await asyncio.to_thread(here.recv)]
        time.sleep(random.uniform(0, 0.05))  # noqa: ASYNC251  nothing else runs, and no secret depends on it
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        while here.poll():
            answered.append(here.recv())
        used, unused = chain(migrated_database, session.id)
        assert unused == 1
        # The answer to the last refresh may have been lost with the process; no other was.
        assert used + 1 - len(answered) in {0, 1}
        assert len(set(answered)) == len(answered)
    await engine.dispose()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_postgres_that_dies_or_hangs_while_people_refresh_forks_no_session(
    tmp_path: Path, how: signal.Signals
) -> None:
    server = PostgresServer(tmp_path / "data", tmp_path)
    url = server.start()
    migrate(url)
    engine = async_engine(url)
    user, account_id = await person(engine)
    begun = [await sessions_of(engine).begin(user.id, account_id) for _ in range(12)]

    async def client(token: str) -> None:
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            _, token = await sessions_of(engine).rotate(token)

    clients = [asyncio.create_task(client(token)) for _, token in begun]
    await asyncio.sleep(0.3)
    assert server.pid is not None
    if how is signal.SIGSTOP:
        with stopped(server.pid, children=True):
            await asyncio.sleep(0.5)
    else:
        os.kill(server.pid, signal.SIGKILL)
    await asyncio.gather(*clients, return_exceptions=True)
    await engine.dispose()
    if how is signal.SIGKILL:
        server.stop()
        url = server.start()
    found = [chain(url, session.id) for session, _ in begun]
    server.stop()
    assert all(unused == 1 for _, unused in found)
    assert sum(used for used, _ in found) > 0
