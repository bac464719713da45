"""Seconds of a call, and what copying memory does on this machine."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final

import numpy as np

# Too large for any cache.
COPIED: Final = 8 << 20


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def copy_bandwidth(rounds: int, threads: int = 1) -> float:
    """Bytes a second, read and written, of copying 64 MiB from one array to another: the best of some rounds.

    With several threads each copies its part; NumPy copies outside the GIL.
    """
    source = np.ones(COPIED)
    target = np.empty_like(source)
    bounds = [COPIED * part // threads for part in range(threads + 1)]
    parts = [slice(first, last) for first, last in pairwise(bounds)]

    def copy(part: slice) -> None:
        np.copyto(target[part], source[part])

    with ThreadPoolExecutor(threads) as pool:
        return 2 * source.nbytes / min(timed(lambda: list(pool.map(copy, parts))) for _ in range(rounds))
