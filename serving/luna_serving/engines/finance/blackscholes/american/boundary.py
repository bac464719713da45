"""The exercise boundary of an American put with strike 1: Andersen, Lake and Offengenden (2016), equation FP-A.

With v = τ - u and d∓ = (ln(B(τ)/B(u)) + (r - q)v)/(σ√v) ∓ σ√v/2, and d∓(τ) the same with B(u) = 1 and v = τ, the
boundary is B(τ) = N/D:

    N = e^(-rτ) φ(d-(τ))/(σ√τ) + r ∫ e^(-rv) φ(d-)/(σ√v) du,
    D = e^(-qτ) (φ(d+(τ))/(σ√τ) + Φ(d+(τ))) + q ∫ e^(-qv) (φ(d+)/(σ√v) + Φ(d+)) du.

It is iterated at the nodes as y = ln(B/X), X = B(0+). Arrays have rows of options in their last axis.
"""

from typing import Any, Final, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from luna_serving.engines.finance.blackscholes.american.grid import Grid, Quadrature
from luna_serving.engines.finance.blackscholes.mills import ROOT_TWO_PI, density, mills, tail

# Bounds of y.
LEAST_Y: Final = float(np.log(1e-12))
MOST_Y: Final = -1e-14
# Bounds of 1 - slope in Newton's step.
LEAST_SLOPE: Final = 0.3
MOST_SLOPE: Final = 10.0


class Put(NamedTuple):
    """Columns of puts with strike 1, of NumPy or JAX."""

    spot: Any
    rate: Any
    dividend_yield: Any
    volatility: Any
    expiry: Any


def limit_at_expiry(p: Put) -> Array:
    """X = B(0+) = min(1, r/q)."""
    q = p.dividend_yield
    return jnp.where(q > p.rate, p.rate / jnp.where(q > p.rate, q, 1.0), 1.0)


def start(grid: Grid, p: Put) -> Array:
    """A first guess of y at the nodes: that of Bjerksund and Stensland (1993), by put-call symmetry."""
    p = as_rows(p)
    tau = p.expiry * jnp.asarray(grid.time)[:, None]
    r, q, s2 = p.rate, p.dividend_yield, p.volatility**2
    b = (q - r) / s2
    beta = 0.5 - b + jnp.sqrt((b - 0.5) ** 2 + 2.0 * q / s2)
    forever = beta / jnp.maximum(beta - 1.0, 1e-9)
    now = 1.0 / limit_at_expiry(p)
    gap = jnp.maximum(forever - now, 1e-9)
    root = p.volatility * jnp.sqrt(tau)
    # The bound takes over where the drift outruns the volatility.
    rise = 1.0 - jnp.exp(-jnp.maximum((q - r) * tau + 2.0 * root, root) * now / gap)
    return jnp.clip(-jnp.log1p(gap * rise / now), LEAST_Y, -1e-9)


class Terms(NamedTuple):
    """What one step needs at each node [nodes, rows], and under its integrals [nodes, points, rows]."""

    tau: Array
    root: Array
    """σ√τ."""
    inverse: Array
    """1/(σ√τ)."""
    log_b: Array
    low: Array
    """d-(τ)."""
    high: Array
    """d+(τ)."""
    v: Array
    d_low: Array
    d_high: Array


def improve(grid: Grid, quadrature: Quadrature, p: Put, y: Array) -> Array:
    """One step with equation FP-A: converges fast, but not where rates are large against the variance."""
    p = as_rows(p)
    t = _terms(grid, quadrature, p, y)
    per_root = _points(quadrature.weights / quadrature.root) * (t.inverse / ROOT_TWO_PI)[:, None]
    # One exponential each for the discount and the density.
    n_low = jnp.exp(-p.rate[None] * t.v - 0.5 * t.d_low * t.d_low)
    n_high = jnp.exp(-p.dividend_yield[None] * t.v - 0.5 * t.d_high * t.d_high)
    upper = mills(jnp.abs(t.d_high)) * (n_high / ROOT_TWO_PI)
    below = jnp.where(t.d_high > 0.0, jnp.exp(-p.dividend_yield[None] * t.v) - upper, upper)
    owed = (per_root * n_low).sum(axis=1)
    owned = (per_root * n_high + _points(quadrature.weights) * below).sum(axis=1)
    m_low = jnp.exp(-p.rate * t.tau) * density(t.low)
    discount = jnp.exp(-p.dividend_yield * t.tau)
    m_high = density(t.high)
    numerator = m_low * t.inverse + p.rate * t.tau * owed
    denominator = discount * (m_high * t.inverse + tail(t.high, m_high)) + p.dividend_yield * t.tau * owned
    slope = (t.high * t.inverse - 1.0) * discount * m_high * t.inverse / denominator
    slope -= t.low * m_low * t.inverse**2 / numerator
    return _stepped(t, y, numerator / denominator, slope)


