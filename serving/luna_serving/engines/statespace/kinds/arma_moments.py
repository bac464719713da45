"""The unconditional moments of an ARMA process in Harvey's form, from its polynomials.

phi(L) y[t] = theta(L) e[t] is y[t] = theta(L) u[t] with phi(L) u[t] = e[t], and each state of Harvey's form (Harvey
1989, p. 170) is a polynomial of u[t] too, of degree below k: with phi(L) = 1 - phi_1 L - ...,

    g_i(L) = phi_(i+1) L theta(L) + theta_i phi(L) + L g_(i+1)(L),   g_k = 0,   g_0 = theta

so that P = G Γ G' with the Toeplitz matrix Γ of u's autocovariances (`autocovariances`). A state whose polynomial is
zero, as where phi and theta share a factor, has variance zero, exactly.

Coefficients count as exact numbers, and so do the products of regular and seasonal factors: to round those moves a
root of 1 - 1e-10 by as much as its distance to 1 where two factors meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from luna_serving.engines.statespace.kinds.autocovariances import BITS, LARGEST_BITS, autocovariances
from luna_serving.engines.statespace.process.precise import bits

Floats = NDArray[np.float64]
# float64 has 53 bits; the others are spare.
GOOD_BITS: Final = 64
# A variance this share of its terms' size has lost a digit or two of float64's sixteen.
FAST_CANCELLATION: Final = 0.02
# A deviation 1e-30 of the largest state's is lost in the first sum that it enters.
NEGLIGIBLE: Final = 1e-60
UNIT_ROOT: Final = "the autoregression is not stationary"


@dataclass(frozen=True, slots=True)
class Lags:
    """(1 - ar L - ...)(1 - seasonal_ar L^s - ...) y[t] = (1 + ma L + ...)(1 + seasonal_ma L^s + ...) e[t]."""

    ar: Sequence[float]
    ma: Sequence[float]
    seasonal_ar: Sequence[float] = ()
    seasonal_ma: Sequence[float] = ()
    period: int = 0


def arma_moments(lags: Lags, states: int) -> tuple[Floats, Floats]:
    """Mean `[k]` for an intercept of 1 and covariance `[k, k]` for a variance of 1, of k states.

    The autoregression must be stationary (`lag_polynomials.require_stationary`).

    Raises:
        ArithmeticError: it is not.
    """
    if not any(lags.ar) and not any(lags.seasonal_ar):
        return np.eye(1, states)[0], _moving_average(lags, states)
    precision = BITS
    while precision <= LARGEST_BITS:
        with bits(precision):
            found = _moments(lags, states)
        if found is not None:
            return found
        precision *= 2
    raise ArithmeticError(UNIT_ROOT)


def lagged_covariance(ar: Sequence[float]) -> Floats:
    """Covariance `[p, p]` of y[t], y[t-1], ..., y[t-p+1] of a stationary autoregression with shocks of variance 1.

    Raises:
        ArithmeticError: it is not stationary.
    """
    places = np.arange(len(ar))
    precision = BITS
    while precision <= LARGEST_BITS:
        with bits(precision):
            gamma = autocovariances(_product(ar, (), 0, -1), len(ar))
            if gamma is not None and max(float(each.rad()) for each in gamma) <= 2.0**-GOOD_BITS * float(gamma[0]):
                return np.array([float(each) for each in gamma])[np.abs(np.subtract.outer(places, places))]
        precision *= 2
    raise ArithmeticError(UNIT_ROOT)


def _moving_average(lags: Lags, states: int) -> Floats:
    """State i is theta_i e[t] + theta_(i+1) e[t-1] + ..."""
    factor, spread = np.array([1.0, *lags.ma]), np.zeros(len(lags.seasonal_ma) * lags.period + 1)
    spread[0] = 1.0
    if len(lags.seasonal_ma):
        spread[lags.period :: lags.period] = lags.seasonal_ma
    theta = np.zeros(2 * states)
    theta[: len(factor) + len(spread) - 1] = np.convolve(factor, spread)
    rows = theta[np.add.outer(np.arange(states), np.arange(states))]
    return _covariance(rows @ rows.T)


def _moments(lags: Lags, states: int) -> tuple[Floats, Floats] | None:
    """None where the precision at hand is too low."""
    phi = _product(lags.ar, lags.seasonal_ar, lags.period, -1)
    theta = _product(lags.ma, lags.seasonal_ma, lags.period, 1)
    gamma = autocovariances(phi, states)
    if gamma is None:
        return None
    cov = _product_of(_rows(phi, theta, states), gamma)
    if cov is None:
        return None
    total = sum(phi, arb(0))
    if total.rel_accuracy_bits() < GOOD_BITS:
        return None
    mean, left = [], total
    for each in [*phi, *[arb(0)] * states][:states]:
        # The mean of state i is that of y times phi_(i+1) + phi_(i+2) + ..., or (1 - phi_1 - ... - phi_i) - phi(1).
        left = left - each
        mean.append(float(-left / total))
    mean[0] = float(1 / total)
    return np.array(mean), _covariance(cov)


def _product(regular: Sequence[float], seasonal: Sequence[float], period: int, sign: int) -> list[arb]:
    """(1 + sign·a L + ...)(1 + sign·A L^s + ...) from its constant on, without trailing zeros."""
    first = [arb(1), *(sign * arb(each) for each in regular)]
    product = [arb(0)] * (len(first) + len(seasonal) * period)
    for j, factor in enumerate([arb(1), *(sign * arb(each) for each in seasonal)]):
        for i, each in enumerate(first):
            product[i + j * period] += each * factor
    while product[-1].is_zero():
        del product[-1]
    return product


def _rows(phi: list[arb], theta: list[arb], states: int) -> list[list[arb]]:
    """G [k, k]: the coefficients of each state's polynomial of u."""
    zero = arb(0)
    phi = [*phi, *[zero] * (states + 1 - len(phi))]
    theta = [*theta, *[zero] * (states + 1 - len(theta))]
    # Seasonal polynomials have few terms. The power L^k cancels.
    phi_terms = [(j, each) for j, each in enumerate(phi[:states]) if not each.is_zero()]
    theta_terms = [(j + 1, each) for j, each in enumerate(theta[: states - 1]) if not each.is_zero()]
    row, rows = [zero] * states, []
    for i in range(states - 1, -1, -1):
        row = [zero, *row[:-1]]
        if not theta[i].is_zero():
            for j, each in phi_terms:
                row[j] += theta[i] * each
        if not phi[i + 1].is_zero():
            for j, each in theta_terms:
                row[j] -= phi[i + 1] * each
        rows.append(row)
    return rows[::-1]


