"""What follows from the means of series that share their gains: forecasts, errors, likelihoods. Plain arithmetic.

Covariances and variances are those of one series; results share them, as read-only views of the same memory.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import over_time
from luna_serving.engines.statespace.model.observations import LOG_2PI
from luna_serving.engines.statespace.plans.threads import on_threads
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.results.series import FullOutputs, SeriesResult

Floats = NDArray[np.float64]
# Points whose arrays stay in the second cache while one follows from the other.
AT_A_TIME: Final = 16_384
FEW_STATES: Final = 8


class Derived(NamedTuple):
    """What follows from the means of all series, to the end of the longest."""

    predicted: Floats  # [series, T + 1, n]
    forecasts: Floats  # [series, T]
    error: Floats
    standardized: Floats
    loglike_obs: Floats


def full_results(
    lengths: Sequence[int],
    means: Floats,
    y: Floats,
    one: SeriesResult,
    full: FullOutputs,
    precision: Literal["float64", "float32"],
    pool: Executor | None,
) -> list[SeriesResult]:
    """Results of series [series, T] from their filtered means [series, T, n].

    `one` is a series with their gaps through the engine's filter, `full` what it answered.
    """
    found = _derived(means, y, one, full, pool)
    finite, loglike = _verdicts(lengths, found)
    finite &= one.finite
    nothing_diffuse = np.zeros((one.model.states, one.model.states))
    results = []
    for place, count in enumerate(lengths):
        own = FullOutputs(
            filtered_state_cov=full.filtered_state_cov[:count],
            predicted_state=found.predicted[place, : count + 1],
            predicted_state_cov=full.predicted_state_cov[: count + 1],
            forecasts=found.forecasts[place, :count],
            forecast_error=found.error[place, :count],
            forecast_error_cov=full.forecast_error_cov[:count],
            forecast_error_diffuse_cov=full.forecast_error_diffuse_cov[:count],
            standardized_forecast_error=found.standardized[place, :count],
            loglike_obs=found.loglike_obs[place, :count],
            loglike=float(loglike[place]),
            nobs_diffuse=full.nobs_diffuse,
        )
        saved = None
        if one.saved is not None:
            mean, cov = own.predicted_state[-1], own.predicted_state_cov[-1]
            saved = Saved(mean, cov, nothing_diffuse, 0, count, one.saved.nobs_diffuse)
        filtered, whole = means[place, :count], bool(finite[place])
        results.append(SeriesResult(one.model, filtered, whole, own, None, saved, "shared_gain", precision))
    return results


def _derived(means: Floats, y: Floats, one: SeriesResult, full: FullOutputs, pool: Executor | None) -> Derived:
    (batch, length, n), model = means.shape, one.model
    found = Derived(np.empty((batch, length + 1, n)), *(np.empty((batch, length)) for _ in range(4)))
    found.predicted[:, 0] = model.start.mean
    constant = model.length is None
    transition, intercept = over_time(model.transition, 2, 0, length), over_time(model.state_intercept, 1, 0, length)
    design, offset = over_time(model.design, 2, 0, length)[:, 0], over_time(model.obs_intercept, 1, 0, length)[:, 0]
    # Where the one series had a standardized error, all have one; elsewhere the likelihood does not depend on data.
    irregular = np.isnan(full.standardized_forecast_error)
    variance = np.where(irregular, 1.0, full.forecast_error_cov)
    deviation = np.where(irregular, np.nan, np.sqrt(variance))
    density = np.where(irregular, full.loglike_obs, -0.5 * (LOG_2PI + np.log(variance)))

    def fill(piece: slice) -> None:
        predicted, forecasts, error, standardized, loglike_obs = (part[piece] for part in found)
        if constant:
            for state, row in enumerate(model.transition):
                _combine(row, means[piece], predicted[:, 1:, state])
            predicted[:, 1:] += intercept
            _combine(model.design[0], predicted[:, :-1], forecasts)
        else:
            np.einsum("tij,btj->bti", transition, means[piece], out=predicted[:, 1:])
            predicted[:, 1:] += intercept
            np.einsum("tj,btj->bt", design, predicted[:, :-1], out=forecasts)
        forecasts += offset
        np.subtract(y[piece], forecasts, out=error)
        np.divide(error, deviation, out=standardized)
        np.square(standardized, out=loglike_obs)
        loglike_obs *= -0.5
        loglike_obs[:, irregular] = 0.0
        loglike_obs += density

    several = max(1, AT_A_TIME // length)
    on_threads(pool, fill, [slice(first, first + several) for first in range(0, batch, several)])
    return found


def _combine(weights: Floats, vectors: Floats, out: Floats) -> None:
    """Weighted sums over the last axis; a pass for each of few states takes a tenth of a product of small matrices."""
    if len(weights) > FEW_STATES:
        np.matmul(vectors, weights, out=out)
        return
    np.multiply(vectors[..., 0], weights[0], out=out)
    for state in range(1, len(weights)):
        out += vectors[..., state] * weights[state]


def _verdicts(lengths: Sequence[int], found: Derived) -> tuple[NDArray[np.bool_], Floats]:
    """Whether the numbers of each series are finite to its own end, and its log-likelihood."""
    finite, loglike = np.empty(len(lengths), np.bool_), np.empty(len(lengths))
    equally_long = min(lengths) == found.forecasts.shape[1]
    # All at once, or each alone: beyond a series' end there is something else.
    pieces = [slice(None)] if equally_long else [slice(place, place + 1) for place in range(len(lengths))]
    for piece in pieces:
        end = lengths[piece.start or 0]
        loglike[piece] = found.loglike_obs[piece, :end].sum(axis=1)
        finite[piece] = np.isfinite(found.predicted[piece, : end + 1]).all(axis=(1, 2))
        finite[piece] &= np.isfinite(found.forecasts[piece, :end]).all(axis=1) & np.isfinite(loglike[piece])
    return finite, loglike
