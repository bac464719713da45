"""Stopping work that no caller waits for: long loops of the engine call `out_of_time` between their steps.

A caller passes `out_of_time`, which is cheap, and true once no caller waits for the answer. A loop that sees it
raises `OutOfTime`, and what it has computed is dropped.
"""

from collections.abc import Callable

Clock = Callable[[], bool]


class OutOfTime(Exception):
    """The work was stopped because its time is over or its caller has gone; there is no answer."""


def never() -> bool:
    """Work without a deadline."""
    return False


def check(out_of_time: Clock) -> None:
    """Stop here if the time is over.

    Raises:
        OutOfTime: it is.
    """
    if out_of_time():
        raise OutOfTime
