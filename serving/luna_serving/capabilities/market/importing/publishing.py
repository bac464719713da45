"""One import, from files to a version that all replicas serve."""

import asyncio
import hashlib
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.market.importing.listing import Facts, read_actions, read_symbols
from luna_serving.capabilities.market.importing.merging import Base, Written, write_version
from luna_serving.capabilities.market.importing.refusals import ImportRefused
from luna_serving.capabilities.market.importing.spooling import Spool
from luna_serving.objects.client import ObjectStore
from luna_serving.prices.announced import PREFIX, Announced, announce
from luna_serving.prices.files import MEDIA_TYPE, MappedFile
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import CorporateAction, MarketFile
from luna_store.prices import publishing, reading
from luna_store.prices.publishing import Claim, Contents, InstrumentRow

PARQUET: Final = "application/vnd.apache.parquet"
# Replicas look for an announcement each second; larger files are announced so long before they become current.
ANNOUNCED_S: Final = 2.0
LARGE: Final = 16 << 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """What to import."""

    files: Sequence[Path]
    symbols: Path | None = None
    """A table of facts; instruments that it does not name keep theirs."""
    actions: Path | None = None
    """A table of corporate actions; it replaces all actions of the instruments that it names."""
    interval: Interval = Interval.DAY
    """Of files without a column of intervals."""
    replace: bool = False
    """Whether the new version has only what is imported."""
    source: str | None = None
    """A digest of the files, for an import that must not happen twice."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A version was published."""

    data_version: int
    bars: int
    """Of the version."""
    symbols: int
    """Of the version."""
    read: int
    """Bars of the files."""
    added: int
    replaced: int
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each step."""


async def import_files(engine: AsyncEngine, store: ObjectStore, order: Order, work: Path | None = None) -> Imported:
    """Import files into the server's market.

    Until the last step nothing is visible; a process that is killed leaves garbage, which retention removes.

    Args:
        engine: where rows are.
        store: where objects are.
        order: what to import.
        work: a folder for files of about 150 bytes per bar; by default among the temporary files.

    Raises:
        ImportRefused: the files are wrong; nothing was changed.
        MarketChanged: another import came first; nothing was changed.
        StoreGone, StoreRefused: the object store cannot be used; nothing was changed.
    """
    begun = time.perf_counter()
    steps = _Steps()
    facts = read_symbols(order.symbols) if order.symbols else {}
    actions = read_actions(order.actions) if order.actions else {}
    with tempfile.TemporaryDirectory(prefix="luna-import-", dir=work, ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with Spool(folder / "spool") as spool:
            for path in order.files:
                await asyncio.to_thread(spool.take, path, order.interval)
            steps.ended("read")
            if not spool.rows and not order.actions and not order.symbols:
                raise ImportRefused("The files hold no bars.")
            current = await reading.newest(engine)
            base = None if order.replace or current is None else await _base(engine, store, current, folder)
            steps.ended("fetch")
            arrow, parquet = folder / "bars.arrow", folder / "bars.parquet"
            written = await asyncio.to_thread(write_version, spool, None if base is None else base.bars, arrow, parquet)
        steps.ended("write")
        contents = await asyncio.to_thread(
            _contents, written, arrow, {} if base is None else base.instruments, facts, actions
        )
        steps.ended("hash")
        name = uuid.uuid4()
        keys = f"{PREFIX}{name}.arrow", f"{PREFIX}{name}.parquet"
        claimed = await publishing.claim(engine, *keys, source=order.source)
        try:
            if claimed.base != (None if current is None else current.version):
                raise publishing.MarketChanged("Another import has published a version meanwhile. Import again.")
            await store.put_file(keys[0], arrow, MEDIA_TYPE)
            await store.put_file(keys[1], parquet, PARQUET)
            steps.ended("store")
            version = await _published(engine, store, claimed, contents, keys[0])
        except Exception:
            if await publishing.give_up(engine, claimed):
                await store.delete_many(keys)
            raise
        steps.ended("publish")
    return Imported(
        version,
        contents.bars,
        len(contents.instruments),
        spool.rows,
        written.added,
        written.replaced,
        time.perf_counter() - begun,
        steps.seconds,
    )


async def _published(engine: AsyncEngine, store: ObjectStore, claimed: Claim, contents: Contents, key: str) -> int:
    """Announce the file, give replicas time to map a large one, and make the version current."""
    file = MarketFile(key, contents.digest, contents.bytes)
    await announce(store, Announced((claimed.base or 0) + 1, file))
    if file.bytes > LARGE:
        await asyncio.sleep(ANNOUNCED_S)
    return await publishing.publish(engine, claimed, contents)


@dataclass(frozen=True, slots=True)
class _Before:
    """The current version."""

    bars: Base
    instruments: Mapping[str, InstrumentRow]


async def _base(engine: AsyncEngine, store: ObjectStore, current: Any, folder: Path) -> _Before:  # noqa: ANN401  a Row
    place = folder / "base.arrow"
    await store.get_file(current.arrow_key, place)
    instruments, series = await reading.contents(engine, current.id)
    rows = {(row.symbol, Interval(row.interval)): (row.first_row, row.bars) for row in series}
    known = {
        row.symbol: InstrumentRow(row.symbol, row.name, row.exchange, row.currency, row.type, row.actions)
        for row in instruments
    }
    return _Before(Base(await asyncio.to_thread(MappedFile, place), rows), known)


def _contents(
    written: Written,
    arrow: Path,
    before: Mapping[str, InstrumentRow],
    facts: Mapping[str, Facts],
    actions: Mapping[str, Sequence[CorporateAction]],
) -> Contents:
    symbols = dict.fromkeys(each.symbol for each in written.series)
    for what, named in (("symbols", facts), ("actions", actions)):
        if strangers := [symbol for symbol in named if symbol not in symbols]:
            raise ImportRefused(
                f"The file of {what} names {strangers[0]!r}, of which there are no bars"
                + (f", and {len(strangers) - 1} more" if len(strangers) > 1 else "")
                + ". Import their bars with it, or remove the rows."
            )
    if not symbols:
        raise ImportRefused("The market would be empty: import bars first.")
    with arrow.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Contents(
        [_instrument(symbol, before.get(symbol), facts.get(symbol), actions.get(symbol)) for symbol in symbols],
        written.series,
        digest,
        arrow.stat().st_size,
        _EPOCH + timedelta(microseconds=max(each.last_us for each in written.series)),
    )


def _instrument(
    symbol: str, before: InstrumentRow | None, facts: Facts | None, actions: Sequence[CorporateAction] | None
) -> InstrumentRow:
    kept = before or InstrumentRow(symbol)
    known = facts or Facts(kept.name, kept.exchange, kept.currency, kept.type)
    rows = kept.actions if actions is None else [(a.ex_date.isoformat(), a.kind.value, a.value) for a in actions]
    return InstrumentRow(symbol, known.name, known.exchange, known.currency, known.type, tuple(rows))


class _Steps:
    """Measures how long steps take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def ended(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step], self._last = now - self._last, now
