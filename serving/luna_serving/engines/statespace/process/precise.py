"""Ball arithmetic of at least 512 bits, for what loses its digits in float64.

python-flint's precision is one number of the whole process: it is set once, here, and a block that needs more raises
it for all threads, which costs them time and no digits. No models here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import flint

BITS: Final = 512
_ONE_AT_A_TIME: Final = threading.RLock()
flint.ctx.prec = BITS


@contextmanager
def bits(precision: int) -> Iterator[None]:
    """Compute with `precision` bits in this block, or `BITS` if that is more."""
    with _ONE_AT_A_TIME:
        before = flint.ctx.prec
        flint.ctx.prec = max(precision, before)
        try:
            yield
        finally:
            flint.ctx.prec = before
