"""Whether float64 has enough digits for a series: measured, not guessed.

The series is filtered twice, in the model's units and in others (`prepared.prepare`, `twin`). Exactly, both would give
the same answer; in float64 every product rounds differently, so that their difference is what rounding did to either.
It is held against the deviations that the answer itself states. This is discrete stochastic arithmetic (Vignes 2004,
"Discrete stochastic arithmetic for validating results of numerical software", Numerical Algorithms 37) with two
samples, which many numbers a series make up for.
Rounding that decides between zero and not zero is no matter of size: `tells_apart` looks at those decisions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.disturbances import state_disturbances
from luna_serving.statespace.model import Model, over_time
from luna_serving.statespace.observations import collapsed_rows_of, factor
from luna_serving.statespace.prepared import prepare
from luna_serving.statespace.results import ForecastResult, FullOutputs, SeriesResult
from luna_serving.statespace.signals import first_period

Floats = NDArray[np.float64]

# Of a deviation, or of a variance: 100 times less than the answers are good for.
ALLOWED: Final = 1e-10
# Of a number's own size: a few roundings of it.
OWN_ROUNDING: Final = 1e-14
# Of what a difference is taken from: below, its own digits are fewer than 9.
CANCELS: Final = 1e-7
# Of a state's usual variance, the median of its predictions: what rounding leaves where observations tell the state
# exactly. Not of a variance that the start alone makes large, beyond this multiple of what the model's own noise makes.
ZERO_VARIANCE: Final = 1e-15
VAGUE: Final = 1e3
# Of what flows into a state from others: a variance so small is zero, and their rounding.
KNOWN: Final = 1e-12
# Of a diffuse direction's terms: a signal below the first is one that the data tell with less than half of float64's
# digits; below the second it is the rounding of none.
FAINT: Final = 1e-6
NO_SIGNAL: Final = 1e-14
# Variances that differ by less leave a single level, or a level with a slope, 10 digits whatever the data.
PLAIN_RANGE: Final = 1e10


@dataclass(frozen=True, slots=True, eq=False)
class _Floor:
    """What rounding leaves of variances that are zero, or nearly."""

    own: Floats  # [n], of a state that has a usual variance of its own
    flows: Floats  # [n], by what flows into it from other states

    @classmethod
    def of(cls, model: Model, predicted: Floats) -> "_Floor":
        """By the predicted covariances [T, n, n]."""
        usual = VAGUE * _usual_noise(model)
        often = np.median(np.abs(np.diagonal(predicted, axis1=1, axis2=2)), axis=0)
        often = np.minimum(often, usual)
        return cls(ZERO_VARIANCE * often, ZERO_VARIANCE * (reach(model) ** 2 * often).max(axis=1))

    def under(self, variance: Floats) -> Floats:
        """The error allowed to variances [T, n] whatever their size."""
        known = variance <= KNOWN / ZERO_VARIANCE * self.flows
        floor: Floats = np.where(known, np.maximum(self.own, self.flows), self.own)
        return floor


def _usual_noise(model: Model) -> float:
    noise = np.diagonal(model.disturbance_cov, axis1=-2, axis2=-1).max(axis=-1)
    obs = np.diagonal(model.obs_cov, axis1=-2, axis2=-1).max(axis=-1)
    return max(float(np.median(noise)), float(np.median(obs)))


def reach(model: Model) -> Floats:
    """How much of each state arrives in each other, by the strongest path through transitions [n, n]."""
    kept: Floats | None = model.derived.get("reach")
    if kept is None:
        n = model.states
        direct = np.abs(model.transition).reshape(-1, n, n).max(axis=0)
        most = max(1.0, float(direct.max()))
        kept = np.maximum(direct, np.eye(n))
        for k in range(n):
            kept = np.maximum(kept, np.minimum(kept[:, k : k + 1] * kept[k], most))
        model.derived["reach"] = kept
    return kept


def is_plain(model: Model) -> bool:
    """Whether the filter of a model never lacks digits: a level, or a position with a slope, with an exact start.

    All that it adds up is positive. Its smoother may lack digits: a fixed slope over 10,000 points is known 1e12 times
    better than from the first two.
    """
    kept: bool | None = model.derived.get("plain")
    if kept is None:
        kept = model.derived["plain"] = _is_plain(model)
    return kept


def _is_plain(model: Model) -> bool:
    n, start = model.states, model.start
    if model.length is not None or model.observed != 1 or n > 2 or (start.rank != n and (n > 1 or start.rank)):
        return False
    step = float(model.transition[0, -1])
    form = np.array([[1.0, step], [0.0, 1.0]])[:n, :n]
    noise = model.disturbance_cov
    if (model.transition != form).any() or (model.design != np.eye(1, n)).any() or step <= 0 or (noise < 0).any():
        return False
    if model.obs_cov[0, 0] <= 0:
        # Slopes are then differences of observations, however large those are.
        return False
    # As they are seen in the position after a step.
    sizes = np.array([*(np.diagonal(noise) * np.array([1.0, step**2])[:n]), *model.obs_cov[0], *np.diagonal(start.cov)])
    sizes = sizes[sizes > 0]
    return bool(len(sizes)) and float(sizes.max()) <= PLAIN_RANGE * float(sizes.min())


def lacks_units(model: Model) -> bool:
    """Whether directions of the diffuse start are so unlike in size that float64 must measure them in other units.

    What the diffuse phase answers of directions that are still open depends on their units: it is the model's to say.
    """
    return bool(model.start.rank) and prepare(model).scaled


def agree(one: SeriesResult, other: SeriesResult) -> bool:
    """Whether a series' results in two units are one answer."""
    if not (one.finite and other.finite) or one.full is None or other.full is None:
        return False
    a, b = one.full, other.full
    if a.nobs_diffuse != b.nobs_diffuse or not np.array_equal(a.forecast_diffuse, b.forecast_diffuse):
        return False
    floor = _Floor.of(one.model, a.predicted_state_cov)
    checks = (
        _moments(one.filtered_state, other.filtered_state, a.filtered_state_cov, b.filtered_state_cov, floor),
        _moments(a.predicted_state, b.predicted_state, a.predicted_state_cov, b.predicted_state_cov, floor),
        _forecast_errors(one, other),
        _loglikes(a, b),
        _smoothed(one, other, floor),
        _disturbances(one, other),
    )
    return all(checks)