def _product_of(rows: list[list[arb]], gamma: list[arb]) -> Floats | None:
    """G Γ G' [k, k] with the Toeplitz matrix Γ; in balls where its terms cancel, None where those are too wide."""
    places = np.arange(len(rows))
    lags = np.abs(np.subtract.outer(places, places))
    radius = max(float(each.rad()) for each in gamma)
    numbers = np.array([[float(each) for each in row] for row in rows])
    fast: Floats = numbers @ np.array([float(each) for each in gamma])[lags] @ numbers.T
    # The size of what each variance is the sum of.
    terms = float(gamma[0]) * np.abs(numbers).sum(axis=1) ** 2
    variances = np.diagonal(fast)
    if (variances >= FAST_CANCELLATION * terms).all() and radius <= 2.0**-GOOD_BITS * float(gamma[0]):
        return fast
    factors, middle = arb_mat(rows), [each.mid() for each in gamma]
    cov = factors * arb_mat([[middle[lag] for lag in line] for line in lags.tolist()]) * factors.transpose()
    wide = np.array([float(cov[i, i].rad()) for i in range(len(rows))]) + radius * terms / float(gamma[0])
    slow = np.array([[float(each) for each in row] for row in cov.tolist()])
    return None if (wide > 2.0**-GOOD_BITS * np.diagonal(slow)).any() else slow


def _covariance(numbers: Floats) -> Floats:
    """Exactly symmetric, and without what is negligible next to the largest variance."""
    deviations = np.sqrt(np.diagonal(numbers))
    kept = deviations**2 > NEGLIGIBLE * np.max(deviations**2)
    return np.where(kept[:, None] & kept, (numbers + numbers.T) / 2, 0.0)
