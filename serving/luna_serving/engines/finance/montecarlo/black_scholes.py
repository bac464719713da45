"""Closed forms under geometric Brownian motion: expectations of control variates, and a basis of exercise policies."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from luna_serving.engines.finance.montecarlo.payoffs.observers import Side


def european(
    side: Side,
    spot: Any,  # noqa: ANN401
    strike: float,
    rate: float,
    dividend_yield: float,
    volatility: float,
    years: float,
) -> Any:  # noqa: ANN401  a number, or an array of the spots' shape
    """The Black-Scholes value of a European option, for a spot or an array of spots."""
    forward = spot * math.exp((rate - dividend_yield) * years)
    discount = math.exp(-rate * years)
    deviation = volatility * math.sqrt(years)
    sign = 1.0 if side is Side.CALL else -1.0
    if deviation == 0.0:
        return discount * np.maximum(sign * (forward - strike), 0.0)
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    return discount * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))


def geometric_asian(
    side: Side,
    spot: float,
    strike: float,
    rate: float,
    dividend_yield: float,
    volatility: float,
    fixings: Float[np.ndarray, " n"],
    expiry: float,
) -> float:
    """The value of an option on the geometric mean: it is lognormal (Kemna and Vorst 1990)."""
    n = len(fixings)
    mean = math.log(spot) + (rate - dividend_yield - 0.5 * volatility**2) * float(np.mean(fixings))
    # Var(sum W(t_i)) = sum over i, j of min(t_i, t_j); t increases.
    total = float((np.sort(fixings) * (2 * np.arange(n, 0, -1) - 1)).sum())
    deviation = volatility * math.sqrt(total) / n
    sign = 1.0 if side is Side.CALL else -1.0
    forward = math.exp(mean + 0.5 * deviation**2)
    discount = math.exp(-rate * expiry)
    if deviation == 0.0:
        return discount * max(sign * (forward - strike), 0.0)
    d1 = (mean - math.log(strike)) / deviation + deviation
    return float(discount * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation))))
