"""The exercise boundary of an American put with strike 1: Andersen, Lake and Offengenden (2016), equation FP-A.

B(τ) = e^(-(r-q)τ) N/D is iterated at the nodes, with v = τ - u, d∓ = (ln(B(τ)/B(u)) + (r - q)v)/(σ√v) ∓ σ√v/2:

    N = φ(d-(τ, B))/(σ√τ) + r ∫ e^(ru) φ(d-)/(σ√v) du,
    D = φ(d+(τ, B))/(σ√τ) + Φ(d+(τ, B)) + q ∫ e^(qu) (φ(d+)/(σ√v) + Φ(d+)) du.

Arrays have rows of options in their last axis.
"""

from typing import Any, Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from luna_serving.engines.finance.blackscholes.american.grid import Grid, Quadrature
from luna_serving.engines.finance.blackscholes.mills import density, tail

LEAST_B: Final = 1e-12
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
    """A first guess of B at the nodes: that of Bjerksund and Stensland (1993), by put-call symmetry."""
    p = as_rows(p)
    tau = p.expiry * jnp.asarray(grid.xi**2)[:, None]
    r, q, s2 = p.rate, p.dividend_yield, p.volatility**2
    b = (q - r) / s2
    beta = 0.5 - b + jnp.sqrt((b - 0.5) ** 2 + 2.0 * q / s2)
    forever = beta / jnp.maximum(beta - 1.0, 1e-9)
    now = 1.0 / limit_at_expiry(p)
    gap = jnp.maximum(forever - now, 1e-9)
    rise = 1.0 - jnp.exp(-((q - r) * tau + 2.0 * p.volatility * jnp.sqrt(tau)) * now / gap)
    guess = 1.0 / (now + gap * rise)
    return jnp.clip(guess, LEAST_B, limit_at_expiry(p) * (1.0 - 1e-9))


class Terms(NamedTuple):
    """What one step needs at each node: before and under its integrals."""

    tau: Array
    root: Array
    """σ√τ."""
    low: Array
    """d-(τ, B)."""
    high: Array
    """d+(τ, B)."""
    u: Array
    sv: Array
    """σ√v."""
    d_low: Array
    d_high: Array


def improve(grid: Grid, quadrature: Quadrature, p: Put, b: Array) -> Array:
    """One step with equation FP-A: converges fast, but not where rates are large against the variance."""
    p = as_rows(p)
    t = _terms(grid, quadrature, p, b)
    n_low, n_high = density(t.d_low), density(t.d_high)
    owed = jnp.exp(p.rate[None] * t.u) * n_low / t.sv
    owned = jnp.exp(p.dividend_yield[None] * t.u) * (n_high / t.sv + tail(t.d_high, n_high))
    n_integral, d_integral = _integrals(quadrature, p, t, owed, owned)
    m_low, m_high = density(t.low), density(t.high)
    numerator = m_low / t.root + n_integral
    denominator = m_high / t.root + tail(t.high, m_high) + d_integral
    slope = -t.low * m_low / t.root**2 / numerator + (t.high / t.root - 1.0) * m_high / t.root / denominator
    return _stepped(p, t, b, numerator / denominator, slope)


def improve_carefully(grid: Grid, quadrature: Quadrature, p: Put, b: Array) -> Array:
    """One step with equation FP-B, which has Φ where FP-A has φ/(σ√τ): converges slowly, for all options."""
    p = as_rows(p)
    t = _terms(grid, quadrature, p, b)
    owed = jnp.exp(p.rate[None] * t.u) * tail(t.d_low, density(t.d_low))
    owned = jnp.exp(p.dividend_yield[None] * t.u) * tail(t.d_high, density(t.d_high))
    n_integral, d_integral = _integrals(quadrature, p, t, owed, owned)
    m_low, m_high = density(t.low), density(t.high)
    numerator = tail(t.low, m_low) + n_integral
    denominator = tail(t.high, m_high) + d_integral
    slope = m_low / t.root / numerator - m_high / t.root / denominator
    return _stepped(p, t, b, numerator / denominator, slope)


def as_rows(p: Put) -> Put:
    """Columns [1, R], beside nodes [N, R]."""
    return Put(*(jnp.asarray(each)[None, :] for each in p))


def _terms(grid: Grid, quadrature: Quadrature, p: Put, b: Array) -> Terms:
    below = log_ratio(b, limit_at_expiry(p))
    tau = p.expiry * jnp.asarray(grid.xi**2)[:, None]
    root = p.volatility * jnp.sqrt(p.expiry) * jnp.asarray(grid.xi)[:, None]
    shape = (len(grid.xi), len(quadrature.sine), b.shape[-1])
    h = jnp.maximum(jnp.asarray(quadrature.interpolation) @ (below * below), 0.0).reshape(shape)
    sine, cosine = (jnp.asarray(each)[None, :, None] for each in (quadrature.sine, quadrature.cosine))
    sv = root[:, None] * sine
    carry = (p.rate - p.dividend_yield) * tau
    d_low = (below[:, None] + jnp.sqrt(h) + carry[:, None] * sine**2) / sv - 0.5 * sv
    d = (jnp.log(b) + carry) / root
    return Terms(tau, root, d - 0.5 * root, d + 0.5 * root, tau[:, None] * cosine**2, sv, d_low, d_low + sv)


def _integrals(quadrature: Quadrature, p: Put, t: Terms, owed: Array, owned: Array) -> tuple[Array, Array]:
    weights = jnp.asarray(quadrature.weights)
    n_integral = jnp.einsum("k,ikr->ir", weights, owed)
    d_integral = jnp.einsum("k,ikr->ir", weights, owned)
    return t.tau * p.rate * n_integral, t.tau * p.dividend_yield * d_integral


def _stepped(p: Put, t: Terms, b: Array, ratio: Array, slope: Array) -> Array:
    """Newton's step in ln B, `slope` being that of a change that is the same at all times.

    The errors of a guess are smooth in time, and the integrals do not change with such a change of B. The derivative by
    B(τ) alone, as in the paper, is far larger, and makes the iteration slower here.
    """
    target = jnp.log(ratio) - (p.rate - p.dividend_yield) * t.tau
    change = (target - jnp.log(b)) / jnp.clip(1.0 - slope, LEAST_SLOPE, MOST_SLOPE)
    change = jnp.where(jnp.isfinite(change), jnp.clip(change, -0.5, 0.5), 0.0)
    return jnp.clip(b * jnp.exp(change), LEAST_B, limit_at_expiry(p))


def log_ratio(b: Array, x: Array) -> Array:
    """ln(B/X) <= 0."""
    return jnp.minimum(jnp.log(b / x), 0.0)
