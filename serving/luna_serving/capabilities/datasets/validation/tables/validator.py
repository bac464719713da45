"""Validates one table. Runs in a child of the sandbox: see `sandbox.server.Validator`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from luna_serving.capabilities.datasets.validation.contract import OhlcvContract, SetType, TableContract, XrayContract
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.findings import Finding
from luna_serving.capabilities.datasets.validation.sandbox.messages import finding_message
from luna_serving.capabilities.datasets.validation.sandbox.server import Emit
from luna_serving.capabilities.datasets.validation.tables import rules
from luna_serving.capabilities.datasets.validation.tables.bars import check_bars
from luna_serving.capabilities.datasets.validation.tables.chunks import Chunk, Reader, Restart, numeric
from luna_serving.capabilities.datasets.validation.tables.columnar_reader import ColumnarReader
from luna_serving.capabilities.datasets.validation.tables.csv_reader import CsvReader
from luna_serving.capabilities.datasets.validation.tables.formats import Format
from luna_serving.capabilities.datasets.validation.tables.grouping import (
    LONGEST_NAME,
    MOST_SERIES,
    SeriesNames,
    together,
)
from luna_serving.capabilities.datasets.validation.tables.recognising import Recognised, recognised
from luna_serving.capabilities.datasets.validation.tables.schedule import Schedule, Times
from luna_serving.capabilities.datasets.validation.tables.tally import Stopped, Tally, shortened
from luna_serving.capabilities.datasets.validation.tables.times import TimeColumn, iso
from luna_serving.capabilities.datasets.validation.tables.values import EnumColumn, ValueColumn

MOST_SERIES_SHOWN: Final = 10_000
"""Series whose times a summary lists, for checks of the whole set."""
_PROGRESS_ROWS: Final = 500_000


def validate(arguments: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Validate a table.

    Args:
        arguments: `file`, its place on this machine; `path`, its name in the set; `type` and `contract`.
        emit: takes findings and progress.

    Returns:
        the summary of the file; see `_Check.summary`.
    """
    contract = contract_of(SetType(arguments["type"]), arguments["contract"])
    if isinstance(contract, XrayContract):
        raise TypeError("A table has a contract of type series or ohlcv.")
    kept: list[Finding] = []
    tally = Tally(arguments["path"], kept.append)
    file = Path(arguments["file"])
    summary: Mapping[str, Any] = {"coverage": [], "checked": False}
    try:
        what = recognised(file, arguments["path"], tally)
        summary = _checked(file, what, contract, tally, kept, emit)
    except Stopped:
        pass
    tally.close()
    for finding in kept:
        emit(finding_message(finding))
    return summary


def _checked(
    file: Path, what: Recognised, contract: TableContract, tally: Tally, kept: list[Finding], emit: Emit
) -> Mapping[str, Any]:
    if what.format is not Format.CSV:
        return _Check(ColumnarReader(file, what.format, contract, tally), contract, tally).run(emit)
    before = len(kept)
    try:
        return _Check(CsvReader(file, what.compression, contract, tally, as_text=False), contract, tally).run(emit)
    except Restart:
        # What the first reading found, the second finds again.
        tally.clear()
        del kept[before:]
        return _Check(CsvReader(file, what.compression, contract, tally, as_text=True), contract, tally).run(emit)


