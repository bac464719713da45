"""How gaps (bars with a null input) are treated. A formula never sees one."""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.indicators.bars import Column

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


def histories(inputs: Sequence[Column], gaps: Gaps, *, recursive: bool) -> list[Part]:
    """The parts of inputs [T], NaN at gaps, to compute one by one; what lies outside them is null.

    A windowed formula that restarts after a gap is null for as long as the gap would be in its window: for those,
    `restart` and `propagate` are one. Gaps before the first whole bar are not propagated: history begins after them,
    as it does for TA-Lib.
    """
    whole = ~np.isnan(inputs[0])
    for column in inputs[1:]:
        whole &= ~np.isnan(column)
    if whole.all():
        return [slice(0, len(whole))] if len(whole) else []
    if gaps is Gaps.SKIP:
        return [whole] if whole.any() else []
    edges = np.flatnonzero(np.diff(whole.astype(np.int8), prepend=0, append=0))
    stretches: list[Part] = [slice(first, end) for first, end in edges.reshape(-1, 2).tolist()]
    return stretches[:1] if recursive and gaps is Gaps.PROPAGATE else stretches
