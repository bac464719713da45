"""Instants in queries and bodies: RFC 3339, or milliseconds since 1970."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator

from luna_serving.capabilities.alerts.store.records import to_instant

LATEST_MS: Final = 253_402_300_799_999
CURE: Final = "Must be RFC 3339 such as 2026-11-28T12:00:00Z, or milliseconds since 1970."


def instant_of(written: object) -> datetime | None:
    """An instant; None stays None.

    Raises:
        ValueError: it is none.
    """
    if written is None or isinstance(written, datetime):
        return written
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        raise ValueError(CURE)  # noqa: TRY004  pydantic's
    if isinstance(written, str) and not written.lstrip("-").isdigit():
        try:
            found = datetime.fromisoformat(written)
        except ValueError:
            raise ValueError(CURE) from None
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    milliseconds = int(written)
    if not 0 <= milliseconds <= LATEST_MS:
        raise ValueError(CURE)
    return to_instant(milliseconds)


Instant = Annotated[datetime | None, BeforeValidator(instant_of)]
