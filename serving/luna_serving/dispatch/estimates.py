"""How long a call will take to compute, and the refusal of one that cannot end in its time."""

from dataclasses import dataclass
from typing import Final

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem

# An estimate is of the machine that it was measured on: what takes up to twice the time allowed there is let in, for a
# faster machine may finish it. Of the rest no time is spent.
TOO_LONG: Final = 2.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one job."""

    seconds: float
    """CPU-seconds."""
    pointer: str
    """JSON pointer to what a caller would make smaller."""
    amount: int
    """How much of it there is."""
    what: str
    """What is counted: "draws", say."""


def too_long(estimate: Estimate, allowed_s: float) -> Problem | None:
    """Why a call is refused before it is charged; None where it may end within the seconds that it has."""
    if estimate.seconds <= TOO_LONG * allowed_s:
        return None
    fit = int(estimate.amount * allowed_s / estimate.seconds)
    detail = (
        f"Would take about {estimate.seconds:.3g} s to compute; the call has {allowed_s:.3g} s, which is enough for "
        f"about {fit} {estimate.what} of its {estimate.amount}. Send less at once, or allow more time with "
        "X-Request-Timeout-Seconds where it asks for less than the default."
    )
    return problems.invalid(FieldError(estimate.pointer, detail))
