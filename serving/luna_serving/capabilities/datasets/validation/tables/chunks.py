"""Chunks: what the readers hand to the checks, whatever the file's format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.contract import TableContract


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of a file."""

    rows: NDArray[np.int64]
    """0-based data row of each in the file. Rows that could not be read are missing here, and counted."""
    columns: Mapping[str, pa.Array]
    """Times as timestamps, dates, numbers or text; series and enums as dictionaries of text; values as float64."""
    bad: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Cells by column that could not be parsed, and were reported: null in `columns`, but not missing."""


@dataclass(slots=True)
class Shape:
    """What a reader knows of a table before its rows, and counts while it reads them."""

    format: str
    columns: dict[str, str] = field(default_factory=dict)
    """Type by name, in the file's order."""
    nulls: dict[str, int] = field(default_factory=dict)
    """Missing values by column, of the columns that were read."""
    missing: set[str] = field(default_factory=set)
    """Columns of the contract that the file lacks."""


class Reader(Protocol):
    """Reads one file."""

    shape: Shape

    def chunks(self) -> Iterator[Chunk]:
        """The rows.

        Raises:
            tally.Stopped: the file cannot be read further; a finding says why.
            Restart: the file must be read in another way, from its beginning.
        """
        ...


class Restart(Exception):
    """Cells do not have the type that the beginning of the file suggested."""


def wanted(contract: TableContract) -> tuple[str, ...]:
    """The columns that a contract names, each once."""
    series = () if contract.series_column is None else (contract.series_column,)
    named = (contract.time_column, *series, *contract.value_columns, *contract.ranges, *contract.enums)
    return tuple(dict.fromkeys(named))


def numeric(contract: TableContract) -> frozenset[str]:
    """The columns that must hold numbers."""
    roles = {contract.time_column, contract.series_column}
    return frozenset({*contract.value_columns, *contract.ranges} - set(contract.enums) - roles)
