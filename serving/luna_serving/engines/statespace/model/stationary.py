"""The unconditional moments of a stationary state: a = T a + c, P = T P T' + V (Durbin & Koopman 2012, eq. 5.37).

With V = R Q R', P = V + T V T' + T² V T'² + ... is summed by doubling: P <- P + A P A', A <- A A from A = T, which
after k steps holds 2^k terms (Smith 1968, "Matrix equation XA + BX = C"). In float64 that loses a digit for each one
by which the largest eigenvalue approaches 1, as every solver does (scipy's `solve_discrete_lyapunov` is 1e-5 off at
0.99999 with the 13 states of a seasonal model). So the error is measured, and where it is not small the sum is taken
in the precision that it needs.
"""

from dataclasses import dataclass
from math import ceil, log2
from typing import Final

import numpy as np
from flint import arb_mat
from numpy.typing import NDArray

from luna_serving.engines.statespace.process.precise import bits

Floats = NDArray[np.float64]
# 2^42 terms reach the limit for eigenvalues up to 1 - 3e-11 in size; those of 1 - 1e-10 are served.
DOUBLINGS: Final = 42
# Enough for eigenvalues up to 1 - 1e-5; nearer to 1, float64 has not the digits.
FAST_DOUBLINGS: Final = 24
# What one step of refinement may correct, in units of float64's rounding: it leaves 100 roundings / this ratio.
FAST_CORRECTION: Final = 100 * float(np.finfo(np.float64).eps / np.finfo(np.longdouble).eps)
# A variance so far below the terms that it is the sum of may be zero.
FAST_CANCELLATION: Final = 1e-8
# Enough for most; what is lost is measured, and then there are more.
BITS: Final = 256
LARGEST_BITS: Final = 8192
# Powers of T are below 2^-REST when the sum ends.
REST: Final = 200
# float64 has 53 bits; the others are spare.
GOOD_BITS: Final = 64
# A variance this far below the terms that it is the sum of is zero: two float64 numbers that differ do so within
# 2^-53, and a variance holds their square.
ZERO_BITS: Final = 180


class NoMomentsError(ValueError):
    """The series of the covariances has no limit, reaches it too slowly, or `LARGEST_BITS` bits do not hold it."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean `[n]` and covariance `[n, n]` of a stationary state, to the last digits of float64."""

    mean: Floats
    cov: Floats


def stationary_moments(transition: Floats, selection: Floats, state_cov: Floats, state_intercept: Floats) -> Moments:
    """The moments of state[t+1] = c + T state[t] + R u, u ~ N(0, Q), whose matrices are taken as exact numbers.

    Args:
        transition: T `[n, n]`.
        selection: R `[n, r]`.
        state_cov: Q `[r, r]`.
        state_intercept: c `[n]`.

    Raises:
        NoMomentsError: an eigenvalue of T has size 1 - 3e-11 or more, or powers of T grow by hundreds of orders of
            magnitude before they decay.
    """
    found = _fast(transition, selection @ state_cov @ selection.T, state_intercept)
    if found is not None:
        return found
    precision = BITS
    while precision <= LARGEST_BITS:
        with bits(precision):
            found, short = _precise(transition, selection, state_cov, state_intercept)
        if short <= 0:
            return found
        precision += short + GOOD_BITS
    raise NoMomentsError


def _fast(transition: Floats, disturbance_cov: Floats, state_intercept: Floats) -> Moments | None:
    """The moments in float64, refined once with a residual in extended precision; None where that is not enough.

    The correction is L⁻¹ of the residual, L(P) = P - T P T', and so measures the error itself (Higham 2002, ch. 12).
    """
    exact = transition.astype(np.longdouble)
    with np.errstate(over="ignore", invalid="ignore"):
        cov = _sum(transition, disturbance_cov)
        if cov is None:
            return None
        residual = (exact @ cov @ exact.T + disturbance_cov - cov).astype(np.float64)
        correction = _sum(transition, residual)
        if correction is None:
            return None
    cov = cov + correction
    variances = np.diagonal(cov)
    if not (variances >= FAST_CANCELLATION * _terms(transition, disturbance_cov, variances)).all():
        return None
    deviations = np.sqrt(variances)
    most = FAST_CORRECTION * np.finfo(np.float64).eps * deviations[:, None] * deviations
    if (np.abs(correction) > most).any():
        return None
    mean: Floats = np.zeros(len(cov))
    if state_intercept.any():
        matrix = np.eye(len(cov)) - transition
        mean += np.linalg.solve(matrix, state_intercept)
        mean += np.linalg.solve(matrix, (state_intercept - (mean - exact @ mean)).astype(np.float64))
    return Moments(mean, (cov + cov.T) / 2)


