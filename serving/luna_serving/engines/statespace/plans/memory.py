"""Memory that the plans read and write: its alignment, when it may be overwritten, how large its pages are.

A filter of means is bound by memory: 24 bytes a step, where the arithmetic takes a third of the time.
"""

import ctypes
import math
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float64 or float32
Precision = type[np.float64] | type[np.float32]
HUGE_PAGE: Final = 2 * 1024 * 1024
# Linux 6.1: give these addresses huge pages now, copying what they hold (madvise(2)).
_MADV_COLLAPSE: Final = 25
# Compiled programs read NumPy's memory in place if its address is a multiple of this, else they copy it.
ALIGNMENT: Final = 64


def aligned(shape: tuple[int, ...], dtype: Precision) -> Floats:
    """Zeros that a compiled program reads in place."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    array: Floats = memory[first : first + size].view(dtype).reshape(shape)
    return array


def in_huge_pages(address: int, size: int) -> bool:
    """Put memory on pages of 2 MB as far as whole ones lie in it; False where the system has none to give.

    24 MB on pages of 4 KB are more than a core's address cache holds, and a miss under virtualization is a walk
    through two tables: a quarter of the time of a float64 filter (docs/decisions/0019).
    """
    first = -(-address // HUGE_PAGE) * HUGE_PAGE
    length = (address + size) // HUGE_PAGE * HUGE_PAGE - first
    if length <= 0 or _madvise is None:
        return False
    # A hint: where it is refused (another kernel, a container's policy), all is as before.
    refused: int = _madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), _MADV_COLLAPSE)
    return refused == 0


def _libc_madvise() -> Any:  # noqa: ANN401  a foreign function
    try:
        return ctypes.CDLL(None).madvise
    except (OSError, AttributeError, TypeError):  # not a POSIX system
        return None


_madvise: Final = _libc_madvise()


def fresh(shape: tuple[int, ...], dtype: Any) -> jax.Array:  # noqa: ANN401  DTypeLike
    """Zeros that a program may be given to write over. A small program of its own makes them: warm it up, too."""
    return jnp.zeros(shape, dtype)


Array = TypeVar("Array", jax.Array, Floats)


class Place(NamedTuple, Generic[Array]):
    """Memory that held data or an answer, and which of the batch's tiles filled it."""

    tile: int
    array: Array


class Spare(Generic[Array]):
    """Memory that is no longer read, to be overwritten by the next call.

    A fresh output is written twice, the first time with zeros, and may be pages that the kernel has to map: that
    is more than the filter itself costs. A tile gets what the same tile of an earlier batch wrote, if there is any:
    that was often the same core, and cores need not share a cache (docs/decisions/0019).
    """

    def __init__(self, make: Callable[[tuple[int, ...], Any], Array], most_bytes: int) -> None:
        self._make: Callable[[tuple[int, ...], Any], Array] = make
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: dict[tuple[tuple[int, ...], np.dtype[Any]], list[Place[Array]]] = {}
        self._settled: set[int] = set()
        self._lock = Lock()

    def take(self, shape: tuple[int, ...], dtype: Any, tile: int = 0) -> Array:  # noqa: ANN401  DTypeLike
        """An array of that shape with any content; the taker may donate it."""
        with self._lock:
            kept = self._kept.get((shape, np.dtype(dtype)))
            if kept:
                own = next((at for at, place in enumerate(kept) if place.tile == tile), -1)
                array: Array = kept.pop(own).array
                self._bytes -= _size(array)
                return array
        return self._make(shape, dtype)

    def give(self, places: Iterable[Place[Array]]) -> None:
        """Keep arrays that are no longer needed, as far as there is room."""
        with self._lock:
            for place in places:
                array, size = place.array, _size(place.array)
                if self._bytes + size <= self._most_bytes:
                    self._settle(array, size)
                    self._bytes += size
                    self._kept.setdefault((array.shape, array.dtype), []).append(place)

    def _settle(self, array: jax.Array | Floats, size: int) -> None:
        """Collapse to huge pages on first reuse: it costs 1 ms, which a single use would not repay."""
        if size < HUGE_PAGE:
            return
        address = array.ctypes.data if isinstance(array, np.ndarray) else array.unsafe_buffer_pointer()
        if address in self._settled:
            return
        self._settled.add(address)
        if isinstance(array, np.ndarray) or all(device.platform == "cpu" for device in array.devices()):
            in_huge_pages(address, size)


def _size(array: jax.Array | Floats) -> int:
    """Bytes; JAX's own `nbytes` takes 3 us."""
    return math.prod(array.shape) * array.dtype.itemsize


SPARE: Final[Spare[jax.Array]] = Spare(fresh, most_bytes=256 * 1024 * 1024)
"""What programs write over."""
STAGES: Final[Spare[Floats]] = Spare(aligned, most_bytes=64 * 1024 * 1024)
"""What programs read."""
