"""The value of an American put with strike 1, given its boundary: the European one and the premium of early exercise.

V(S) = p(S) + ∫ (r e^(-rv) Φ(-d-(v, S/B(u))) - q S e^(-qv) Φ(-d+(v, S/B(u)))) du,  v = T - u.
"""

import jax
import jax.numpy as jnp
from jax import Array

from luna_serving.engines.finance.blackscholes.american.boundary import Put, as_rows, limit_at_expiry, log_ratio
from luna_serving.engines.finance.blackscholes.american.grid import Grid
from luna_serving.engines.finance.blackscholes.mills import density, tail


def values(grid: Grid, p: Put, b: Array) -> tuple[Array, Array, Array, Array]:
    """Price, delta, gamma, and theta = -∂V/∂T."""

    def held(spot: Array) -> Array:
        return _held(grid, p._replace(spot=spot), b)

    one = jnp.ones_like(p.spot)

    def slope(spot: Array) -> tuple[Array, Array]:
        return jax.jvp(held, (spot,), (one,))

    (value, delta), (_, gamma) = jax.jvp(slope, (p.spot,), (one,))
    # The Black-Scholes equation, which holds where the option is held.
    decay = p.rate * value - (p.rate - p.dividend_yield) * p.spot * delta
    theta = decay - 0.5 * p.volatility**2 * p.spot**2 * gamma
    exercised = p.spot <= b[0]
    zero = jnp.zeros_like(value)
    return (
        jnp.where(exercised, 1.0 - p.spot, jnp.maximum(value, 1.0 - p.spot)),
        jnp.where(exercised, -1.0, delta),
        jnp.where(exercised, zero, gamma),
        jnp.where(exercised, zero, theta),
    )


def _held(grid: Grid, p: Put, b: Array) -> Array:
    rows = as_rows(p)
    r, q = rows.rate, rows.dividend_yield
    x = limit_at_expiry(rows)
    below = log_ratio(b, x)
    quadrature = grid.price
    to_boundary = -jnp.sqrt(jnp.maximum(jnp.asarray(quadrature.interpolation) @ (below * below), 0.0))
    v = rows.expiry * jnp.asarray(quadrature.sine**2)[:, None]
    sv = rows.volatility * jnp.sqrt(rows.expiry) * jnp.asarray(quadrature.sine)[:, None]
    log_spot = jnp.log(rows.spot)
    d_low = (log_spot - jnp.log(x) - to_boundary + (r - q) * v) / sv - 0.5 * sv
    d_high = d_low + sv
    premium = r * jnp.exp(-r * v) * tail(-d_low, density(d_low))
    premium -= q * rows.spot * jnp.exp(-q * v) * tail(-d_high, density(d_high))
    value: Array = european_put(p) + p.expiry * (jnp.asarray(quadrature.weights) @ premium)
    return value


def european_put(p: Put) -> Array:
    """The European put with strike 1."""
    s = p.volatility * jnp.sqrt(p.expiry)
    x = jnp.log(p.spot) + (p.rate - p.dividend_yield) * p.expiry
    h = x / s
    low, high = -(h - 0.5 * s), -(h + 0.5 * s)
    owed = jnp.exp(-p.rate * p.expiry) * tail(low, density(low))
    value: Array = owed - p.spot * jnp.exp(-p.dividend_yield * p.expiry) * tail(high, density(high))
    return value