def _sum(transition: Floats, first: Floats) -> Floats | None:
    """V + T V T' + ... in float64; None where it does not end soon."""
    power, cov = transition, first
    for _ in range(FAST_DOUBLINGS):
        cov = cov + power @ cov @ power.T
        power = power @ power
        if np.abs(power).max() < 2.0**-REST:
            return cov
    return None


def _precise(transition: Floats, selection: Floats, state_cov: Floats, state_intercept: Floats) -> tuple[Moments, int]:
    """The moments in the precision at hand, and how many bits that is short of.

    Raises:
        NoMomentsError: there are none.
    """
    exact = arb_mat(transition.tolist())
    # Rounded to float64, R Q R' would move a variance of zero.
    shocked = arb_mat(selection.tolist())
    power, first = exact, (shocked * arb_mat(state_cov.tolist()) * shocked.transpose()).mid()
    cov, moved = first, bool(state_intercept.any())
    mean = shift = arb_mat([[each] for each in state_intercept.tolist()])
    largest = 1.0
    for _ in range(DOUBLINGS):
        cov = (cov + (power * cov).mid() * power.transpose()).mid()
        if moved:
            mean = (mean + power * mean).mid()
        # Midpoints only: the radii would double with every squaring, and what is lost is measured at the end.
        power = (power * power).mid()
        size = float(np.abs(_numbers(power)).max())
        largest = max(largest, size)
        if not largest < np.inf:
            raise NoMomentsError
        if size < 2.0**-REST:
            break
    else:
        raise NoMomentsError
    left = _sizes(first + exact * cov * exact.transpose() - cov)
    numbers = _numbers(cov)
    terms = _terms(transition, _numbers(first), np.diagonal(numbers))
    # A negative one is that of a state_cov which is semi-definite but for its own rounding.
    zero = np.diagonal(numbers) <= 2.0**-ZERO_BITS * terms
    deviations = np.sqrt(np.where(zero, 0.0, np.diagonal(numbers)))
    unit = np.where(zero, 2.0 ** (-ZERO_BITS / 2) * np.sqrt(terms), deviations)
    bound = unit[:, None] * unit
    wrong = float((left[bound > 0] / bound[bound > 0]).max(initial=0.0))
    if moved:
        wrong = max(wrong, float(_sizes(shift + exact * mean - mean).max() / _sizes(mean).max()))
    # A residual is multiplied by the sum of 2^DOUBLINGS squares of powers of T at most.
    lost = DOUBLINGS + 2 * ceil(log2(largest) + log2(len(transition)))
    short = 0 if wrong == 0 else ceil(log2(wrong)) + lost + GOOD_BITS
    cov64 = np.where(deviations[:, None] * deviations > 0, numbers, 0.0)
    return Moments(_numbers(mean)[:, 0], (cov64 + cov64.T) / 2), short


def _terms(transition: Floats, disturbance_cov: Floats, variances: Floats) -> Floats:
    """The sizes [n] of the terms of V + T P T' on its diagonal, were none to cancel."""
    deviations = np.sqrt(np.maximum(variances, 0.0))
    terms: Floats = (np.abs(transition) @ deviations) ** 2 + np.abs(np.diagonal(disturbance_cov))
    return terms


def _numbers(matrix: arb_mat) -> Floats:
    return np.array([[float(each.mid()) for each in row] for row in matrix.tolist()])


def _sizes(matrix: arb_mat) -> Floats:
    """The largest size that each number may have."""
    return np.array([[float(each.abs_upper()) for each in row] for row in matrix.tolist()])
