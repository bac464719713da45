"""What runs where, and how a batch is laid out over the threads of a GPU."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import DTypeLike

# From five states on a thread's registers do not hold the model, its covariance and a product of the two.
MAX_STATES: Final = 4
# JAX calls an NVIDIA device "gpu" and its lowering "cuda".
PLATFORMS: Final = frozenset({"gpu", "cuda"})
WARP: Final = 32


def supported(platform: str, n: int, dtype: DTypeLike) -> bool:
    """Whether the kernels run on `platform` (as in `jax.Device.platform`) for n states in that number format."""
    return platform in PLATFORMS and 1 <= n <= MAX_STATES and np.dtype(dtype) in {np.dtype("f4"), np.dtype("f8")}


@dataclass(frozen=True, slots=True)
class Layout:
    """How one program of the grid covers its part of the batch."""

    lanes: int
    """Series a program; a power of two (Triton)."""
    warps: int
    """Groups of 32 threads a program; lanes / (32 warps) series fall to a thread."""


# A GPU has some 130 multiprocessors: small programs, so that a small batch still reaches each of them.
NARROW: Final = Layout(lanes=32, warps=1)
PLAIN: Final = Layout(lanes=128, warps=4)
# Two series a thread: what is read for all series alike is then read once for two.
WIDE: Final = Layout(lanes=256, warps=4)
# Batches from which on every multiprocessor has 128 series, and 2048, the most threads that it holds.
PLAIN_FROM: Final = 2**14
WIDE_FROM: Final = 2**18


def layout(batch: int, *, shared: bool) -> Layout:
    """Lay out a batch; `shared` where the series share what a step reads besides their observations."""
    if batch < PLAIN_FROM:
        return NARROW
    return WIDE if shared and batch >= WIDE_FROM else PLAIN
