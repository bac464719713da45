"""Mapped files: right after each write, shared between processes, verified, bounded, and changed without a pause."""

import asyncio
import hashlib
import itertools
import multiprocessing
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from tests.objects.fixture import store_on

from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.objects.client import ObjectStore
from luna_serving.prices import local_files
from luna_serving.prices.announced import Announced, announce, announced
from luna_serving.prices.files import BATCH_ROWS, BarsWriter, MappedFile
from luna_serving.prices.intervals import Interval
from luna_serving.prices.local_files import LocalFiles
from luna_serving.prices.located import SERVER, Adjust, Located, MarketFile
from luna_serving.prices.mapped import BarsUnavailable, MappedMarkets, VersionGone
from luna_serving.prices.metrics import MappedMetrics


def written(path: Path, count: int, value: float = 1.0, pieces: int = 1) -> Path:
    us = np.arange(count) * 60_000_000
    values = np.arange(5 * count, dtype=float).reshape(5, count) * value
    with BarsWriter(path) as writer:
        for part in np.array_split(np.arange(count), pieces):
            writer.write(us[part], values[:, part])
    return path


async def stored(objects: ObjectStore, path: Path) -> MarketFile:
    data = path.read_bytes()  # noqa: ASYNC240  small
    file = MarketFile(f"markets/test/{secrets.token_hex(8)}", hashlib.sha256(data).hexdigest(), len(data))
    await objects.put_bytes(file.key, data)
    return file


def located(file: MarketFile, bars: int, version: int = 1) -> Located:
    when = datetime(2020, 1, 1, tzinfo=UTC)
    return Located(SERVER, version, "A", Interval.MINUTE, file, 0, bars, when, when, when, True, when, ())


def markets_on(objects: ObjectStore, folder: Path, *, most_bytes: int = 1 << 30, most: int = 64) -> MappedMarkets:
    files = LocalFiles(folder, most_bytes)
    return MappedMarkets(objects, files, MappedMetrics(CollectorRegistry()), follow_s=0.02, most=most)


@pytest.fixture
async def markets(objects: ObjectStore, tmp_path: Path) -> AsyncIterator[MappedMarkets]:
    made = markets_on(objects, tmp_path / "here")
    yield made
    await made.close()


@pytest.mark.parametrize("pieces", [1, 7, 400])
def test_every_span_reads_back_what_was_written(tmp_path: Path, pieces: int) -> None:
    count = 2 * BATCH_ROWS + 17
    mapped = MappedFile(written(tmp_path / "bars", count, pieces=pieces))
    assert mapped.rows == count
    whole = np.arange(5 * count, dtype=float).reshape(5, count)
    edges = (0, 1, BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 2 * BATCH_ROWS, count)
    for start, end in itertools.combinations_with_replacement(edges, 2):
        bars = mapped.bars(start, end - start)
        np.testing.assert_array_equal(bars.timestamps.view(np.int64), np.arange(start, end) * 60_000_000)
        for row, name in enumerate(("open", "high", "low", "close", "volume")):
            np.testing.assert_array_equal(bars.column(name), whole[row, start:end])
    for start, rows in ((count, 1), (-1, 1), (0, count + 1)):
        with pytest.raises(IndexError):
            mapped.bars(start, rows)


def test_a_read_within_a_batch_copies_nothing(tmp_path: Path) -> None:
    mapped = MappedFile(written(tmp_path / "bars", 1000))
    first, second = mapped.bars(10, 100), mapped.bars(10, 100)
    assert first.close is not None
    assert second.close is not None
    assert np.shares_memory(first.close, second.close)
    with pytest.raises(ValueError, match="read-only"):
        first.close[0] = 0


async def test_a_file_is_fetched_once_for_all_who_ask(objects: ObjectStore, tmp_path: Path) -> None:
    file = await stored(objects, written(tmp_path / "bars", 1000))
    folder = tmp_path / "here"
    several = [markets_on(objects, folder) for _ in range(3)]
    found = await asyncio.gather(*(each.bars(located(file, 1000), Adjust.NONE) for each in several for _ in range(5)))
    assert all(len(bars) == 1000 for bars in found)
    assert [path.name for path in folder.glob("*.arrow")] == [f"{file.digest}.arrow"]
    # Without the object: the file is here.
    await objects.delete(file.key)
    another = markets_on(objects, folder)
    assert len(await another.bars(located(file, 1000))) == 1000
    for each in (*several, another):
        await each.close()


