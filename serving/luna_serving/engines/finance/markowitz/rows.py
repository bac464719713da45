"""Linear constraints as rows, over the weights and, where turnover is limited, over what is traded of each asset.

The variables are x = (w) or x = (w, v) with v >= |w - start|.
"""

from dataclasses import dataclass

import numpy as np

from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats, Place


@dataclass(frozen=True, slots=True)
class Rows:
    """E x = e and G x <= h, each row with the constraint that it is."""

    equal: Floats
    """[p, d]; the first row is the budget."""
    equal_to: Floats
    equal_places: tuple[Place | None, ...]
    """The budget has none."""
    most: Floats
    """[q, d]"""
    most_of: Floats
    most_places: tuple[Place | None, ...]
    """Rows that define what is traded have none."""

    @property
    def width(self) -> int:
        """The number of variables, d."""
        return int(self.equal.shape[1])

    def with_most(self, row: Floats, bound: float, place: Place) -> "Rows":
        """With one more inequality; it stands first."""
        padded = np.zeros((1, self.width))
        padded[0, : len(row)] = row
        return Rows(
            self.equal,
            self.equal_to,
            self.equal_places,
            np.vstack([padded, self.most]),
            np.append(bound, self.most_of),
            (place, *self.most_places),
        )


def rows_of(limits: Constraints) -> Rows:
    """The rows of all constraints except tracking error."""
    n = len(limits.lower)
    d = n if limits.turnover is None else 2 * n
    equal: list[tuple[Floats, float, Place | None]] = [(_row(d, range(n), 1.0), 1.0, None)]
    most: list[tuple[Floats, float, Place | None]] = []
    for g, group in enumerate(limits.groups):
        row = _row(d, group.members, 1.0)
        if group.minimum == group.maximum:
            equal.append((row, group.maximum, Place("groups", g)))
            continue
        if np.isfinite(group.maximum):
            most.append((row, group.maximum, Place("groups", g, "max")))
        if np.isfinite(group.minimum):
            most.append((-row, -group.minimum, Place("groups", g, "min")))
    for i in range(n):
        row = _row(d, (i,), 1.0)
        if limits.lower[i] == limits.upper[i]:
            equal.append((row, float(limits.upper[i]), Place("bounds", i)))
        else:
            most.append((row, float(limits.upper[i]), Place("bounds", i, "max")))
            most.append((-row, -float(limits.lower[i]), Place("bounds", i, "min")))
    if limits.turnover is not None:
        most.append((_row(d, range(n, d), 1.0), limits.turnover.most, Place("turnover")))
        for i, start in enumerate(limits.turnover.start):
            for sign in (1.0, -1.0):
                row = _row(d, (i,), sign)
                row[n + i] = -1.0
                most.append((row, sign * float(start), None))
    return Rows(*_stacked(equal, d), *_stacked(most, d))


def _row(d: int, members: "range | tuple[int, ...]", value: float) -> Floats:
    row = np.zeros(d)
    row[list(members)] = value
    return row


def _stacked(rows: list[tuple[Floats, float, Place | None]], d: int) -> tuple[Floats, Floats, tuple[Place | None, ...]]:
    matrix = np.array([row for row, _, _ in rows]) if rows else np.zeros((0, d))
    return matrix, np.array([bound for _, bound, _ in rows]), tuple(place for _, _, place in rows)
