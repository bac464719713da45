"""Ends long work that nobody waits for any more."""

from collections.abc import Callable

Stop = Callable[[], bool]
"""Whether to end; asked between steps."""


class Stopped(Exception):
    """The work was ended before its answer."""


def never() -> bool:
    """Do not end."""
    return False


def check(stop: Stop) -> None:
    """Raise `Stopped` if it is time to end."""
    if stop():
        raise Stopped