async def test_an_object_that_is_not_the_versions_file_is_refused(
    objects: ObjectStore, markets: MappedMarkets, tmp_path: Path
) -> None:
    file = await stored(objects, written(tmp_path / "bars", 1000))
    await objects.put_bytes(file.key, written(tmp_path / "other", 1000, value=2.0).read_bytes())
    with pytest.raises(BarsUnavailable, match="digest"):
        await markets.bars(located(file, 1000))
    await objects.delete(file.key)
    with pytest.raises(VersionGone):
        await markets.bars(located(file, 1000))
    assert list((tmp_path / "here").glob("*.arrow")) == []


async def test_a_folder_that_others_may_write_to_is_refused(objects: ObjectStore, tmp_path: Path) -> None:
    file = await stored(objects, written(tmp_path / "bars", 10))
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    markets = markets_on(objects, tmp_path / "open")
    with pytest.raises(BarsUnavailable, match="others may write"):
        await markets.bars(located(file, 10))


def _hold_lock(path: str, held: "multiprocessing.synchronize.Event") -> None:  # type: ignore[name-defined]
    async def hold() -> None:
        async with local_files.locked(Path(path)):
            held.set()
            await asyncio.sleep(3600)

    asyncio.run(hold())


async def test_a_process_that_is_killed_while_it_fetches_holds_nobody_up(
    objects: ObjectStore, markets: MappedMarkets, tmp_path: Path
) -> None:
    file = await stored(objects, written(tmp_path / "bars", 1000))
    (tmp_path / "here").mkdir(mode=0o700)
    # What it has left: half a download, and the lock.
    (tmp_path / "here" / f"{file.digest}.part").write_bytes(b"half")
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold_lock, args=(str(tmp_path / "here" / f"{file.digest}.lock"), held))
    process.start()
    assert await asyncio.to_thread(held.wait, 60)
    waiting = asyncio.create_task(markets.bars(located(file, 1000)))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    process.kill()
    await asyncio.to_thread(process.join)
    assert len(await asyncio.wait_for(waiting, 30)) == 1000


async def test_the_folder_and_the_mappings_are_bounded_and_a_mapped_file_outlives_its_name(
    objects: ObjectStore, tmp_path: Path
) -> None:
    files = [await stored(objects, written(tmp_path / f"{i}", 5000, value=float(i + 1))) for i in range(4)]
    folder = tmp_path / "here"
    markets = markets_on(objects, folder, most_bytes=int(2.5 * files[0].bytes), most=3)
    held = await markets.bars(located(files[0], 5000), Adjust.NONE)
    for i, file in enumerate(files):
        bars = await markets.bars(located(file, 5000), Adjust.NONE)
        assert bars.close is not None
        assert bars.close[1] == 15001.0 * (i + 1)
    here = {path.stem for path in folder.glob("*.arrow")}
    assert len(here) == 2
    assert files[3].digest in here
    assert held.close is not None
    assert held.close[4999] == 19999.0
    await markets.close()


async def test_a_replica_maps_ahead_and_follows_without_a_pause(objects: ObjectStore, tmp_path: Path) -> None:
    one = await stored(objects, written(tmp_path / "one", 1000))
    two = await stored(objects, written(tmp_path / "two", 1000, value=2.0))
    await announce(objects, Announced(1, one))
    assert await announced(objects) == Announced(1, one)
    markets = markets_on(objects, tmp_path / "here")
    await markets.warm_up()
    for file in (one, two):
        await announce(objects, Announced(2, file))
        until = asyncio.get_running_loop().time() + 30
        while not (tmp_path / "here" / f"{file.digest}.arrow").exists():
            assert asyncio.get_running_loop().time() < until
            # The version that calls still name is read meanwhile.
            assert len(await markets.bars(located(one, 1000))) == 1000
            await asyncio.sleep(0.01)
    await objects.delete(two.key)
    assert len(await markets.bars(located(two, 1000, version=2))) == 1000
    await markets.close()


async def test_without_a_store_warm_up_goes_on_and_calls_say_so(object_server: SeaweedServer, tmp_path: Path) -> None:
    async with store_on(object_server, s3_endpoint="http://127.0.0.1:9") as nowhere:
        markets = markets_on(nowhere, tmp_path / "here")
        await markets.warm_up()
        with pytest.raises(BarsUnavailable):
            await markets.bars(located(MarketFile("k", "0" * 64, 1), 1))
        await markets.close()
