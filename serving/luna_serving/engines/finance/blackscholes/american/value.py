"""The value of an American put with strike 1, given its boundary: the European one and the premium of early exercise.

V(S) = p(S) + ∫ (r e^(-rv) Φ(-d-) - q S e^(-qv) Φ(-d+)) du,  d∓ = (ln(S/B(u)) + (r - q)v)/(σ√v) ∓ σ√v/2,  v = T - u.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from luna_serving.engines.finance.blackscholes.american.boundary import Put, as_rows, limit_at_expiry
from luna_serving.engines.finance.blackscholes.american.grid import Grid
from luna_serving.engines.finance.blackscholes.exponential import exp
from luna_serving.engines.finance.blackscholes.mills import ROOT_TWO_PI, density, tail


class _Held(NamedTuple):
    """The points of the premium [points, rows] and the columns [1, rows] of the European put."""

    v: Array
    sv: Array
    d_low: Array
    d_high: Array
    root: Array
    """σ√T."""
    low: Array
    high: Array


def price(grid: Grid, p: Put, y: Array) -> Array:
    """The price, which is the intrinsic value where exercise is worth while."""
    held, rows = _held(grid, p, y), as_rows(p)
    r, q, s = rows.rate, rows.dividend_yield, rows.spot
    premium = r * _discounted_tail(-held.d_low, r * held.v) - q * s * _discounted_tail(-held.d_high, q * held.v)
    european = _discounted_tail(-held.low, r * rows.expiry) - s * _discounted_tail(-held.high, q * rows.expiry)
    value = european[0] + p.expiry * _integral(grid, premium)
    intrinsic = 1.0 - p.spot
    return jnp.where(_exercised(p, y), intrinsic, jnp.maximum(value, intrinsic))


def greeks(grid: Grid, p: Put, y: Array, value: Array) -> tuple[Array, Array, Array]:
    """Delta, gamma, and theta = -∂V/∂T, given the price: derivatives under the integral."""
    held, rows = _held(grid, p, y), as_rows(p)
    r, q, s = rows.rate, rows.dividend_yield, rows.spot
    owed = r * exp(-r * held.v - 0.5 * held.d_low**2) / (ROOT_TWO_PI * s * held.sv)
    owned = q * exp(-q * held.v - 0.5 * held.d_high**2) / (ROOT_TWO_PI * held.sv)
    of_delta = owned - owed - q * _discounted_tail(-held.d_high, q * held.v)
    of_gamma = (owed * (1.0 + held.d_low / held.sv) + owned * (1.0 - held.d_high / held.sv)) / s
    yielding = jnp.exp(-q * rows.expiry)
    delta = p.expiry * _integral(grid, of_delta) - (yielding * tail(-held.high, density(held.high)))[0]
    gamma = p.expiry * _integral(grid, of_gamma) + (yielding * density(held.high) / (s * held.root))[0]
    # The Black-Scholes equation, which holds where the option is held.
    decay = p.rate * value - (p.rate - p.dividend_yield) * p.spot * delta
    theta = decay - 0.5 * p.volatility**2 * p.spot**2 * gamma
    exercised = _exercised(p, y)
    return jnp.where(exercised, -1.0, delta), jnp.where(exercised, 0.0, gamma), jnp.where(exercised, 0.0, theta)


def boundary(p: Put, y: Array) -> Array:
    """B(T)."""
    return limit_at_expiry(p) * jnp.exp(y[0])


def _exercised(p: Put, y: Array) -> Array:
    found: Array = p.spot <= boundary(p, y)
    return found


def _integral(grid: Grid, values: Array) -> Array:
    # A product of matrices: XLA does not vectorise the loop of a sum.
    return jnp.asarray(grid.price.weights) @ values


def _discounted_tail(z: Array, owed: Array) -> Array:
    """e^-owed Φ(z)."""
    return tail(z, exp(-owed - 0.5 * z * z) / ROOT_TWO_PI, exp(-owed))


def _held(grid: Grid, p: Put, y: Array) -> _Held:
    rows, quadrature = as_rows(p), grid.price
    to_boundary = jnp.sqrt(jnp.maximum(jnp.asarray(quadrature.interpolation) @ (y * y), 0.0))
    v = rows.expiry * jnp.asarray(quadrature.since)[:, None]
    root = rows.volatility * jnp.sqrt(rows.expiry)
    sv = root * jnp.asarray(quadrature.root)[:, None]
    log_spot, carry = jnp.log(rows.spot), rows.rate - rows.dividend_yield
    d_low = (log_spot - jnp.log(limit_at_expiry(rows)) + to_boundary + carry * v) / sv - 0.5 * sv
    low = (log_spot + carry * rows.expiry) / root - 0.5 * root
    return _Held(v, sv, d_low, d_low + sv, root, low, low + root)
