"""A slow reference for American puts: equation FP-B in NumPy, with other nodes and points than the engine's.

The nodes are Chebyshev points of x = (τ/T)^(1/4), and the points of an integral have u = τ cos⁴ω: the boundary's weak
singularity at expiry (τ ln τ where r = q) is far smoother in x than in √τ, which the engine takes where q > r. There it
needs more nodes: 24 of them were 1.6e-8 of the strike off at σ√T = 3.7.
"""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import BarycentricInterpolator
from scipy.special import ndtr

NODES = 32
POINTS = 64
PRICE_POINTS = 256
STEPS = 120
# A last change of ln B that rounding makes, or nearly.
SETTLED = 1e-14


class Reference(NamedTuple):
    price: np.ndarray
    change: np.ndarray
    """The last step's largest change of ln B: the reference is one only where it is small."""


def reference(puts: np.ndarray) -> Reference:
    """Prices of puts with strike 1; rows of spot, rate, dividend yield, volatility and expiry."""
    found = [_one(*row) for row in puts.tolist()]
    return Reference(np.array([each[0] for each in found]), np.array([each[1] for each in found]))


def _points(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x(u)/x(τ), (τ - u)/τ, and weights of ∫ f du / τ."""
    t, weights = np.polynomial.legendre.leggauss(count)
    omega = 0.25 * np.pi * (1.0 + t)
    s, c = np.sin(omega), np.cos(omega)
    return c, s**2 * (1.0 + c**2), 0.25 * np.pi * weights * 4.0 * s * c**3


def _interpolation(at: np.ndarray) -> np.ndarray:
    nodes = 0.5 * (1.0 + np.cos(np.arange(NODES + 1) * np.pi / NODES))
    return BarycentricInterpolator(nodes, np.eye(NODES + 1))(at)[:, :-1]


_X = 0.5 * (1.0 + np.cos(np.arange(NODES) * np.pi / NODES))
_Z, _SINCE, _WEIGHTS = _points(POINTS)
_TO_POINTS = _interpolation(np.outer(_X, _Z).ravel())
_PRICE_Z, _PRICE_SINCE, _PRICE_WEIGHTS = _points(PRICE_POINTS)
_TO_PRICE = _interpolation(_PRICE_Z)


def _d(log_ratio: np.ndarray, carry: float, v: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    total = sigma * np.sqrt(v)
    low = (log_ratio + carry * v) / total - 0.5 * total
    return low, low + total


def _one(s: float, r: float, q: float, sigma: float, expiry: float) -> tuple[float, float]:
    limit = min(1.0, r / q) if q > r else 1.0
    drift = r - q - 0.5 * sigma**2
    if drift > 0.0:
        # More time changes nothing: Φ(-14) = 8e-45.
        expiry = min(expiry, (14.0 * sigma / drift) ** 2)
    tau = expiry * _X**4
    v = tau[:, None] * _SINCE
    root = sigma * np.sqrt(tau)
    y = -root / (1.0 + root)
    change = np.inf
    for _ in range(STEPS):
        past = -np.sqrt(np.maximum(_TO_POINTS @ y**2, 0.0)).reshape(v.shape)
        low, high = _d(y[:, None] - past, r - q, v, sigma)
        last_low, last_high = _d(y + np.log(limit), r - q, tau, sigma)
        n = np.exp(-r * tau) * ndtr(last_low) + r * tau * (np.exp(-r * v) * ndtr(low) @ _WEIGHTS)
        d = np.exp(-q * tau) * ndtr(last_high) + q * tau * (np.exp(-q * v) * ndtr(high) @ _WEIGHTS)
        # The derivative of ln(n/d) by a change of ln B that is the same at all times.
        slope = np.exp(-r * tau - 0.5 * last_low**2) / n - np.exp(-q * tau - 0.5 * last_high**2) / d
        step = (np.log(n / d / limit) - y) / np.clip(1.0 - slope / (root * np.sqrt(2.0 * np.pi)), 0.3, 10.0)
        after = np.clip(y + np.clip(step, -0.5, 0.5), -27.0, -1e-14)
        change, y = float(np.max(np.abs(after - y))), after
        if change < SETTLED:
            break
    return _price(s, r, q, sigma, expiry, limit, y), change


def _price(s: float, r: float, q: float, sigma: float, expiry: float, limit: float, y: np.ndarray) -> float:
    v = expiry * _PRICE_SINCE
    log_boundary = np.log(limit) - np.sqrt(np.maximum(_TO_PRICE @ y**2, 0.0))
    low, high = _d(np.log(s) - log_boundary, r - q, v, sigma)
    premium = r * np.exp(-r * v) * ndtr(-low) - q * s * np.exp(-q * v) * ndtr(-high)
    last_low, last_high = _d(np.array(np.log(s)), r - q, np.array(expiry), sigma)
    european = np.exp(-r * expiry) * ndtr(-last_low) - s * np.exp(-q * expiry) * ndtr(-last_high)
    if s <= limit * np.exp(y[0]):
        return 1.0 - s
    return max(float(european + expiry * (premium @ _PRICE_WEIGHTS)), 1.0 - s)
