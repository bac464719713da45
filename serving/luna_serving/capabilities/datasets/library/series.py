"""Series of valid sets, for requests of other capabilities that name them."""

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.datasets.library.copies import Copies
from luna_serving.capabilities.datasets.store.reading import find, object_of
from luna_serving.capabilities.datasets.store.records import Kind, SetNotFound, SetRecord, State
from luna_serving.capabilities.datasets.validation.canonical.reading import CanonicalCopy, SeriesValues
from luna_serving.capabilities.datasets.wire.reading import read_reference
from luna_serving.dispatch.series import FoundSeries, Origin, SeriesBounds, SeriesReference
from luna_serving.objects.errors import ObjectMissing, StoreGone, StoreRefused
from luna_serving.wire import problems
from luna_serving.wire.pointers import cut
from luna_serving.wire.problems import FieldError, Problem
from luna_store.platform.postgres import POSTGRES_GONE

# Names of series or columns that an error repeats.
SHOWN: Final = 10


class SetSeries:
    """Implements `luna_serving.dispatch.series.SeriesSource`."""

    def __init__(self, engine: AsyncEngine, copies: Copies) -> None:
        self._engine = engine
        self._copies = copies

    async def find(self, account_id: int, reference: SeriesReference, bounds: SeriesBounds, at: str) -> FoundSeries:
        """The series of a valid set."""
        try:
            record = await find(self._engine, account_id, read_reference(reference.dataset, f"{at}/dataset"))
            key = await object_of(self._engine, record.id, Kind.TABLE)
        except SetNotFound as e:
            raise problems.invalid(FieldError(f"{at}/dataset", str(e))) from e
        except POSTGRES_GONE as e:
            raise problems.dependencies_gone("The store of data sets") from e
        digest = _usable(record, key, at)
        try:
            copy = await self._copies.of(digest, key or "")
        except (ObjectMissing, StoreGone, StoreRefused) as e:
            raise problems.dependencies_gone("The object store") from e
        names, columns = _chosen(copy, record, reference, bounds, at)
        values = await asyncio.to_thread(copy.read, names, columns)
        return FoundSeries(
            Origin(record.name, record.version, digest), names, [_array(values[name], columns) for name in names]
        )


def _usable(record: SetRecord, key: str | None, at: str) -> str:
    """The digest of a set that has series.

    Raises:
        Problem: 422.
    """
    if record.state is not State.VALID:
        wrong = f"{record.reference} is {record.state}: only a valid data set can be used."
        raise problems.invalid(FieldError(f"{at}/dataset", wrong))
    if key is None or record.digest is None:
        raise problems.invalid(
            FieldError(f"{at}/dataset", f"{record.reference} has no series: its type is {record.type}.")
        )
    return record.digest


def _chosen(
    copy: CanonicalCopy, record: SetRecord, reference: SeriesReference, bounds: SeriesBounds, at: str
) -> tuple[Sequence[str], Sequence[str]]:
    """The names of the series and columns that are asked for.

    Raises:
        Problem: 422.
    """
    names = tuple(copy.series) if reference.series is None else reference.series
    known = set(copy.series)
    for i, name in enumerate(names):
        if name not in known:
            raise _unknown(f"{at}/series/{i}", "series", name, copy.series, record)
    columns = _default(copy, record) if reference.columns is None else reference.columns
    for name in columns:
        if name not in copy.columns:
            raise _unknown(f"{at}/columns", "column of numbers", name, copy.columns, record)
    if len(names) > bounds.series:
        wrong = (
            f"Are {len(names)} series of {record.reference}; at most {bounds.series} are taken. Name fewer in `series`."
        )
        raise problems.invalid(FieldError(at, wrong))
    for name, length in zip(names, copy.lengths(names), strict=True):
        if length > bounds.points:
            wrong = f"Series {cut(name, 64)!r} has {length} points; at most {bounds.points} are taken."
            raise problems.invalid(FieldError(at, wrong))
    return names, columns


def _default(copy: CanonicalCopy, record: SetRecord) -> Sequence[str]:
    """The columns of the contract; of bars the price at their end."""
    if record.type == "ohlcv":
        return (str(record.contract.get("close") or "close"),)
    stated = record.contract.get("value_columns", ())
    return tuple(name for name in stated if name in copy.columns)


def _array(values: SeriesValues, columns: Sequence[str]) -> NDArray[np.float64]:
    if len(columns) == 1:
        return values.columns[columns[0]]
    return np.column_stack([values.columns[name] for name in columns])


def _unknown(pointer: str, what: str, name: str, known: Sequence[str], record: SetRecord) -> Problem:
    first = ", ".join(cut(each, 64) for each in known[:SHOWN])
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    wrong = f"{record.reference} has no {what} {cut(name, 64)!r}. It has {first}{more}."
    return problems.invalid(FieldError(pointer, wrong))
