"""Independent blocks on several cores: XLA computes outside the interpreter's lock."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def on_cores(cores: int, function: Callable[[T], object], blocks: Iterable[T]) -> None:
    """Call a function for each block, so many at once; raises the first error after all have ended."""
    blocks = list(blocks)
    if cores < 2 or len(blocks) < 2:
        for block in blocks:
            function(block)
        return
    with ThreadPoolExecutor(min(cores, len(blocks)), "blackscholes-block") as threads:
        list(threads.map(function, blocks))
