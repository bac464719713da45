"""Scrambled Sobol nets in pieces: direction numbers and scrambles of scipy, points by the linear map.

scipy scrambles the direction numbers by a random lower triangular matrix and a digital shift (Matousek, "On the
L2-discrepancy for anchored boxes", 1998). A point is then `shift XOR (XOR of v_j over the bits j of its number)`, so
any aligned piece of the net costs one XOR a number, without the points before it.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float, UInt32
from scipy.stats import qmc

from luna_serving.engines.finance.montecarlo.sampling.counters import Use, stream

BITS: Final = 32
# Dimensions of a net. Direction numbers reach further, but what lies behind is not better than pseudo-random.
MOST_DIMENSIONS: Final = 4096


@lru_cache(maxsize=128)
def directions(
    seed: int, scramble: int, dimensions: int
) -> tuple[UInt32[np.ndarray, "d bits"], UInt32[np.ndarray, " d"]]:
    """Direction numbers and shift of one scramble. Memory: at most 64 MiB for 128 nets of the most dimensions."""
    net = qmc.Sobol(dimensions, scramble=True, bits=BITS, rng=stream(seed, Use.SCRAMBLE, scramble))
    # scipy has no public accessor; tests/engines/finance/montecarlo/test_sobol.py compares the points.
    return net._sv.copy(), net._shift.copy()  # noqa: SLF001


def points(seed: int, scramble: int, dimensions: int, first: int, count: int) -> Float[np.ndarray, "d n"]:
    """Points `first` to `first + count` of a scrambled net, in the open unit cube.

    Args:
        seed: of the problem.
        scramble: which scramble.
        dimensions: of a point.
        first: a multiple of `count`.
        count: a power of two.
    """
    v, shift = directions(seed, scramble, dimensions)
    start = shift.copy()
    for j in range(BITS):
        if first >> j & 1:
            start ^= v[:, j]
    x = np.empty((dimensions, count), dtype=np.uint32)
    x[:, 0] = start
    for j in range(count.bit_length() - 1):
        half = 1 << j
        np.bitwise_xor(x[:, :half], v[:, j, None], out=x[:, half : 2 * half])
    u = x.astype(np.float64)
    u += 0.5
    u *= 2.0**-BITS
    return u
