"""JSON to Python values, of bodies of megabytes too."""

import gc
from typing import Any

import orjson


def loads(text: bytes) -> Any:  # noqa: ANN401  JSON
    """The value of a JSON text.

    Raises:
        orjson.JSONDecodeError: it is none.
    """
    # A parser makes no cycles: whatever the collector does meanwhile is waste, and four fifths of the time. Where two
    # threads are here at once the first to leave turns it on again, which costs the other some of that time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(text)
    finally:
        if collecting:
            gc.enable()
