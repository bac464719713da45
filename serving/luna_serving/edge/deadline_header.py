"""The header by which a caller sets a deadline of its own."""

import math

# `middleware` renames the header to this: Serve would act on the original name and answer in plain text.
DEADLINE_HEADER = b"x-luna-timeout-seconds"


def timeout_s(headers: dict[bytes, bytes]) -> float | None:
    """The caller's deadline in seconds, if it is a positive number."""
    asked = headers.get(DEADLINE_HEADER)
    try:
        seconds = float(asked) if asked is not None else 0.0
    except ValueError:
        return None
    return seconds if seconds > 0 and math.isfinite(seconds) else None
