"""What travels to the replica and back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

Form = Literal["json", "arrow", "parquet", "columns"]
COLUMNS: Final = ("sign", "underlying", "strike", "rate", "dividend_yield", "expiry", "volatility", "price")


@dataclass(frozen=True, slots=True, eq=False)
class PricingJob:
    """Options to evaluate."""

    columns: Mapping[str, Any]
    """By the names of COLUMNS: arrays of `rows` numbers, or numbers."""
    rows: int
    outputs: tuple[str, ...]
    style: str
    forward: bool
    form: Form
    plan: Mapping[str, Any]
    """What the answer says about how it was computed."""

    def part(self, begin: int, end: int) -> "PricingJob":
        """Some of its rows, answered as columns."""
        columns = {n: each[begin:end] if isinstance(each, np.ndarray) else each for n, each in self.columns.items()}
        return replace(self, columns=columns, rows=end - begin, form="columns")


@dataclass(frozen=True, slots=True, eq=False)
class PricedColumns:
    """The answer of a job with the form `columns`."""

    results: Mapping[str, np.ndarray]
    codes: np.ndarray
