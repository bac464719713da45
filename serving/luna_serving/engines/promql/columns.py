"""Instant vectors over a grid of steps: one row per series."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from luna_serving.engines.promql.errors import EvaluationError
from luna_serving.engines.promql.labels import Labels
from luna_serving.engines.promql.series import Bools, Floats

SAME_LABELS = "vector cannot contain metrics with the same labelset"


@dataclass(frozen=True, slots=True)
class Columns:
    """Values of series at steps.

    Attributes:
        labels: per row.
        values: float64 [rows, steps]; anything where there is no value.
        present: bool [rows, steps]: where there is a value. NaN is a value.
    """

    labels: Sequence[Labels]
    values: Floats
    present: Bools

    @classmethod
    def empty(cls, steps: int) -> "Columns":
        """No rows."""
        return cls((), np.empty((0, steps)), np.empty((0, steps), dtype=np.bool_))

    @classmethod
    def one(cls, labels: Labels, values: Floats) -> "Columns":
        """One row that has a value at every step; values float64 [steps]."""
        return cls((labels,), values[np.newaxis], np.ones((1, len(values)), dtype=np.bool_))

    def relabelled(self, change: Callable[[Labels], Labels]) -> "Columns":
        """The same rows with other labels, rows that became alike joined.

        Raises:
            EvaluationError: two rows with the same labels have a value at the same step.
        """
        return replace(self, labels=tuple(change(labels) for labels in self.labels)).joined()

    def joined(self) -> "Columns":
        """Rows with the same labels joined into one.

        Raises:
            EvaluationError: two of them have a value at the same step.
        """
        if len(set(self.labels)) == len(self.labels):
            return self
        rows: dict[Labels, int] = {}
        values: list[Floats] = []
        present: list[Bools] = []
        for labels, row, there in zip(self.labels, self.values, self.present, strict=True):
            at = rows.setdefault(labels, len(rows))
            if at == len(values):
                values.append(row)
                present.append(there)
                continue
            if (present[at] & there).any():
                raise EvaluationError(SAME_LABELS)
            values[at] = np.where(there, row, values[at])
            present[at] = present[at] | there
        return Columns(tuple(rows), np.array(values), np.array(present))

    def distinct(self) -> "Columns":
        """The same rows without those that have no value.

        Raises:
            EvaluationError: two of those that remain have the same labels, even at different steps.
        """
        columns = self.occupied()
        if len(set(columns.labels)) != len(columns.labels):
            raise EvaluationError(SAME_LABELS)
        return columns

    def occupied(self) -> "Columns":
        """Only the rows that have a value."""
        some = self.present.any(axis=1)
        return self if some.all() else self.rows(np.flatnonzero(some))

    def rows(self, order: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]]) -> "Columns":
        """Some rows, in this order."""
        order = np.asarray(order, dtype=np.int64)
        return Columns(tuple(self.labels[row] for row in order.tolist()), self.values[order], self.present[order])

    def repeated(self, steps: int) -> "Columns":
        """The only step, at `steps` steps."""
        shape = (len(self.labels), steps)
        return Columns(self.labels, np.broadcast_to(self.values, shape), np.broadcast_to(self.present, shape))