def _loglikes(a: FullOutputs, b: FullOutputs) -> bool:
    """The same observations are impossible, and the others are as likely."""
    impossible = np.isneginf(a.loglike_obs)
    if not np.array_equal(impossible, np.isneginf(b.loglike_obs)):
        return False
    value, other = float(a.loglike_obs[~impossible].sum()), float(b.loglike_obs[~impossible].sum())
    return abs(value - other) <= ALLOWED * max(1.0, abs(value))


def _forecast_errors(one: SeriesResult, other: SeriesResult) -> bool:
    a, b = one.full, other.full
    assert a is not None  # noqa: S101  the caller has looked
    assert b is not None  # noqa: S101  likewise
    m = one.model.observed
    cov, cov_b = a.forecast_error_cov.reshape(-1, m, m), b.forecast_error_cov.reshape(-1, m, m)
    size = np.diagonal(cov, axis1=1, axis2=2)
    met = a.forecast_diffuse[:, None]
    bound = np.sqrt(np.abs(size[:, :, None] * size[:, None]))
    same = (np.abs(cov - cov_b) <= ALLOWED * bound) | met[:, :, None]
    off = np.abs(a.forecasts.reshape(-1, m) - b.forecasts.reshape(-1, m))
    near = off <= ALLOWED * np.sqrt(np.abs(size)) + OWN_ROUNDING * np.abs(a.forecasts.reshape(-1, m))
    return bool(same.all() and (near | met).all())


def _smoothed(one: SeriesResult, other: SeriesResult, floor: _Floor) -> bool:
    a, b = one.smoothed, other.smoothed
    if a is None or b is None:
        return True
    if not np.array_equal(a.smoothed_state_diffuse, b.smoothed_state_diffuse):
        return False
    known = ~a.smoothed_state_diffuse
    return _moments(
        np.where(known, a.smoothed_state, 0.0),
        np.where(known, b.smoothed_state, 0.0),
        np.where(known[:, :, None] & known[:, None], a.smoothed_state_cov, 0.0),
        np.where(known[:, :, None] & known[:, None], b.smoothed_state_cov, 0.0),
        floor,
    )


def _disturbances(one: SeriesResult, other: SeriesResult) -> bool:
    """The shocks to the state, where they were asked for.

    Q - Q R' N R Q cancels where observations tell a shock well. Where they may tell it exactly, having no noise,
    rounding is what is left of it.
    """
    if one.smoothed is None or one.smoothed.score is None or other.smoothed is None or other.smoothed.score is None:
        return True
    a, b = state_disturbances(one), state_disturbances(other)
    model, first = one.model, first_period(one)
    own = np.diagonal(over_time(model.state_cov, 2, first, len(a.mean)), axis1=1, axis2=2)
    told = (a.variance <= KNOWN * own) & (own > 0 if _may_be_exact(model) else False)
    if ((a.variance < CANCELS * own) & ~told & (own > 0)).any():
        return False
    same = np.abs(a.variance - b.variance) <= ALLOWED * a.variance + np.where(told, OWN_ROUNDING * own, 0.0)
    allowed = ALLOWED * np.sqrt(a.variance) + OWN_ROUNDING * np.abs(a.mean)
    near = np.abs(a.mean - b.mean) <= allowed + np.where(told, KNOWN * np.sqrt(own), 0.0)
    return bool(same.all() and near.all())


