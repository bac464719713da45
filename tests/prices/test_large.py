"""Long histories are read beside the event loop; a file that is no bars, and a lock that is old, are no trap."""

import asyncio
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.prices.test_mapped import located, markets_on, stored, written

from luna_serving.objects.client import ObjectStore
from luna_serving.prices import local_files, mapped
from luna_serving.prices.adjusting import adjusted
from luna_serving.prices.local_files import LEFT_OVER_S, LocalFiles
from luna_serving.prices.located import Adjust
from luna_serving.prices.mapped import BarsUnavailable


async def test_a_long_history_does_not_hold_the_event_loop(
    objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[int, int] = {}

    def noted(bars: object, actions: object, adjust: Adjust) -> object:
        threads[len(bars)] = threading.get_ident()  # type: ignore[arg-type]
        return adjusted(bars, actions, adjust)  # type: ignore[arg-type]

    monkeypatch.setattr(mapped, "adjusted", noted)
    count = mapped.ASIDE_BARS + 1
    file = await stored(objects, written(tmp_path / "bars", count))
    markets = markets_on(objects, tmp_path / "here")
    whole = await markets.bars(located(file, count))
    part = await markets.bars(located(file, 100))
    await markets.close()
    assert threads[100] == threading.get_ident()
    assert threads[count] != threading.get_ident()
    assert part.close is not None
    assert whole.close is not None
    np.testing.assert_array_equal(whole.close[:100], part.close)


async def test_a_file_that_holds_no_bars_is_unavailable(objects: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "strange").write_bytes(b"no bars at all")
    file = await stored(objects, tmp_path / "strange")
    markets = markets_on(objects, tmp_path / "here")
    with pytest.raises(BarsUnavailable):
        await markets.bars(located(file, 10))
    await markets.close()


async def test_a_lock_that_is_held_keeps_its_name_however_old_it_is(objects: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir(mode=0o700)
    lock = folder / "held.lock"
    lock.touch()
    old = datetime.now(UTC).timestamp() - 2 * LEFT_OVER_S
    os.utime(lock, (old, old))
    file = await stored(objects, written(tmp_path / "bars", 10))
    async with local_files.locked(lock):
        await LocalFiles(folder, 1 << 30).path_of(objects, file)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), local_files.locked(lock):
                pass
