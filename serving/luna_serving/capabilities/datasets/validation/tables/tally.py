"""Adds up places of one rule in one column to one finding: the first row, and how many there are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.findings import Finding, Rule, of

_LONGEST_VALUE = 60


class Stopped(Exception):
    """The file cannot be read further; what was found stands."""


@dataclass(slots=True)
class _Sum:
    rule: Rule
    message: str
    column: str | None
    row: int | None
    count: int
    value: str | None


class Tally:
    """The findings of one file."""

    def __init__(self, path: str, report: Callable[[Finding], None]) -> None:
        """Collect findings.

        Args:
            path: the file's name in the set.
            report: takes each finding.
        """
        self._path = path
        self._report = report
        self._sums: dict[tuple[str, str | None], _Sum] = {}

    def rows(
        self,
        rule: Rule,
        message: str,
        rows: NDArray[np.int64],
        *,
        column: str | None = None,
        value: Callable[[int], object] | None = None,
    ) -> None:
        """Add rows.

        Args:
            rule: that does not hold there.
            message: about the first of them.
            rows: at least one, or nothing happens.
            column: of the values.
            value: shows the value at a position in `rows`.
        """
        if not rows.size:
            return
        at = int(rows.argmin())
        first = int(rows[at])
        known = self._sums.get((rule.id, column))
        count = int(rows.size) + (known.count if known else 0)
        if known and known.row is not None and known.row <= first:
            known.count = count
            return
        shown = None if value is None else shortened(value(at))
        self._sums[rule.id, column] = _Sum(rule, message, column, first, count, shown)

    def now(self, rule: Rule, message: str, **place: object) -> None:
        """Report one finding at once."""
        self._report(of(rule, message if message.endswith((".", "?")) else f"{message}.", path=self._path, **place))

    def clear(self) -> None:
        """Forget what was added up."""
        self._sums.clear()

    def close(self) -> None:
        """Report what was added up."""
        for each in self._sums.values():
            self.now(each.rule, each.message, row=each.row, column=each.column, count=each.count, value=each.value)
        self._sums.clear()


def shortened(value: object) -> str:
    """A value as a finding shows it."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
