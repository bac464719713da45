"""Pseudo-random streams by counters: Philox 4x64 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).

A stream's key is made of the seed and of what the stream is for, so streams need no state and no order.
"""

from enum import IntEnum

import numpy as np


class Use(IntEnum):
    """What a stream is for; two uses never share numbers."""

    PATHS = 0
    SCRAMBLE = 1
    AUXILIARY = 2
    """Numbers beside a Sobol net: when a bridge meets its barrier."""
    PILOT = 3
    """Paths that an exercise policy is estimated from."""
    DUAL = 4
    PICTURE = 5
    """Paths of the fan chart."""


def stream(seed: int, use: Use, number: int) -> np.random.Generator:
    """The stream of one use: of block, scramble or date `number`."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, int(use), number))))
