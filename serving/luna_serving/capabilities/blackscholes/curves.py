"""Value and Greeks of one European option over spot prices, for drawings: to the accuracy of a line's width."""

import math
from dataclasses import dataclass
from typing import Final

POINTS: Final = 121
# Spots are drawn up to so many standard deviations from the strike, and at least and at most so far in ln S.
_DEVIATIONS: Final = 3.0
_SPAN: Final = (0.05, 1.2)


@dataclass(frozen=True, slots=True)
class Option:
    """One European option."""

    sign: float
    underlying: float
    strike: float
    rate: float
    carry_yield: float
    volatility: float
    expiry: float


@dataclass(frozen=True, slots=True)
class Curves:
    """Over `spots`."""

    spots: list[float]
    payoff: list[float]
    value: list[float]
    delta: list[float]
    gamma: list[float]
    vega: list[float]


def curves(option: Option) -> Curves | None:
    """The curves; None where they are not smooth."""
    o = option
    s = o.volatility * math.sqrt(max(o.expiry, 0.0))
    if not (o.strike > 0.0 and s > 0.0 and math.isfinite(s)):
        return None
    span = min(max(_DEVIATIONS * s, _SPAN[0]), _SPAN[1])
    low, high = o.strike * math.exp(-span), o.strike * math.exp(span)
    found = Curves([], [], [], [], [], [])
    discount, carry = math.exp(-o.rate * o.expiry), math.exp(-o.carry_yield * o.expiry)
    for i in range(POINTS):
        spot = low + (high - low) * i / (POINTS - 1)
        h = (math.log(spot / o.strike) + (o.rate - o.carry_yield) * o.expiry) / s
        d1, d2 = h + 0.5 * s, h - 0.5 * s
        n1 = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
        owned, owed = carry * _cdf(o.sign * d1), discount * _cdf(o.sign * d2)
        found.spots.append(spot)
        found.payoff.append(max(o.sign * (spot - o.strike), 0.0))
        found.value.append(o.sign * (spot * owned - o.strike * owed))
        found.delta.append(o.sign * owned)
        found.gamma.append(carry * n1 / (spot * s))
        found.vega.append(spot * carry * n1 * math.sqrt(o.expiry))
    return found


def _cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
