"""Scrambled Sobol nets in pieces: direction numbers of scipy, scrambled by us, points by the linear map.

A scramble is a random lower triangular matrix over the bits of each dimension and a digital shift (Matousek, "On the
L2-discrepancy for anchored boxes", 1998), as in scipy, whose own takes 0.05 ms a dimension, ten times ours. A point is
`shift XOR (XOR of v_j over the bits j of its number)`, so an aligned piece of a net costs one XOR a number, none for
points before it.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float, UInt32

from luna_serving.engines.finance.montecarlo.sampling.counters import Use, stream

BITS: Final = 32
# Dimensions of a net. Direction numbers reach further, but what lies behind is not better than pseudo-random.
MOST_DIMENSIONS: Final = 4096
# Of row k, the bits above it: what a lower triangular matrix may add to bit k, counted from the most significant.
_ABOVE: Final = np.array([0xFFFFFFFF ^ ((1 << (BITS - k)) - 1) for k in range(BITS)], dtype=np.uint32)


@lru_cache(maxsize=16)
def plain(dimensions: int) -> UInt32[np.ndarray, "d bits"]:
    """Direction numbers of Joe and Kuo (2008); of bit j of a point's number in column j."""
    # A second of imports, which a process that only describes problems does not need.
    from scipy.stats import qmc

    # scipy has no public accessor; tests/engines/finance/montecarlo/test_sobol.py compares the points.
    out: UInt32[np.ndarray, "d bits"] = qmc.Sobol(dimensions, scramble=False, bits=BITS)._sv.copy()  # noqa: SLF001
    return out


@lru_cache(maxsize=128)
def directions(
    seed: int, scramble: int, dimensions: int
) -> tuple[UInt32[np.ndarray, "d bits"], UInt32[np.ndarray, " d"]]:
    """Direction numbers and shift of one scramble. Memory: at most 64 MiB for 128 nets of the most dimensions."""
    generator, v = stream(seed, Use.SCRAMBLE, scramble), plain(dimensions)
    rows = generator.integers(0, 1 << BITS, size=(dimensions, BITS), dtype=np.uint32) & _ABOVE
    scrambled = np.zeros_like(v)
    for k in range(BITS):
        bit = np.uint32(BITS - 1 - k)
        row = rows[:, k, None] | (np.uint32(1) << bit)
        scrambled |= (np.bitwise_count(row & v) & np.uint8(1)).astype(np.uint32) << bit
    return scrambled, generator.integers(0, 1 << BITS, size=dimensions, dtype=np.uint32)


def points(seed: int, scrambles: tuple[int, ...], dimensions: int, first: int, count: int) -> Float[np.ndarray, "d n"]:
    """Points `first` to `first + count` of scrambled nets, one net after the other, in the open unit cube.

    Args:
        seed: of the problem.
        scrambles: which.
        dimensions: of a point.
        first: a multiple of `count`.
        count: of each net, a power of two.
    """
    found = [directions(seed, scramble, dimensions) for scramble in scrambles]
    v = np.concatenate([each for each, _ in found])
    start = np.concatenate([shift for _, shift in found])
    for j in range(first.bit_length()):
        if first >> j & 1:
            start ^= v[:, j]
    x = np.empty((len(v), count), dtype=np.uint32)
    x[:, 0] = start
    for j in range(count.bit_length() - 1):
        half = 1 << j
        np.bitwise_xor(x[:, :half], v[:, j, None], out=x[:, half : 2 * half])
    by_dimension = x.reshape(len(scrambles), dimensions, count).swapaxes(0, 1)
    u = by_dimension.reshape(dimensions, len(scrambles) * count).astype(np.float64)
    u += 0.5
    u *= 2.0**-BITS
    return u