def _may_be_exact(model: Model) -> bool:
    """Whether some element, or a combination of them, is observed without noise."""
    pivots = factor(model.obs_cov.reshape(-1, model.observed, model.observed), np.zeros((1, model.observed), bool))[1]
    return bool((pivots <= 0).any())


def _moments(mean: Floats, mean_b: Floats, cov: Floats, cov_b: Floats, floor: _Floor) -> bool:
    """Means [T, n] and covariances [T, n, n]."""
    size = np.abs(np.diagonal(cov, axis1=1, axis2=2))
    size = size + floor.under(size) / ALLOWED
    deviation = np.sqrt(size)
    if not (np.abs(cov - cov_b) <= ALLOWED * deviation[:, :, None] * deviation[:, None]).all():
        return False
    return bool((np.abs(mean - mean_b) <= ALLOWED * deviation + OWN_ROUNDING * np.abs(mean)).all())


def forecasts_agree(one: ForecastResult, other: ForecastResult) -> bool:
    """As `agree`, of forecasts."""
    if not np.array_equal(one.diffuse, other.diffuse):
        return False
    known = ~one.diffuse
    variance = np.where(known, one.variance, 0.0)
    if not (one.finite and other.finite):
        return False
    off, off_mean = np.abs(variance - np.where(known, other.variance, 0.0)), np.abs(one.mean - other.mean)
    near = off_mean <= ALLOWED * np.sqrt(np.abs(variance)) + OWN_ROUNDING * np.abs(one.mean)
    return bool((off <= ALLOWED * np.abs(variance)).all() and (near | ~known).all())


def tells_apart(model: Model, y: Floats, nobs_diffuse: int) -> bool:
    """Whether the diffuse phase [periods] knows signals from rounding: none lies between, or is faint."""
    if not model.start.rank or not nobs_diffuse:
        return True
    k = prepare(model).rows
    rows = collapsed_rows_of(model, y[:nobs_diffuse].reshape(-1, model.observed), 0)
    factor, rank = model.start.diffuse.copy(), model.start.rank
    for t, value in enumerate(rows.y):
        design = rows.design[t]
        signal = design @ factor
        size = np.abs(design) @ np.abs(factor)
        if not np.isnan(value) and rank:
            largest = float(np.abs(signal).max())
            if largest > NO_SIGNAL * float(size.max()):
                if largest < FAINT * float(size.max()):
                    return False
                gain = factor @ signal / (signal @ signal)
                kept = factor - np.outer(gain, signal)
                before = np.abs(factor).max(axis=1)
                kept[np.abs(kept).max(axis=1) <= 1e-13 * before] = 0.0
                factor, rank = kept, rank - 1
        if t % k == k - 1:
            transition = model.transition_at(t // k)
            moved = transition @ factor
            terms = np.abs(transition) @ np.abs(factor)
            moved[np.abs(moved) <= NO_SIGNAL * terms] = 0.0
            factor = moved
    return True


def violations(results: Sequence[SeriesResult]) -> NDArray[np.bool_]:
    """Which results cannot be right, whatever the series [series]."""
    return np.array([_is_impossible(result) for result in results], dtype=bool)


def _is_impossible(result: SeriesResult) -> bool:
    """A variance that grows by an observation, or more ignored points than the start has directions."""
    full, smoothed = result.full, result.smoothed
    if full is None or not result.finite:
        return False
    filtered = np.diagonal(full.filtered_state_cov, axis1=1, axis2=2)
    predicted = np.diagonal(full.predicted_state_cov[:-1], axis1=1, axis2=2)
    settled = np.arange(len(filtered)) >= full.nobs_diffuse
    if _exceeds(filtered[settled], predicted[settled]):
        return True
    m = result.model.observed
    variances = np.diagonal(full.forecast_error_cov.reshape(-1, m, m), axis1=1, axis2=2)
    floor = np.abs(predicted).max(initial=0.0)
    if (variances < -1e-14 * floor).any():
        return True
    if smoothed is None:
        return False
    known = ~smoothed.smoothed_state_diffuse
    smoothed_variance = np.diagonal(smoothed.smoothed_state_cov, axis1=1, axis2=2)
    return _exceeds(np.where(known, smoothed_variance, 0.0)[settled], filtered[settled])


def _exceeds(less: Floats, more: Floats) -> bool:
    return bool((less > more * (1 + 1e-7) + 1e-13 * np.abs(more).max(initial=0.0)).any())
