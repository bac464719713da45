"""Smoothed disturbances and auxiliary residuals (Durbin & Koopman 2012, sections 4.5, 5.4 and 7.5). Pure NumPy.

In the letters of the book: ε the noise of an observation, with covariance H; η the shocks to the state, with covariance
Q, which R brings into it; r and N what the observations after a period say of the state after it. While the start is
diffuse r and N are those of the leading power of κ, and the formulas hold as they are (section 5.4).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import over_time
from luna_serving.engines.statespace.results.series import SeriesResult
from luna_serving.engines.statespace.results.signals import first_period, obs_variances, smoothed_signal

Floats = NDArray[np.float64]

# Relative to H: an observation that leaves its noise less than this to explain is the only one that determines its
# signal, and the standardized disturbance would be rounding divided by rounding.
UNEXPLAINED: Final = 1e-8
# Relative to Q: a shock of which the observations say less is one of which they say nothing: Q R' N R Q is rounding.
NOTHING_SAID: Final = 1e-12


class Disturbances(NamedTuple):
    """The disturbances of each period, given all observations; [T] for [T, m] where one thing is observed."""

    mean: Floats  # [T, m] or [T, r]
    variance: Floats  # Var(· | Y), likewise
    spread: Floats  # the variance of the mean, which is a function of Y; NaN where it is zero, or rounding
    standardized: Floats  # the mean by that deviation


def state_disturbances(result: SeriesResult) -> Disturbances:
    """η [T, r], of the step from each period to the next: Q R' r and Q - Q R' N R Q."""
    model, smoothed = result.model, result.smoothed
    assert smoothed is not None  # noqa: S101  the caller asks for the smoother
    assert smoothed.score is not None  # noqa: S101  with r and N
    assert smoothed.information is not None  # noqa: S101  likewise
    first, periods = first_period(result), len(smoothed.score)
    cov = over_time(model.state_cov, 2, first, periods)
    enters = cov[:1] @ model.selection.T if model.length is None else _by_period(result, cov)
    enters = np.broadcast_to(enters, (periods, model.shocks, model.states))
    mean = np.einsum("tri,ti->tr", enters, smoothed.score)
    explained = _quadratic(enters, smoothed.information)
    own = np.diagonal(cov, axis1=1, axis2=2)
    variance = smoothed.state_disturbance_var
    if variance is None:
        variance = own - explained
    spread = np.where(explained > NOTHING_SAID * own, explained, np.nan)
    return Disturbances(mean, np.clip(variance, 0.0, own), spread, mean / np.sqrt(spread))


def obs_disturbances(result: SeriesResult, y: Floats) -> Disturbances:
    """ε, [T] or [T, m], of a series y: y - Z x̂ - d, and the variance of the smoothed signal.

    That variance is H - H D H of the book, where no digits cancel. Of what is missing the other elements of the period
    tell as much as their noise is correlated with it: without correlation the mean is 0 and the variance H's.
    """
    model, seen = result.model, smoothed_signal(result)
    first, periods = first_period(result), len(seen.mean)
    noise = obs_variances(model, first, periods)
    y = y.reshape(seen.mean.shape)
    missing = np.isnan(y)
    mean = np.where(missing | (noise == 0), 0.0, y - seen.mean)
    variance = np.where(missing, noise, seen.variance)
    left = noise - variance
    spread = np.where(~missing & (left > UNEXPLAINED * noise), left, np.nan)
    standardized = mean / np.sqrt(spread)
    if model.observed > 1:
        _tell_missing(result, missing, mean, variance)
    return Disturbances(mean, variance, spread, standardized)


def _by_period(result: SeriesResult, cov: Floats) -> Floats:
    """Q R' [T, r, n]."""
    selection = over_time(result.model.selection, 2, first_period(result), len(cov))
    product: Floats = cov @ selection.swapaxes(1, 2)
    return product


def _quadratic(outer: Floats, inner: Floats) -> Floats:
    """The diagonal [T, r] of outer [T, r, n] · inner [T, n, n] · outer'."""
    diagonal: Floats = np.einsum("tri,tri->tr", outer @ inner, outer)
    return diagonal


def _tell_missing(result: SeriesResult, missing: NDArray[np.bool_], mean: Floats, variance: Floats) -> None:
    """Fill in what the observed elements of a period say of the missing ones' noise, through its correlations.

    With B = H₂₁ H₁₁⁻¹, 1 the observed and 2 the missing elements: B ε̂₁, and H₂₂ - B H₁₂ + B Var(ε₁ | Y) B'.
    """
    model, smoothed = result.model, result.smoothed
    assert smoothed is not None  # noqa: S101  the caller has looked
    first, periods = first_period(result), len(missing)
    noise, design = over_time(model.obs_cov, 2, first, periods), over_time(model.design, 2, first, periods)
    for t in np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1)):
        there, gone = np.flatnonzero(~missing[t]), np.flatnonzero(missing[t])
        between = noise[t][np.ix_(gone, there)]
        if not between.any():
            continue
        weights = between @ np.linalg.pinv(noise[t][np.ix_(there, there)], hermitian=True)
        left = design[t, there] @ smoothed.smoothed_state_cov[t] @ design[t, there].T
        mean[t, gone] = weights @ mean[t, there]
        own = np.diagonal(noise[t])[gone] - np.einsum("ij,ij->i", weights, between)
        variance[t, gone] = np.maximum(own, 0.0) + np.einsum("ij,jk,ik->i", weights, left, weights)
