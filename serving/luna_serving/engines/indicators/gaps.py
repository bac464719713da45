"""How gaps (bars with a null input) are treated. A formula never sees one."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Part = slice | NDArray[np.bool_]
"""Bars that a formula sees as one history."""


class Gaps(StrEnum):
    """The ways to treat gaps."""

    SKIP = "skip"
    """Leave the bar out and join its neighbours; its output is null."""
    PROPAGATE = "propagate"
    """Windowed indicators are null while the gap is in the window, recursive ones from there on."""
    RESTART = "restart"
    """Begin again after the gap, as if history began there."""


def histories(missing: NDArray[np.bool_], gaps: Gaps, *, recursive: bool) -> list[Part]:
    """The parts of a history to compute one by one, given where an input is missing [T]; outside them all is null.

    A windowed formula that restarts after a gap is null for as long as the gap would be in its window: for those,
    `restart` and `propagate` are one. Gaps before the first whole bar are not propagated: history begins after them,
    as it does for TA-Lib.
    """
    whole = ~missing
    if gaps is Gaps.SKIP:
        return [whole] if whole.any() else []
    edges = np.flatnonzero(np.diff(whole.astype(np.int8), prepend=0, append=0))
    stretches: list[Part] = [slice(first, end) for first, end in edges.reshape(-1, 2).tolist()]
    return stretches[:1] if recursive and gaps is Gaps.PROPAGATE else stretches
