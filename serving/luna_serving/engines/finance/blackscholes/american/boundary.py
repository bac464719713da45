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

from luna_serving.engines.finance.blackscholes.american.grid import Level
from luna_serving.engines.finance.blackscholes.exponential import exp
from luna_serving.engines.finance.blackscholes.logarithm import log
from luna_serving.engines.finance.blackscholes.mills import ROOT_TWO_PI, smooth_tail

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


def start(level: Level, p: Put) -> Array:
    """A first guess of y at the nodes: that of Bjerksund and Stensland (1993), by put-call symmetry."""
    p = as_rows(p)
    tau = p.expiry * jnp.asarray(level.time)[:, None]
    r, q, s2 = p.rate, p.dividend_yield, p.volatility**2
    b = (q - r) / s2
    beta = 0.5 - b + jnp.sqrt((b - 0.5) ** 2 + 2.0 * q / s2)
    forever = beta / jnp.maximum(beta - 1.0, 1e-9)
    now = 1.0 / limit_at_expiry(p)
    gap = jnp.maximum(forever - now, 1e-9)
    root = p.volatility * jnp.sqrt(tau)
    # The bound takes over where the drift outruns the volatility.
    rise = 1.0 - exp(-jnp.maximum((q - r) * tau + 2.0 * root, root) * now / gap)
    return jnp.clip(-log(1.0 + gap * rise / now), LEAST_Y, -1e-9)


class _Nodes(NamedTuple):
    """What one step needs at each node [nodes, rows]."""

    rate: Array
    """rτ."""
    dividend_yield: Array
    """qτ."""
    root: Array
    """σ√τ."""
    inverse: Array
    """1/(σ√τ)."""
    carry: Array
    """(r - q)τ/(σ√τ)."""
    log_b: Array
    low: Array
    """d-(τ)."""
    high: Array
    """d+(τ)."""


class _Points(NamedTuple):
    """Under the integrals [points, nodes, rows]."""

    low: Array
    """e^(-rv) √(2π) φ(d-)."""
    high: Array
    """e^(-qv) √(2π) φ(d+)."""
    d_low: Array
    d_high: Array


def improve(level: Level, p: Put, y: Array) -> Array:
    """One step with equation FP-A: converges fast, but not where rates are large against the variance."""
    n = _nodes(level, p, y)
    t, q = _points(level, n, y), level.quadrature
    owed = _integral(q.weights / q.root, t.low)
    per_root = n.inverse / ROOT_TWO_PI
    discount = exp(-_column(q.since) * n.dividend_yield[None])
    at_points = (t.high * per_root[None]) * _column(1.0 / q.root)
    owned = _integral(q.weights, at_points + smooth_tail(t.d_high, t.high, discount))
    m_low = exp(-n.rate - 0.5 * n.low * n.low) * per_root
    m_high = exp(-n.dividend_yield - 0.5 * n.high * n.high)
    last = smooth_tail(n.high, m_high, exp(-n.dividend_yield))
    m_high = m_high * per_root
    numerator = m_low + n.rate * per_root * owed
    denominator = m_high + last + n.dividend_yield * owned
    slope = (n.high * n.inverse - 1.0) * m_high / denominator - n.low * m_low * n.inverse / numerator
    return _stepped(n, y, numerator / denominator, slope)


def improve_carefully(level: Level, p: Put, y: Array) -> Array:
    """One step with equation FP-B, which has Φ where FP-A has φ/(σ√τ): converges slowly, for more options."""
    n = _nodes(level, p, y)
    t, q = _points(level, n, y), level.quadrature
    since = -_column(q.since)
    owed = _integral(q.weights, smooth_tail(t.d_low, t.low, exp(since * n.rate[None])))
    owned = _integral(q.weights, smooth_tail(t.d_high, t.high, exp(since * n.dividend_yield[None])))
    m_low = exp(-n.rate - 0.5 * n.low * n.low)
    m_high = exp(-n.dividend_yield - 0.5 * n.high * n.high)
    numerator = smooth_tail(n.low, m_low, exp(-n.rate)) + n.rate * owed
    denominator = smooth_tail(n.high, m_high, exp(-n.dividend_yield)) + n.dividend_yield * owned
    slope = (m_low / numerator - m_high / denominator) * (n.inverse / ROOT_TWO_PI)
    return _stepped(n, y, numerator / denominator, slope)


def moved(to: Level, y: Array) -> Array:
    """From the nodes of the level before to those of this one."""
    return jnp.clip(-jnp.sqrt(jnp.maximum(jnp.asarray(to.transfer) @ (y * y), 0.0)), LEAST_Y, MOST_Y)


def as_rows(p: Put) -> Put:
    """Columns [1, R], beside nodes [N, R]."""
    return Put(*(jnp.asarray(each)[None, :] for each in p))


def _nodes(level: Level, p: Put, y: Array) -> _Nodes:
    p = as_rows(p)
    time = jnp.asarray(level.time)[:, None]
    root = p.volatility * jnp.sqrt(p.expiry) * jnp.sqrt(time)
    inverse = 1.0 / root
    tau = p.expiry * time
    carry = (p.rate - p.dividend_yield) * tau * inverse
    log_b = y + jnp.log(limit_at_expiry(p))
    d = log_b * inverse + carry
    return _Nodes(p.rate * tau, p.dividend_yield * tau, root, inverse, carry, log_b, d - 0.5 * root, d + 0.5 * root)


def _points(level: Level, n: _Nodes, y: Array) -> _Points:
    # XLA would keep products of what no step changes, and reading them takes as long as computing them: the products
    # here have a factor that changes.
    q = level.quadrature
    root, since = _column(q.root), _column(q.since)
    h = (jnp.asarray(q.interpolation) @ (y * y)).reshape(len(q.root), *y.shape)
    log_ratio = y[None] + jnp.sqrt(jnp.maximum(h, 0.0))
    per_root = (log_ratio * n.inverse[None]) * _column(1.0 / q.since) + (n.carry - 0.5 * n.root)[None]
    after = per_root + n.root[None]
    return _Points(
        exp(since * (-0.5 * per_root * per_root - n.rate[None])),
        exp(since * (-0.5 * after * after - n.dividend_yield[None])),
        root * per_root,
        root * after,
    )


def _column(points: np.ndarray) -> Array:
    """Beside [points, nodes, rows]."""
    return jnp.asarray(points)[:, None, None]


def _integral(weights: np.ndarray, values: Array) -> Array:
    """Over the first axis, as a product of matrices: XLA does not vectorise the loop of a sum."""
    points, *shape = values.shape
    return (jnp.asarray(weights)[None] @ values.reshape(points, -1)).reshape(shape)


def _stepped(n: _Nodes, y: Array, ratio: Array, slope: Array) -> Array:
    """Newton's step in ln B, `slope` being that of a change that is the same at all times.

    The errors of a guess are smooth in time, and the integrals do not change with such a change of B. The derivative by
    B(τ) alone, as in the paper, is far larger, and makes the iteration slower here.
    """
    change = (log(ratio) - n.log_b) / jnp.clip(1.0 - slope, LEAST_SLOPE, MOST_SLOPE)
    change = jnp.where((ratio > 0.0) & jnp.isfinite(change), jnp.clip(change, -0.5, 0.5), 0.0)
    return jnp.clip(y + change, LEAST_Y, MOST_Y)
