"""Sorts rows by series on disk: blocks come in the order of the files, series go out one after the other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.market.importing.checking import NOT_IMPORTED, Order, check_values, when
from luna_serving.capabilities.market.importing.reading import Block, blocks_of
from luna_serving.capabilities.market.importing.refusals import MOST_SHOWN, ImportRefused, Wrong
from luna_serving.engines.indicators.bars import COLUMNS
from luna_serving.prices.intervals import Interval

Key = tuple[str, Interval]
"""A series: symbol and interval."""
# A row on disk: its time, its prices and volume, its row in the file.
_WIDTH: Final = 8 * (2 + len(COLUMNS))


@dataclass(frozen=True, slots=True)
class SeriesBars:
    """Sorted bars of a series."""

    us: NDArray[np.int64]
    """[T]"""
    values: NDArray[np.float64]
    """[5, T]"""


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive bars of a series, of one block."""

    offset: int
    """In the spool, bytes."""
    rows: int
    file: int


class Spool:
    """A file of runs. It is removed at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._numbers: dict[Key, int] = {}
        self._runs: list[list[_Run]] = []
        self._files: list[str] = []
        self._size = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def take(self, path: Path, interval: Interval) -> None:
        """Check and take all rows of a file.

        Raises:
            ImportRefused: a row is wrong.
        """
        number = len(self._files)
        self._files.append(str(path))
        order = Order(str(path))
        for block in blocks_of(path, interval):
            check_values(block)
            self._add(block, number, order)
        self._file.flush()

    def keys(self) -> Sequence[Key]:
        """All series, by symbol and interval."""
        order = list(Interval)
        return sorted(self._numbers, key=lambda key: (key[0], order.index(key[1])))

    def bars(self, key: Key) -> SeriesBars:
        """The bars of a series, of all files.

        Raises:
            ImportRefused: two files have the same bar.
        """
        runs = self._runs[self._numbers[key]]
        parts = [self._read(run) for run in runs]
        us = np.concatenate([each[0] for each in parts])
        values = np.concatenate([each[1] for each in parts], axis=1)
        if bool((us[1:] > us[:-1]).all()):
            return SeriesBars(us, values)
        by_time = np.argsort(us, kind="stable")
        us = us[by_time]
        twice = np.flatnonzero(us[1:] == us[:-1])
        if twice.size:
            rows = np.concatenate([each[2] for each in parts])[by_time]
            files = np.repeat([run.file for run in runs], [run.rows for run in runs])[by_time]
            wrong = [
                Wrong(
                    self._files[files[at + 1]],
                    int(rows[at + 1]),
                    key[0],
                    f"The bar of {when(int(us[at]))} is also in {self._files[files[at]]}, row {int(rows[at]):,}.",
                )
                for at in twice[:MOST_SHOWN].tolist()
            ]
            raise ImportRefused(NOT_IMPORTED, tuple(wrong), twice.size)
        return SeriesBars(us, values[:, by_time])

    def _add(self, block: Block, file: int, order: Order) -> None:
        series = self._series(block)
        by_series: NDArray[np.int64] | None = None
        if not bool((series[1:] >= series[:-1]).all()):
            by_series = np.argsort(series, kind="stable")
            series = series[by_series]
        starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]).tolist()
        order.check(block, series, by_series, starts)
        us, values = block.us, block.values
        rows = np.arange(block.first_row, block.first_row + series.size)
        if by_series is not None:
            us, values, rows = us[by_series], values[:, by_series], rows[by_series]
        # Row by row on disk, so that a run is one piece.
        written = np.empty((series.size, _WIDTH // 8), np.int64)
        written[:, 0], written[:, 1] = us, rows
        written[:, 2:] = np.ascontiguousarray(values).view(np.int64).T
        self._file.write(written.data)
        for start, end in zip(starts, [*starts[1:], series.size], strict=True):
            self._runs[int(series[start])].append(_Run(self._size + start * _WIDTH, end - start, file))
        self._size += written.nbytes
        self.rows += series.size

    def _series(self, block: Block) -> NDArray[np.int32]:
        """The number of the series of each row."""
        several = len(block.intervals) > 1
        codes = block.symbol * len(block.intervals) + block.interval if several else block.symbol
        known = np.full(len(block.symbols) * len(block.intervals), -1, np.int32)
        there = np.flatnonzero(np.bincount(codes, minlength=known.size)) if known.size else np.empty(0, np.int64)
        for code in there.tolist():
            symbol, interval = divmod(code, len(block.intervals))
            key = (block.symbols[symbol], block.intervals[interval])
            number = self._numbers.setdefault(key, len(self._runs))
            if number == len(self._runs):
                self._runs.append([])
            known[code] = number
        return known[codes]

    def _read(self, run: _Run) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        data = np.frombuffer(os.pread(self._file.fileno(), run.rows * _WIDTH, run.offset), np.int64)
        table = data.reshape(run.rows, -1)
        return table[:, 0], np.ascontiguousarray(table[:, 2:].T).view(np.float64), table[:, 1]
