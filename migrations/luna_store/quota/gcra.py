"""The generic cell rate algorithm as pure functions: the same arithmetic as `lua/debit.lua`.

ITU-T I.371 (1996), annex A, in its virtual scheduling form: a sender at full speed has a theoretical arrival time
(tat); a request is admitted while that time runs less than the burst ahead of the clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """The decision of the bucket. Times in microseconds."""

    admitted: bool
    tokens_left: int
    tat_us: int
    """The new theoretical arrival time, to be stored; unchanged by a denial."""
    wait_us: int


def interval_us(requests_per_second: float) -> int:
    """The time per token, in whole microseconds, at least 1."""
    return max(1, round(1e6 / requests_per_second))


def take(tat_us: int, now_us: int, *, interval_us: int, burst: int, tokens: int = 1) -> Rate:
    """Take one token, or none with `tokens` = 0, which only looks."""
    tat = max(tat_us, now_us)
    if tat > now_us + burst * interval_us:
        # Later than that of an empty bucket: the rate was raised since, or the clock was set back. Start from empty.
        tat = now_us
    left = (now_us + burst * interval_us - tat) // interval_us
    if tokens > left:
        return Rate(False, max(0, left), tat_us, tat + interval_us - burst * interval_us - now_us)
    return Rate(True, left - tokens, tat + tokens * interval_us if tokens else tat_us, 0)
