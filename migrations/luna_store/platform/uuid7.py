"""UUIDs of version 7 (RFC 9562, section 5.7): they sort by the millisecond in which they were made."""

import secrets
import time
import uuid

_RANDOM_BITS = 74


def uuid7(unix_ms: int | None = None) -> uuid.UUID:
    """A new id; 74 of its bits are random.

    Args:
        unix_ms: milliseconds since 1970; by default of now.
    """
    at = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
    drawn = secrets.randbits(_RANDOM_BITS)
    high, low = drawn >> 62, drawn & (1 << 62) - 1
    return uuid.UUID(int=(at & (1 << 48) - 1) << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
