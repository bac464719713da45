"""Parses JSON into Python values, fast for bodies of megabytes."""

import gc
from typing import Any

import orjson


def loads(text: bytes) -> Any:  # noqa: ANN401  JSON
    """Parse a JSON text.

    Raises:
        orjson.JSONDecodeError: it is not valid JSON.
    """
    # A parser makes no cycles, so garbage collection is wasted here, and takes four fifths of the time. If two threads
    # are here at once, the first to leave turns it on again, which costs the other some of that time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(text)
    finally:
        if collecting:
            gc.enable()
