"""The distribution of losses in whole numbers: exact to join in any order, and of a fixed size.

Losses fall into cells of equal width, some 6,700 across the pilot's range and as many on either side of it; each keeps
the number of its losses and their sum, as integers. Only within the cell of the quantile is anything interpolated.
"""

import math
import zlib
from base64 import b85decode, b85encode
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from jaxtyping import Float, Int64

from luna_serving.engines.finance.montecarlo.reduction.estimates import Estimate

CELLS: Final = 20_000
# Sums are kept in units of a cell's width times this.
UNIT: Final = 2.0**-20


@dataclass(frozen=True, slots=True)
class Cells:
    """Where the cells lie: from `low`, `CELLS` of them, and one for what is beyond on either side."""

    low: float
    width: float

    @classmethod
    def of(cls, losses: Float[np.ndarray, " n"]) -> Self:
        """Around the losses of a pilot, three times as wide as they."""
        low, high = float(losses.min()), float(losses.max())
        reach = max(high - low, 1e-12 * max(abs(low), abs(high), 1.0))
        return cls(low - reach, 3.0 * reach / CELLS)


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """Losses by cell."""

    cells: Cells
    counts: Int64[np.ndarray, " cells"]
    sums: Int64[np.ndarray, " cells"]
    """Of (loss - low) / width / UNIT."""

    @classmethod
    def of(cls, cells: Cells, losses: Float[np.ndarray, " n"]) -> Self:
        """Of some losses."""
        place = (losses - cells.low) / cells.width
        index = np.clip(np.floor(place), -1, CELLS).astype(np.int64) + 1
        counts = np.bincount(index, minlength=CELLS + 2).astype(np.int64)
        sums = np.zeros(CELLS + 2, dtype=np.int64)
        # Whole numbers: no order of additions can change them.
        np.add.at(sums, index, np.rint(np.clip(place, -1e6, 1e6) / UNIT).astype(np.int64))
        return cls(cells, counts, sums)

    def joined(self, other: Self) -> Self:
        """Of the losses of both."""
        return type(self)(self.cells, self.counts + other.counts, self.sums + other.sums)

    def quantile(self, level: float) -> float:
        """Linear within a cell; of losses beyond the cells, their mean."""
        n = int(self.counts.sum())
        target = level * n
        above = np.cumsum(self.counts)
        i = min(int(np.searchsorted(above, target, side="left")), CELLS + 1)
        count = int(self.counts[i])
        if i in {0, CELLS + 1}:
            return float(self._loss(float(self.sums[i]) / max(1, count)))
        before = float(above[i] - count)
        return float(self.cells.low + self.cells.width * (i - 1 + (target - before) / max(1, count)))

    def measures(self, level: float) -> tuple[Estimate, Estimate]:
        """Value at risk and expected shortfall, with their asymptotic errors.

        Glasserman (2004), section 9.1; Acerbi and Tasche, "On the coherence of expected shortfall" (2002).
        """
        n = int(self.counts.sum())
        var = self.quantile(level)
        # An interval of ranks, one standard error on either side: no density has to be estimated.
        rank = math.sqrt(level * (1.0 - level) / n)
        reach = min(rank, 0.999 * (1.0 - level), 0.999 * level)
        var_error = (self.quantile(level + reach) - self.quantile(level - reach)) / 2.0 * (rank / reach)
        place = (var - self.cells.low) / self.cells.width
        i = int(np.clip(math.floor(place), -1, CELLS)) + 1
        beyond = self.counts[i + 1 :]
        losses = self._loss(self.sums[i + 1 :] / np.maximum(1, beyond))
        excess = np.where(beyond > 0, losses - var, 0.0)
        inside = self._above(i, place)
        tail = 1.0 - level
        first = (float((beyond * excess).sum()) + inside[0]) / n / tail
        second = (float((beyond * excess**2).sum()) + inside[1]) / n / tail
        # Var(max(L - v, 0)) / (n (1 - level)^2).
        error = math.sqrt(max(0.0, tail * second - (tail * first) ** 2) / n) / tail
        return Estimate(var, var_error, n - 1), Estimate(var + first, error, n - 1)

    def _above(self, i: int, place: float) -> tuple[float, float]:
        """Sums of the excess and its square over the losses of VaR's own cell that lie above it."""
        if not 0 < i <= CELLS:
            return 0.0, 0.0
        share = min(1.0, max(0.0, i - place))
        count = float(self.counts[i]) * share
        reach = self.cells.width * share
        return count * reach / 2.0, count * reach * reach / 3.0

    def _loss(self, units: Any) -> Any:  # noqa: ANN401  a number or an array
        return self.cells.low + self.cells.width * UNIT * units

    def as_dict(self) -> dict[str, Any]:
        """As a checkpoint has it."""
        return {
            "low": self.cells.low,
            "width": self.cells.width,
            "counts": _packed(self.counts),
            "sums": _packed(self.sums),
        }

    @classmethod
    def from_dict(cls, words: dict[str, Any]) -> Self:
        """From `as_dict`."""
        return cls(Cells(words["low"], words["width"]), _unpacked(words["counts"]), _unpacked(words["sums"]))


def _packed(numbers: Int64[np.ndarray, " cells"]) -> str:
    return b85encode(zlib.compress(numbers.astype("<i8").tobytes(), 6)).decode()


def _unpacked(text: str) -> Int64[np.ndarray, " cells"]:
    return np.frombuffer(zlib.decompress(b85decode(text)), dtype="<i8").astype(np.int64)
