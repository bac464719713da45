"""An import that is killed at any step leaves the old version or the whole new one, and nothing for ever."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from tests.capabilities.market.market import csv_file, imported, rows

from luna_serving.capabilities.market.loops import loops
from luna_serving.capabilities.market.settings import MarketSettings
from luna_serving.jobs.background import Background
from luna_serving.prices.announced import KEY, PREFIX
from luna_store.platform.leases import acquire
from luna_store.prices import reading, retention

if TYPE_CHECKING:
    from pathlib import Path

    from tests.store.stores import Store

    from luna_serving.local.servers.seaweedfs import SeaweedServer
    from luna_serving.objects.client import ObjectStore

# Each call after which an import changes something that outlives it, and whether the new version is there then.
STEPS = {
    "claim:before": False,
    "claim:after": False,
    "put_file:before": False,
    "put_file:after": False,
    "announce:before": False,
    "announce:after": False,
    "publish:before": False,
    "publish:after": True,
}


async def killed(store: Store, server: SeaweedServer, step: str, path: Path) -> None:
    environment = os.environ | server.environment
    environment |= {
        "DATABASE_URL": store.engine.url.render_as_string(hide_password=False).replace("+psycopg", ""),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = (sys.executable, "-m", "tests.capabilities.market.dying", step, str(path))
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    assert await process.wait() == -signal.SIGKILL


async def keys(objects: ObjectStore) -> set[str]:
    return {each.key async for each in objects.list(PREFIX)} - {KEY}


async def retained(store: Store, objects: ObjectStore, **settings: float) -> None:
    """Run retention once."""
    lease = await acquire(store.engine, f"test.{secrets.token_hex(4)}", "test", lasts_s=60)
    assert lease is not None
    loop = next(
        each
        for each in loops(MarketSettings(sweep_grace_s=0, unfinished_hours=1e-6, **settings))
        if each.name == "market.retention"
    )
    await asyncio.sleep(0.01)
    await loop.run(Background(store.engine, store.redis, objects), lease)


@pytest.mark.parametrize(("step", "published"), STEPS.items(), ids=STEPS)
async def test_killed_there_the_market_is_old_or_new_and_whole(
    store: Store, objects: ObjectStore, object_server: SeaweedServer, tmp_path: Path, step: str, published: bool
) -> None:
    await imported(store, objects, csv_file(tmp_path / "old.csv", rows("A", 3)))
    await killed(store, object_server, step, csv_file(tmp_path / "new.csv", rows("A", 7, "2020-01-02") + rows("B", 5)))
    newest = await reading.newest(store.engine)
    assert newest is not None
    assert (newest.version, newest.bars) == ((2, 13) if published else (1, 3))
    series = await store.scalar("SELECT sum(bars) FROM price_series WHERE version_id = :id", id=newest.id)
    assert series == newest.bars
    # What is left over goes, what is current stays, and the next import works.
    await retained(store, objects)
    versions = int(await store.scalar("SELECT count(*) FROM price_versions"))  # type: ignore[call-overload]
    assert versions == newest.version
    stored = await keys(objects)
    assert len(stored) == 2 * versions
    assert set(await retention.named(store.engine, sorted(stored))) == stored
    after = await imported(store, objects, csv_file(tmp_path / "next.csv", rows("C", 2)))
    assert after.bars == newest.bars + 2


async def test_superseded_versions_go_with_their_objects_when_their_days_are_over(
    store: Store, objects: ObjectStore, tmp_path: Path
) -> None:
    for number in range(3):
        await imported(store, objects, csv_file(tmp_path / f"{number}.csv", rows("A", 3 + number)))
    await retained(store, objects, versions_days=1)
    assert await store.scalar("SELECT count(*) FROM price_versions") == 3
    await store.execute("UPDATE price_versions SET published_at = published_at - interval '2 days' WHERE version < 3")
    await retained(store, objects, versions_days=1)
    # The second was superseded just now, by the third.
    assert await store.scalar("SELECT array_agg(version ORDER BY version) FROM price_versions") == [2, 3]
    assert len(await keys(objects)) == 4
