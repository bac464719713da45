"""The normalised Black function: b(x, s) = e^(x/2) Φ(x/s + s/2) - e^(-x/2) Φ(x/s - s/2) (Jäckel 2015, equation 2.2).

x = ln(F/K) <= 0 is the moneyness of an out-of-the-money call, s = σ√T its total volatility; the price is √(FK) b,
discounted. With h = x/s, t = s/2:

    b = φ(h) e^(-t²/2) (m(-(h + t)) - m(t - h))                  where h + t <= SHIFT,
    b = e^(x/2) - φ(h) e^(-t²/2) (m(h + t) + m(t - h))           elsewhere,

with Mills' ratio m. The first form is a product of positive factors: relative accuracy is that of its exponent.
"""

import jax.numpy as jnp
from jax import Array

from luna_serving.engines.finance.blackscholes.mills import ROOT_TWO_PI, SHIFT, mills_difference


def normalised_black(x: Array, s: Array, half: Array) -> Array:
    """b(x, s).

    Args:
        x: <= 0.
        s: > 0.
        half: e^(x/2).
    """
    h, t = x / s, 0.5 * s
    return black_of(h, t, half)


def black_of(h: Array, t: Array, half: Array) -> Array:
    """B at h = x/s <= 0 and t = s/2 > 0; `half` is e^(ht)."""
    weight = jnp.exp(-0.5 * (h * h + t * t)) / ROOT_TWO_PI
    inside = h + t
    deep = inside <= SHIFT
    z1 = jnp.where(deep, -inside, inside)
    # t - h - z1, without the cancellation of the subtraction.
    gap = jnp.where(deep, 2.0 * t, -2.0 * h)
    difference, m1 = mills_difference(z1, gap)
    return jnp.where(deep, weight * difference, half - weight * (2.0 * m1 - difference))


def slope(x: Array, s: Array) -> Array:
    """The derivative of b by s: φ(x/s) e^(-s²/8)."""
    h, t = x / s, 0.5 * s
    return jnp.exp(-0.5 * (h * h + t * t)) / ROOT_TWO_PI
