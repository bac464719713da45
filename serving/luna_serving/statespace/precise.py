"""Ball arithmetic of a chosen precision, for the few small systems in which float64 loses its digits.

python-flint's precision is one number of the whole process, so a block that sets it holds a lock. No models here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import flint

_ONE_AT_A_TIME: Final = threading.RLock()


@contextmanager
def bits(precision: int) -> Iterator[None]:
    """Compute with so many bits in this block, whatever other threads do."""
    with _ONE_AT_A_TIME, flint.ctx.workprec(precision):
        yield
