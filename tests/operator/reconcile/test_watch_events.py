"""What the watch tells, and whom it brings into the queue."""

import asyncio
import logging
from typing import Any

import pytest
from tests.operator.plan import accounts

from luna_operator.reconcile.queue import WorkQueue
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.reconcile.watch_events import WatchEvents
from luna_operator.reconcile.watch_health import WatchHealth
from luna_operator.resources.names import Key

ACME = Key("team-acme", "acme")
LISTED = None
DONE = {"observedGeneration": 1}


def account(
    version: int, spec: dict[str, Any] | None = None, *, status: dict[str, Any] | None = None, **more: Any
) -> Any:
    return {**accounts.body(spec, resourceVersion=str(version), **more), "status": status or {}}


def tier(version: int, spec: dict[str, Any] | None = None) -> Any:
    return {"metadata": {"name": "pro", "resourceVersion": str(version), "generation": 1}, "spec": spec or {}}


class Surroundings:
    """An intake and what it fills."""

    def __init__(self) -> None:
        self.cache, self.queue, self.watch_health = ResourceCache(), WorkQueue(), WatchHealth()
        self.watch_events = WatchEvents(self.cache, self.queue, self.watch_health)

    async def queued(self) -> list[Key]:
        """Empty the queue."""
        keys = []
        while len(self.queue):
            async with asyncio.timeout(5):
                keys.append((await self.queue.take()).key)
            self.queue.done(keys[-1])
        return keys


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED"])
async def test_a_change_is_remembered_and_looked_at(around: Surroundings, kind: str) -> None:
    around.watch_events.account(kind, account(100))
    kept = around.cache.account(ACME)
    assert kept is not None
    assert kept.resource_version == "100"
    assert await around.queued() == [ACME]


async def test_our_own_write_comes_back_without_a_look(around: Surroundings) -> None:
    around.watch_events.account("ADDED", account(100))
    await around.queued()
    around.cache.keep_written(accounts.account(resourceVersion="101", status=DONE))
    around.watch_events.account("MODIFIED", account(101, status=DONE))
    assert await around.queued() == []


async def test_an_older_event_is_no_event(around: Surroundings) -> None:
    around.watch_events.account("MODIFIED", account(101))
    await around.queued()
    around.watch_events.account("MODIFIED", account(100, {"suspended": True}))
    kept = around.cache.account(ACME)
    assert kept is not None
    assert not kept.suspended
    assert await around.queued() == []


@pytest.mark.parametrize(
    ("listed", "looked_at"),
    [
        (account(100, status=DONE), False),
        (account(100), True),
        (account(100, status={"observedGeneration": 1}, generation=2), True),
        (account(100, status=DONE, finalizers=[]), True),
        (account(100, status=DONE, deletionTimestamp="2026-11-21T09:00:00Z"), True),
    ],
    ids=["settled", "new", "changed since", "not finalized", "being deleted"],
)
async def test_of_a_list_only_the_unfinished_is_looked_at(around: Surroundings, listed: Any, looked_at: bool) -> None:
    """Ten thousand settled accounts at a start are the sweep's, in pages."""
    around.watch_events.account(LISTED, listed)
    assert around.cache.account(ACME) is not None
    assert await around.queued() == ([ACME] if looked_at else [])


async def test_a_deleted_account_is_forgotten_and_waits_no_more(around: Surroundings) -> None:
    around.watch_events.account("ADDED", account(100))
    around.queue.add_after(ACME, 0)
    around.queue.retry(ACME)
    around.watch_events.account("DELETED", account(150))
    assert around.cache.account(ACME) is None
    around.queue.add(Key("team", "other"))
    assert await around.queued() == [Key("team", "other")]


async def test_a_stale_event_does_not_bring_a_deleted_account_back(around: Surroundings) -> None:
    around.watch_events.account("ADDED", account(100))
    around.watch_events.account("DELETED", account(150))
    around.watch_events.account("MODIFIED", account(140))
    assert around.cache.account(ACME) is None
    assert await around.queued() == []


async def test_the_end_of_its_predecessor_does_not_take_an_account_out_of_the_queue(around: Surroundings) -> None:
    around.watch_events.account("ADDED", account(200))
    around.watch_events.account("DELETED", account(150))
    assert around.cache.account(ACME) is not None
    assert await around.queued() == [ACME]


async def test_what_cannot_be_read_is_logged_by_its_name_and_field(
    around: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "luna.operator"):
        around.watch_events.account("ADDED", account(100, {"expiresAt": "soon"}))
        around.watch_events.tier("ADDED", tier(100, {"quota": {"window": "Week"}}))
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Account team-acme/acme cannot be read",
        "Tier pro cannot be read",
    ]
    assert "spec.expiresAt" in caplog.messages[0]
    assert "spec.quota.window" in caplog.messages[1]
    assert (around.cache.account(ACME), around.cache.tier("pro"), await around.queued()) == (None, None, [])


class TestTiers:
    """A change of a Tier is a change of its Accounts."""

    @pytest.fixture
    async def around(self) -> Surroundings:
        around = Surroundings()
        for name, spec in {"a": {"tier": "pro"}, "b": {"tier": "gold"}, "c": {}, "d": {"tier": "pro"}}.items():
            around.watch_events.account("ADDED", account(100, spec, name=name, status=DONE))
        around.watch_events.tier("ADDED", tier(1))
        await around.queued()
        return around

    @staticmethod
    async def looked_at(around: Surroundings) -> str:
        return "".join(key.name for key in await around.queued())

    async def test_its_accounts_are_looked_at_and_no_others(self, around: Surroundings) -> None:
        around.watch_events.tier("MODIFIED", tier(2, {"quota": {"limit": 7}}))
        assert await self.looked_at(around) == "ad"

    async def test_a_label_or_a_status_of_it_is_nothing_to_them(self, around: Surroundings) -> None:
        around.watch_events.tier("MODIFIED", tier(2))
        assert await self.looked_at(around) == ""

    async def test_one_that_goes_and_one_that_comes_are_told(self, around: Surroundings) -> None:
        around.watch_events.tier("DELETED", tier(2))
        assert (around.cache.tier("pro"), await self.looked_at(around)) == (None, "ad")
        around.watch_events.tier("ADDED", tier(3))
        assert await self.looked_at(around) == "ad"

    async def test_at_the_start_the_sweep_compares(self) -> None:
        around = Surroundings()
        around.watch_events.account(LISTED, account(100, {"tier": "pro"}, status=DONE))
        around.watch_events.tier(LISTED, tier(2, {"quota": {"limit": 7}}))
        assert around.cache.tier("pro") is not None
        assert await around.queued() == []


async def test_what_is_told_counts_as_heard(around: Surroundings) -> None:
    around.watch_health.listed(ACME, "100")
    assert around.watch_health.silence_s() > 0
    around.watch_events.account("MODIFIED", account(100))
    assert around.watch_health.silence_s() == 0