def improve_carefully(grid: Grid, quadrature: Quadrature, p: Put, y: Array) -> Array:
    """One step with equation FP-B, which has Φ where FP-A has φ/(σ√τ): converges slowly, for more options."""
    p = as_rows(p)
    t = _terms(grid, quadrature, p, y)
    weights = _points(quadrature.weights)
    owed = (weights * jnp.exp(-p.rate[None] * t.v) * tail(t.d_low, density(t.d_low))).sum(axis=1)
    owned = (weights * jnp.exp(-p.dividend_yield[None] * t.v) * tail(t.d_high, density(t.d_high))).sum(axis=1)
    m_low, m_high = density(t.low), density(t.high)
    discounts = jnp.exp(-p.rate * t.tau), jnp.exp(-p.dividend_yield * t.tau)
    numerator = discounts[0] * tail(t.low, m_low) + p.rate * t.tau * owed
    denominator = discounts[1] * tail(t.high, m_high) + p.dividend_yield * t.tau * owned
    slope = t.inverse * (discounts[0] * m_low / numerator - discounts[1] * m_high / denominator)
    return _stepped(t, y, numerator / denominator, slope)


def as_rows(p: Put) -> Put:
    """Columns [1, R], beside nodes [N, R]."""
    return Put(*(jnp.asarray(each)[None, :] for each in p))


def _points(values: np.ndarray) -> Array:
    return jnp.asarray(values)[None, :, None]


def _terms(grid: Grid, quadrature: Quadrature, p: Put, y: Array) -> Terms:
    tau = p.expiry * jnp.asarray(grid.time)[:, None]
    root = p.volatility * jnp.sqrt(p.expiry) * jnp.sqrt(jnp.asarray(grid.time))[:, None]
    inverse = 1.0 / root
    carry = (p.rate - p.dividend_yield) * tau
    shape = (len(grid.time), len(quadrature.root), y.shape[-1])
    h = jnp.maximum(jnp.asarray(quadrature.interpolation) @ (y * y), 0.0).reshape(shape)
    sv = root[:, None] * _points(quadrature.root)
    drift = carry[:, None] * _points(quadrature.since)
    d_low = (y[:, None] + jnp.sqrt(h) + drift) * (inverse[:, None] * _points(1.0 / quadrature.root)) - 0.5 * sv
    log_b = y + jnp.log(limit_at_expiry(p))
    d = (log_b + carry) * inverse
    v = tau[:, None] * _points(quadrature.since)
    return Terms(tau, root, inverse, log_b, d - 0.5 * root, d + 0.5 * root, v, d_low, d_low + sv)


def _stepped(t: Terms, y: Array, ratio: Array, slope: Array) -> Array:
    """Newton's step in ln B, `slope` being that of a change that is the same at all times.

    The errors of a guess are smooth in time, and the integrals do not change with such a change of B. The derivative by
    B(τ) alone, as in the paper, is far larger, and makes the iteration slower here.
    """
    change = (jnp.log(ratio) - t.log_b) / jnp.clip(1.0 - slope, LEAST_SLOPE, MOST_SLOPE)
    change = jnp.where(jnp.isfinite(change), jnp.clip(change, -0.5, 0.5), 0.0)
    return jnp.clip(y + change, LEAST_Y, MOST_Y)
