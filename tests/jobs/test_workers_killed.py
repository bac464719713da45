"""Workers in processes of their own, killed and stopped at random moments: a loop never runs twice at once."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.jobs.competitor import NAME, SCHEMA
from tests.stopping import stopped

from luna_store.platform.leases import FENCED_IDLE_S

COMPETITOR = Path(__file__).with_name("competitor.py")
LEASE_S = 1.0
Row = tuple[int, int, str, str]


class Workers:
    """Processes that compete for one loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str, *, skew_s: float = 0.0, stop: str = "nowhere") -> None:
        arguments = (self.url, str(LEASE_S), str(skew_s), stop, name)
        self.running[name] = await asyncio.create_subprocess_exec(
            sys.executable, str(COMPETITOR), *arguments, stderr=asyncio.subprocess.DEVNULL
        )

    async def stopped_itself(self, name: str) -> None:
        process = psutil.Process(self.running[name].pid)
        async with asyncio.timeout(30):
            while process.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110  of another process
                await asyncio.sleep(0.02)

    def rows(self, beyond: int = 0) -> list[Row]:
        with psycopg.connect(self.url) as connection:
            found = connection.execute("SELECT id, token, what, worker FROM runs WHERE id > %s ORDER BY id", [beyond])
            return found.fetchall()

    async def next_row(self, beyond: int, *, not_of: str = "") -> Row:
        """The first row beyond an id, of another worker than `not_of`; raises TimeoutError after 30 s."""
        async with asyncio.timeout(30):
            while True:
                for row in await asyncio.to_thread(self.rows, beyond):
                    if row[3] != not_of:
                        return row
                await asyncio.sleep(0.02)

    async def kill(self, name: str) -> None:
        process = self.running.pop(name)
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def workers(migrated_database: str) -> AsyncIterator[Workers]:
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
    workers = Workers(migrated_database)
    yield workers
    for name in list(workers.running):
        await workers.kill(name)


def assert_one_at_a_time(rows: list[Row]) -> None:
    """Tokens never go back, each is one worker's, and within one the runs follow each other, only the last cut off."""
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    by_token: dict[int, list[Row]] = {}
    for row in rows:
        by_token.setdefault(row[1], []).append(row)
    for token, of_token in by_token.items():
        assert len({row[3] for row in of_token}) == 1, token
        whats = [row[2] for row in of_token]
        whole = ["begin", "step", "step", "end"] * (len(whats) // 4 + 1)
        assert whats == whole[: len(whats)], token


async def test_a_loops_work_never_runs_twice_at_once(workers: Workers) -> None:
    names = ("one", "two", "three")
    for name in names:
        await workers.start(name)
    rng = random.Random()
    last = (await workers.next_row(0))[0]
    moves = 0
    ends_at = time.monotonic() + 25
    while time.monotonic() < ends_at:
        await asyncio.sleep(rng.uniform(0.0, 0.5))
        holder = workers.rows()[-1][3]
        process = workers.running[holder]
        if rng.random() < 0.5:
            await workers.kill(holder)
            last = (await workers.next_row(max(last, workers.rows()[-1][0]), not_of=holder))[0]
            await workers.start(holder)
        else:
            with stopped(process.pid):
                await asyncio.sleep(rng.choice([0.1, 0.5, LEASE_S, LEASE_S + 1.0]))
            last = (await workers.next_row(workers.rows()[-1][0]))[0]
        moves += 1
    for name in names:
        await workers.kill(name)
    rows = workers.rows()
    assert moves > 5
    assert len({row[1] for row in rows}) > 2, "the lease moved"
    assert_one_at_a_time(rows)
    assert any(first[2] != "end" and first[1] != then[1] for first, then in pairwise(rows)), "a run was cut off amid"


async def test_a_killed_workers_loop_goes_on_elsewhere_within_its_lease_and_one_question(workers: Workers) -> None:
    for name in ("one", "two"):
        await workers.start(name)
    await workers.next_row(0)
    for _ in range(3):
        while len(workers.running) < 2:
            await workers.start("one" if "two" in workers.running else "two")
        await asyncio.sleep(2.0)
        holder = workers.rows()[-1][3]
        await workers.kill(holder)
        killed, last = time.monotonic(), workers.rows()[-1][0]
        await workers.next_row(last, not_of=holder)
        # The lease, 0.2 s until the next question, and a margin for a busy machine.
        assert time.monotonic() - killed < LEASE_S + 0.2 + 2.0


async def test_a_worker_that_was_stopped_beyond_its_lease_writes_nothing_though_nobody_took_it(
    workers: Workers,
) -> None:
    await workers.start("stopped", stop="before")
    await workers.stopped_itself("stopped")
    before = workers.rows()
    assert len(before) == 4
    await asyncio.sleep(LEASE_S + 0.3)
    workers.running["stopped"].send_signal(signal.SIGCONT)
    row = await workers.next_row(before[-1][0])
    assert row[1] > before[-1][1], "it acquires the lease again before it writes"


async def test_a_worker_that_was_stopped_while_another_took_its_lease_writes_nothing_under_it(
    workers: Workers,
) -> None:
    await workers.start("stopped", stop="before")
    await workers.stopped_itself("stopped")
    await workers.start("another")
    taken = await workers.next_row(0, not_of="stopped")
    workers.running["stopped"].send_signal(signal.SIGCONT)
    await asyncio.sleep(1.0)
    assert {row[1] for row in workers.rows(taken[0])} == {taken[1]}
    assert_one_at_a_time(workers.rows())


async def test_a_worker_that_is_stopped_amid_a_fenced_transaction_holds_the_others_up_for_seconds_only(
    workers: Workers,
) -> None:
    await workers.start("stopped", stop="inside")
    await workers.stopped_itself("stopped")
    stopped, before = time.monotonic(), workers.rows()
    await workers.start("another")
    taken = await workers.next_row(0, not_of="stopped")
    assert time.monotonic() - stopped < FENCED_IDLE_S + 0.2 + 2.0
    workers.running["stopped"].send_signal(signal.SIGCONT)
    await asyncio.sleep(1.0)
    assert [row for row in workers.rows() if row[3] == "stopped"] == before
    assert {row[1] for row in workers.rows(taken[0])} == {taken[1]}


@pytest.mark.parametrize("skew_s", [-86400.0, 86400.0])
async def test_a_worker_whose_clock_is_a_day_off_holds_and_loses_leases_like_any_other(
    workers: Workers, skew_s: float
) -> None:
    await workers.start("right")
    first = await workers.next_row(0)
    await workers.start("skewed", skew_s=skew_s)
    await asyncio.sleep(3 * LEASE_S)
    assert {row[3] for row in workers.rows()} == {"right"}, "a held lease is not taken, whatever the clock says"
    assert {row[1] for row in workers.rows()} == {first[1]}
    await workers.kill("right")
    last = workers.rows()[-1][0]
    await workers.next_row(last, not_of="right")
    await workers.start("right")
    await asyncio.sleep(3 * LEASE_S)
    assert {row[3] for row in workers.rows(last)} == {"skewed"}, "and kept by renewals"
    assert_one_at_a_time(workers.rows())


async def test_a_worker_that_stops_in_good_order_hands_its_lease_over_at_once(workers: Workers) -> None:
    await workers.start("one")
    await workers.next_row(0)
    workers.running["one"].send_signal(signal.SIGINT)
    await workers.running["one"].wait()
    with psycopg.connect(workers.url) as connection:
        row = connection.execute(
            "SELECT holder, expires_at <= clock_timestamp() FROM leases WHERE name = %s", [f"loop:{NAME}"]
        ).fetchone()
    assert row == (None, True)
