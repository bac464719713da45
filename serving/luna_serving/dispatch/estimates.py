"""Estimates of computing time, and the refusal of calls that cannot end in time."""

from dataclasses import dataclass
from typing import Final

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem

# Estimates were measured on one machine. A call of up to twice its time is admitted, because a faster machine may
# finish it; the others are refused before any work.
TOO_LONG: Final = 2.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate for one job."""

    seconds: float
    """CPU-seconds."""
    pointer: str
    """JSON pointer to the member that a caller would make smaller."""
    amount: int
    """The size of that member."""
    what: str
    """What the amount counts, such as "draws"."""


def too_long(estimate: Estimate, allowed_s: float) -> Problem | None:
    """Why a call is refused before it is charged; None if it may end in time."""
    if estimate.seconds <= TOO_LONG * allowed_s:
        return None
    fit = int(estimate.amount * allowed_s / estimate.seconds)
    detail = (
        f"Would take about {estimate.seconds:.3g} s to compute; the call has {allowed_s:.3g} s, which is enough for "
        f"about {fit} {estimate.what} of its {estimate.amount}. Send less at once, or allow more time with "
        "X-Request-Timeout-Seconds where it asks for less than the default."
    )
    return problems.invalid(FieldError(estimate.pointer, detail))
