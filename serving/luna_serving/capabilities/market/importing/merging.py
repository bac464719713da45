"""Adds imported bars to those that the market has, and writes the files of the new version."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from luna_serving.capabilities.market.importing.spooling import Key, SeriesBars, Spool
from luna_serving.engines.indicators.bars import COLUMNS
from luna_serving.prices.files import BarsWriter, MappedFile
from luna_serving.prices.intervals import Interval
from luna_store.prices.publishing import SeriesRow

PARQUET_SCHEMA: Final = pa.schema(
    [
        ("symbol", pa.dictionary(pa.int32(), pa.string())),
        ("interval", pa.dictionary(pa.int32(), pa.string())),
        ("timestamp", pa.timestamp("us", "UTC")),
        *((name, pa.float64()) for name in COLUMNS),
    ]
)
GROUP_ROWS: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class Base:
    """The bars of the current version."""

    file: MappedFile
    rows: Mapping[Key, tuple[int, int]]
    """First row and number of rows by series."""


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a version were written."""

    series: tuple[SeriesRow, ...]
    added: int
    """Bars that were not there before."""
    replaced: int
    """Bars that were there before, with other values or the same."""


def write_version(spool: Spool, base: Base | None, arrow: Path, parquet: Path) -> Written:
    """Write the bars of a version: those of the base, with those of the spool added or in their place.

    Holds one series and one batch in memory.

    Raises:
        ImportRefused: two files have the same bar.
    """
    series: list[SeriesRow] = []
    first = added = replaced = 0
    with BarsWriter(arrow) as bars, _ParquetWriter(parquet) as table:
        for key, new, old in _both(spool, base):
            merged = old if new is None else new if old is None else _merged(old, new)
            assert merged is not None  # noqa: S101  a key is of one or both
            count = merged.us.size
            if new is not None:
                grown = count - (0 if old is None else old.us.size)
                added += grown
                replaced += new.us.size - grown
            bars.write(merged.us, merged.values)
            table.write(key, merged)
            series.append(SeriesRow(key[0], key[1].value, first, count, int(merged.us[0]), int(merged.us[-1])))
            first += count
    return Written(tuple(series), added, replaced)


def _both(spool: Spool, base: Base | None) -> Iterator[tuple[Key, SeriesBars | None, SeriesBars | None]]:
    new = set(spool.keys())
    old = {} if base is None else base.rows
    order = list(Interval)
    for key in sorted(new | set(old), key=lambda each: (each[0], order.index(each[1]))):
        kept = None
        if base is not None and key in old:
            found = base.file.bars(*old[key])
            columns = [column for name in COLUMNS if (column := found.column(name)) is not None]
            kept = SeriesBars(found.timestamps.view(np.int64), np.stack(columns))
        yield key, spool.bars(key) if key in new else None, kept


def _merged(old: SeriesBars, new: SeriesBars) -> SeriesBars:
    if new.us[0] > old.us[-1]:
        us = np.concatenate([old.us, new.us])
        return SeriesBars(us, np.concatenate([old.values, new.values], axis=1))
    kept = ~np.isin(old.us, new.us, assume_unique=True)
    us = np.concatenate([old.us[kept], new.us])
    by_time = np.argsort(us, kind="stable")
    values = np.concatenate([old.values[:, kept], new.values], axis=1)
    return SeriesBars(us[by_time], values[:, by_time])


class _ParquetWriter:
    """Writes the same bars for other programs; holds one row group."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(
            path,
            PARQUET_SCHEMA,
            compression="zstd",
            compression_level=1,
            use_dictionary=["symbol", "interval"],
            write_statistics=["symbol", "interval", "timestamp"],
        )
        self._held: list[tuple[Key, SeriesBars]] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write(self, key: Key, bars: SeriesBars) -> None:
        at = 0
        while at < bars.us.size:
            end = min(bars.us.size, at + GROUP_ROWS - self._rows)
            self._held.append((key, SeriesBars(bars.us[at:end], bars.values[:, at:end])))
            self._rows += end - at
            at = end
            if self._rows == GROUP_ROWS:
                self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        counts = [bars.us.size for _, bars in self._held]
        us = np.concatenate([bars.us for _, bars in self._held])
        columns = [
            _words([key[0] for key, _ in self._held], counts),
            _words([key[1].value for key, _ in self._held], counts),
            pa.array(us, pa.int64()).cast(PARQUET_SCHEMA.field("timestamp").type),
        ]
        for i in range(len(COLUMNS)):
            column = np.concatenate([bars.values[i] for _, bars in self._held])
            missing = np.isnan(column)
            columns.append(pa.array(column, mask=missing) if missing.any() else pa.array(column))
        self._writer.write_table(pa.Table.from_arrays(columns, schema=PARQUET_SCHEMA), row_group_size=GROUP_ROWS)
        self._held, self._rows = [], 0


def _words(words: list[str], counts: list[int]) -> pa.Array:
    names = list(dict.fromkeys(words))
    places = {name: i for i, name in enumerate(names)}
    codes = np.repeat(np.array([places[word] for word in words], np.int32), counts)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string()))
