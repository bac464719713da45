"""Memory that is used again: whose it was, how much is kept, how large its pages are."""

import mmap
import re
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from luna_serving.engines.statespace.plans.memory import HUGE_PAGE, Place, Spare, aligned, fresh, in_huge_pages


def made(shape, dtype):
    return np.empty(shape, dtype)


def test_a_tile_gets_back_what_it_gave():
    spare = Spare(made, most_bytes=1_000_000)
    first, second = made((10,), np.float64), made((10,), np.float64)
    spare.give([Place(0, first), Place(512, second)])
    assert spare.take((10,), np.float64, 0) is first
    assert spare.take((10,), np.float64, 0) is second, "another's is better than none"
    assert spare.take((10,), np.float64, 0) is not first


@pytest.mark.parametrize(("shape", "dtype"), [((11,), np.float64), ((10,), np.float32)])
def test_what_is_not_alike_is_not_taken(shape, dtype):
    spare, array = Spare(made, most_bytes=1_000_000), made((10,), np.float64)
    spare.give([Place(0, array)])
    found = spare.take(shape, dtype, 0)
    assert (found.shape, found.dtype) == (shape, dtype)
    assert spare.take((10,), np.float64) is array


def test_no_more_is_kept_than_there_is_room_for():
    spare = Spare(made, most_bytes=200)
    kept, dropped = made((20,), np.float64), made((20,), np.float64)
    spare.give([Place(0, kept), Place(1, dropped)])
    assert spare.take((20,), np.float64, 1) is kept
    spare.give([Place(1, dropped)])
    assert spare.take((20,), np.float64, 1) is dropped


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (1024, 520)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_program_reads_aligned_memory_where_it_stands(shape, dtype):
    array = aligned(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert not array.any()
    assert jax.device_put(array, may_alias=True).unsafe_buffer_pointer() == array.ctypes.data


def huge_kilobytes(address: int) -> int:
    """Of the mapping that holds the address, as the kernel tells."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= address < int(found[2], 16)
        elif inside and line.startswith("AnonHugePages:"):
            return int(line.split()[1])
    raise AssertionError("no such mapping")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a Linux kernel's hint; elsewhere nothing happens")
def test_memory_is_put_on_huge_pages_and_keeps_what_it_holds():
    memory = mmap.mmap(-1, 4 * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array = np.frombuffer(memory, np.float64)
    array[:] = np.arange(len(array))
    # Where the system has none to give, nothing happens, and it says so.
    moved = in_huge_pages(array.ctypes.data, array.nbytes)
    assert not moved or huge_kilobytes(array.ctypes.data) >= 3 * HUGE_PAGE // 1024
    np.testing.assert_array_equal(array, np.arange(len(array)))


def test_less_than_a_huge_page_stays_where_it_is():
    assert not in_huge_pages(HUGE_PAGE + 4096, HUGE_PAGE)


def test_programs_run_on_the_thread_that_asks():
    """Else the answer of a long program is not ready when the call comes back."""
    long = jax.jit(lambda x: jax.lax.fori_loop(0, 2_000_000, lambda _, y: y * 1.0000001, x))
    start = fresh((4,), np.float64)
    long(start).block_until_ready()
    assert long(start).is_ready()