class _Check:
    """All checks of one file."""

    def __init__(self, reader: Reader, contract: TableContract, tally: Tally) -> None:
        self._reader, self._contract, self._tally = reader, contract, tally
        self._names = SeriesNames()
        self._time = TimeColumn(contract.time_column, contract.timezone, tally)
        self._times = Times(contract, tally, lambda number: self._names.names[number])
        constant = contract.value_columns
        self._values = {
            name: ValueColumn(
                name, contract.ranges.get(name, (None, None)), contract.allows_null(name), tally, name in constant
            )
            for name in sorted(numeric(contract) - reader.shape.missing)
        }
        self._enums = [
            EnumColumn(name, allowed, contract.allows_null(name), tally)
            for name, allowed in contract.enums.items()
            if name not in reader.shape.missing
        ]
        self._rows = 0

    def run(self, emit: Emit) -> Mapping[str, Any]:
        """Read and check to the end, or to where the file cannot be read further."""
        complete = True
        told = 0
        try:
            for chunk in self._reader.chunks():
                self._chunk(chunk)
                if self._rows - told >= _PROGRESS_ROWS:
                    told = self._rows
                    emit({"progress": {"rows": self._rows}})
        except Stopped:
            complete = False
        if complete and not self._rows:
            self._tally.now(rules.EMPTY, "The table has a header and no rows.")
        for column in self._values.values():
            column.close()
        return self._summary(self._times.close(), complete)

    def _chunk(self, chunk: Chunk) -> None:
        contract, rows = self._contract, chunk.rows
        self._rows += rows.size
        if not rows.size:
            return
        columns = chunk.columns
        values = {
            name: each.check(columns[name], rows, chunk.bad.get(name))
            for name, each in self._values.items()
            if name in columns
        }
        for enum in self._enums:
            enum.check(chunk.columns[enum.name], rows)
        if isinstance(contract, OhlcvContract):
            check_bars(contract, values, rows, self._tally)
        instants = self._time.instants(columns[contract.time_column], rows, chunk.bad.get(contract.time_column))
        series, usable = self._series(chunk), instants.valid
        if contract.series_column is not None and series.min() < 0:
            unnamed = series < 0
            reported = chunk.bad.get(contract.series_column, np.zeros(rows.size, bool))
            message = f"Column {contract.series_column!r} is empty."
            self._tally.rows(rules.NO_SERIES, message, rows[unnamed & ~reported], column=contract.series_column)
            usable = usable & ~unnamed
        us = instants.us
        if not usable.all():
            series, us, rows = series[usable], us[usable], rows[usable]
            values = {name: each[usable] for name, each in values.items()}
        known = len(self._names.names)
        if (order := together(series, known)) is not None:
            series, us, rows = series[order], us[order], rows[order]
            values = {name: each[order] for name, each in values.items()}
        if not series.size:
            return
        starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
        self._times.feed(series, us, rows, known=known, zoned=bool(self._time.zoned))
        for name, each in values.items():
            self._values[name].follow(each, series, rows, starts, known)

    def _series(self, chunk: Chunk) -> Any:  # noqa: ANN401  an array
        name = self._contract.series_column
        if name is None:
            return self._names.single(chunk.rows.size)
        numbers = self._names.numbers(chunk.columns[name])
        for bad in self._names.take_unusable():
            message = f"Column {name!r} has a name of more than {LONGEST_NAME} characters."
            self._tally.now(rules.LONG_NAME, message, column=name, value=shortened(bad))
        if len(self._names.names) > MOST_SERIES:
            message = f"Column {name!r} names more than {MOST_SERIES:,} series."
            self._tally.now(rules.TOO_LARGE, message, column=name, row=int(chunk.rows[0]))
            raise Stopped
        return numbers

    def _summary(self, schedule: Schedule, complete: bool) -> Mapping[str, Any]:
        """What the file holds, as JSON."""
        shape, clock = self._reader.shape, schedule.clock
        there = np.flatnonzero(clock.counts > 0)
        coverage = list(self._times.coverage)
        if not complete:
            reason = f"the file cannot be read beyond row {self._rows:,}"
            coverage.append({"check": "the rest of the file", "reason": reason})
        if others := [name for name in shape.columns if name not in shape.nulls]:
            reason = "the contract does not name them"
            coverage.append({"check": f"values of {', '.join(others[:10])}", "reason": reason})
        shown = there[:MOST_SERIES_SHOWN]
        if there.size > shown.size:
            reason = f"only the first {MOST_SERIES_SHOWN:,} of {there.size:,} series of a file are compared"
            coverage.append({"check": "series across files", "reason": reason})
        return {
            "checked": True,
            "complete": complete,
            "format": shape.format,
            "rows": self._rows,
            "columns": [self._column(name, kind) for name, kind in shape.columns.items()],
            "series_count": int(there.size),
            "start": iso(int(clock.first[there].min())) if there.size else None,
            "end": iso(int(clock.greatest[there].max())) if there.size else None,
            "times": self._time.kind,
            "frequency": None if schedule.frequency is None else str(schedule.frequency),
            "shortest": int(clock.counts[there].min()) if there.size else 0,
            "longest": int(clock.counts[there].max()) if there.size else 0,
            "series": [
                [self._names.names[i], int(clock.counts[i]), int(clock.first[i]), int(clock.greatest[i])]
                for i in shown.tolist()
            ],
            "coverage": coverage,
        }

    def _column(self, name: str, kind: str) -> Mapping[str, Any]:
        shown: dict[str, Any] = {"name": name, "type": kind, "nulls": self._reader.shape.nulls.get(name)}
        if (column := self._values.get(name)) is not None and column.least <= column.greatest:
            shown.update(least=column.least, greatest=column.greatest)
        return shown
