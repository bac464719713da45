"""European prices and their derivatives, elementwise.

A row is a Contract: the sign w (+1 call, -1 put), the underlying U, the strike K, the rate r, the yield q, the time T
in years, and the volatility σ. With a forward as its underlying, q = r: the cost of carry is 0. With A = U e^(-qT),
B = K e^(-rT), x = ln(A/B) and s = σ√T:

    V = max(w (A - B), 0) + √(AB) b(-|x|, s),    d1 = x/s + s/2,    d2 = x/s - s/2.

Call and put of one strike share their time value, so put-call parity holds to rounding. Greeks are per unit and per
year; theta, charm, veta and color are minus the derivative by T. Formulas: Haug, "The Complete Guide to Option Pricing
Formulas" (2007), chapter 2.
"""

from typing import Any, Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from luna_serving.engines.finance.blackscholes.logarithm import log
from luna_serving.engines.finance.blackscholes.mills import density, tail
from luna_serving.engines.finance.blackscholes.normalised import normalised_black

# Total volatilities between which prices still change; limits of 0 and infinity are taken at them.
LEAST_S: Final = 1e-150
MOST_S: Final = 1e3
# |d| beyond which densities are 0; the powers of it that Greeks have stay finite.
MOST_D: Final = 1e30


class Contract(NamedTuple):
    """Columns of rows; each an array of one length, of NumPy or JAX."""

    sign: Any
    underlying: Any
    strike: Any
    rate: Any
    carry_yield: Any
    """The dividend yield; the rate where the underlying is a forward."""
    expiry: Any


class Moneyness(NamedTuple):
    """What prices are made of."""

    x: Any
    """-|ln(A/B)|."""
    half: Any
    """e^(x/2)."""
    scale: Any
    """√(AB)."""
    intrinsic: Any
    """max(w (A - B), 0)."""


class Densities(NamedTuple):
    """What Greeks are made of."""

    d1: Any
    d2: Any
    n1: Any
    """φ(d1)."""
    cdf1: Any
    """Φ(w d1)."""
    cdf2: Any
    """Φ(w d2)."""
    carry: Any
    """e^(-qT)."""
    discount: Any
    """e^(-rT)."""


def total(volatility: Array, expiry: Array) -> Array:
    """σ√T, within the bounds between which prices change."""
    return jnp.clip(volatility * jnp.sqrt(jnp.maximum(expiry, 0.0)), LEAST_S, MOST_S)


def moneyness(c: Contract) -> Moneyness:
    """Moneyness of each row."""
    a = c.underlying * jnp.exp(-c.carry_yield * c.expiry)
    b = c.strike * jnp.exp(-c.rate * c.expiry)
    x = log(c.underlying / c.strike) + (c.rate - c.carry_yield) * c.expiry
    least, most = jnp.minimum(a, b), jnp.maximum(a, b)
    return Moneyness(
        x=-jnp.abs(x),
        half=jnp.sqrt(least / most),
        scale=jnp.sqrt(a) * jnp.sqrt(b),
        intrinsic=jnp.maximum(c.sign * (a - b), 0.0),
    )


def price(c: Contract, volatility: Array) -> Array:
    """V of each row; the intrinsic value where T = 0."""
    m = moneyness(c)
    s = total(volatility, c.expiry)
    value: Array = m.intrinsic + jnp.where(s > LEAST_S, m.scale * normalised_black(m.x, s, m.half), 0.0)
    return value


def densities(c: Contract, volatility: Array) -> Densities:
    """d1, d2, and their densities and probabilities."""
    s = total(volatility, c.expiry)
    x = log(c.underlying / c.strike) + (c.rate - c.carry_yield) * c.expiry
    h = jnp.clip(x / s, -MOST_D, MOST_D)
    d1, d2 = h + 0.5 * s, h - 0.5 * s
    n1, n2 = density(d1), density(d2)
    return Densities(
        d1,
        d2,
        n1,
        tail(c.sign * d1, n1),
        tail(c.sign * d2, n2),
        jnp.exp(-c.carry_yield * c.expiry),
        jnp.exp(-c.rate * c.expiry),
    )


def greeks(c: Contract, volatility: Array, value: Array, d: Densities, forward: Array) -> dict[str, Array]:
    """All derivatives.

    Args:
        c: the rows.
        volatility: σ.
        value: V.
        d: from `densities`.
        forward: a scalar, whether underlyings are forwards: rates then do not move them.
    """
    w, u, k, r, q, t = c
    live = t > 0.0
    t = jnp.where(live, t, 1.0)
    root_t = jnp.sqrt(t)
    s = total(volatility, t)
    sigma = s / root_t
    d1, d2, n1 = d.d1, d.d2, jnp.where(live, d.n1, 0.0)
    cn1 = d.carry * n1
    un1 = u * cn1
    gamma = cn1 / (u * s)
    vega = un1 * root_t
    # ∂d1/∂T.
    turn = (r - q) / s - 0.5 * d2 / t
    product = d1 * d2
    owned, owed = w * d.carry * d.cdf1, w * d.discount * d.cdf2
    n2 = jnp.where(live, density(d2), 0.0)

    def alive(x: Array) -> Array:
        return jnp.where(live, x, 0.0)

    return {
        "delta": owned,
        "gamma": gamma,
        "vega": alive(vega),
        "theta": alive(q * u * owned - r * k * owed - 0.5 * un1 * sigma / root_t),
        "rho": alive(jnp.where(forward, -t * value, t * k * owed)),
        "rho_q": alive(jnp.where(forward, 0.0, -t * u * owned)),
        "vanna": -cn1 * d2 / sigma,
        "volga": vega * product / sigma,
        "charm": alive(q * owned - cn1 * turn),
        "veta": vega * (q + d1 * turn - 0.5 / t),
        "speed": -gamma / u * (d1 / s + 1.0),
        "zomma": gamma * (product - 1.0) / sigma,
        "color": gamma * (q + d1 * turn + 0.5 / t),
        "ultima": -vega / (sigma * sigma) * (product * (1.0 - product) + d1 * d1 + d2 * d2),
        "dual_delta": -owed,
        "dual_gamma": d.discount * n2 / (k * s),
        "digital": d.discount * d.cdf2,
    }


def normalised_price(c: Contract, value: Array) -> tuple[Array, Moneyness]:
    """The time value of a price as a normalised price, and the moneyness."""
    m = moneyness(c)
    a = c.underlying * jnp.exp(-c.carry_yield * c.expiry)
    b = c.strike * jnp.exp(-c.rate * c.expiry)
    # Of an option in the money, V - w (A - B) with the two largest terms subtracted first.
    most, least = jnp.where(c.sign > 0.0, a, b), jnp.where(c.sign > 0.0, b, a)
    beyond = jnp.where(most > least, (value - most) + least, value)
    return beyond / m.scale, m
