"""What the wire's outputs must be, from the joint Gaussian, and the scale on which an error is judged.

An engine's number is right if |engine - exact| <= 1e-8 scale:

- a mean: its posterior standard deviation, plus 1e-5 of its size, so that 1e-13 of its size, the rounding of a sum of
  a few numbers, is always allowed. Where the variance is exactly zero, the size itself: 1e-8 of it. The size is the
  largest of that state's means over the series; of a mean that is known exactly also the largest observation.
- a covariance: sqrt(V_ii V_jj), plus 4e-7 of the same product of the states' usual variances. That allows 4e-15 of
  them, 16 units in the last place: a state that the observations pin down ever better, as those of a moving average,
  has a variance that goes to zero, and its last digits are nobody's. The usual variance is the median over the series
  of the predicted ones, so that one wide start or one long gap allows nothing, or what one shock brings into the state
  if that is more. Where a variance is exactly zero it is the largest that the state, one that flows into it, a shock or
  the noise ever has.
- a log-likelihood, or a part of it: max(1, its size).

While the start is diffuse, what an output says of directions that nothing was seen of is the finite part of an
expansion in kappa. Those entries are compared under the output's name with ".open".
"""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .cases import Case
from .conditioning import Joint, Moments, to_float
from .matrices import floats, precisely
from .system import System

Floats = NDArray[np.float64]
MEAN_FLOOR: Final = 1e-5
COV_FLOOR: Final = 16 * 2.2e-16 * 1e8
# Of an infinite part against the largest one and against that of the start, which is one: below is the rounding.
OPEN: Final = 1e-60


@dataclass(frozen=True)
class Answer:
    """One output: what it must be, the scale of its error, and which entries are compared or must be null."""

    value: Floats
    scale: Floats
    judged: NDArray[np.bool_]
    null: NDArray[np.bool_]


@dataclass(frozen=True)
class _Means:
    """Of a run of states: mean [T, n], covariance [T, n, n], and what is open [T, n]."""

    mean: Floats
    cov: Floats
    open: NDArray[np.bool_]
    infinite: Floats

    @property
    def var(self) -> Floats:
        return np.diagonal(self.cov, axis1=1, axis2=2)


class Expected:
    """Every output of one case under one exact system."""

    @precisely()
    def __init__(self, case: Case, system: System) -> None:
        self.case, self.system, self.y = case, system, case.values
        self.length = len(self.y)
        self.joint = Joint(system, self.y, case.steps)
        t = range(self.length)
        pairs = [(i, i + 1) for i in t] + [(i, i) for i in range(self.length + 1)] + [(i, self.length) for i in t]
        pairs += [(i, self.length) for i in range(self.length, self.length + case.steps)]
        exact = self.joint.states(pairs)
        run = self._run(exact)
        a, b, c = self.length, 2 * self.length + 1, 3 * self.length + 1
        self.filtered, self.predicted = _cut(run, 0, a), _cut(run, a, b)
        self.smoothed, self.ahead = _cut(run, b, c), _cut(run, c, c + case.steps)
        # What is observed is the small difference of large states where waves are slow: it is taken before rounding.
        self.seen = self._observed(exact[a : b - 1], 0)
        self.seen_ahead = self._observed(exact[c : c + case.steps], self.length)
        self.largest = float(np.nanmax(np.abs(self.y), initial=0.0))

    def _run(self, exact: list[Moments]) -> _Means:
        moments = [to_float(each) for each in exact]
        mean, cov, infinite = (np.array(part) for part in zip(*moments, strict=True))
        # The rounding of 600 bits for zero.
        size = max(float(np.abs(cov).max(initial=0.0)), self._shocks())
        cov = np.where(np.abs(cov) <= 1e-100 * size, 0.0, cov)
        diagonal = np.diagonal(infinite, axis1=1, axis2=2)
        unknown = diagonal > OPEN * max(float(diagonal.max(initial=0.0)), 1.0)
        return _Means(mean, cov, unknown, infinite)

    @precisely()
    def answers(self) -> dict[str, Answer]:
        """By the names of the wire, and ".open"."""
        found: dict[str, Answer] = {}
        usual, largest = self._usual()
        runs = {"filtered_state": self.filtered, "predicted_state": self.predicted, "smoothed_state": self.smoothed}
        for name, run in runs.items():
            floor = np.maximum(np.where(run.var > 0, usual, largest), run.var)
            found |= self._state(name, run, floor, hide=run is self.smoothed)
        found |= self._forecasts()
        loglike_obs = self.joint.loglike_obs()
        ruled_out = self._ruled_out()
        found["loglike_obs"] = Answer(loglike_obs, np.maximum(1, np.abs(loglike_obs)), ~ruled_out, ruled_out)
        total = np.array(self.joint.loglike())
        impossible = np.array(bool(ruled_out.any()))
        found["loglike"] = Answer(total, np.maximum(1, np.abs(total)), ~impossible, impossible)
        began = np.array(float(self.predicted.open[:-1].any(axis=1).sum()))
        found["nobs_diffuse"] = Answer(began, np.array(1.0), np.array(True), np.array(False))
        return found | self._ahead()

    def _ruled_out(self) -> NDArray[np.bool_]:
        """Observations that differ from a forecast without variance: their likelihood is zero, its logarithm null."""
        mean, var, _, unknown = self.seen
        known = ~np.isnan(self.y) & (var == 0) & ~unknown
        return known & (np.abs(np.where(known, self.y - mean, 0.0)) > 1e-6 * (np.abs(mean) + self.largest))

    def _state(self, name: str, run: _Means, usual: Floats, *, hide: bool = False) -> dict[str, Answer]:
        """A mean and a covariance; `hide`: what is open must be null, and is not judged."""
        sd = np.sqrt(np.maximum(run.var, 0))
        size = np.maximum(np.abs(run.mean), np.abs(run.mean).max(axis=0, where=~run.open, initial=0.0))
        known = np.where(sd > 0, MEAN_FLOOR * size, np.maximum(size, self.largest))
        scale = np.where(sd > 0, sd + known, known)
        floor = COV_FLOOR * np.sqrt(usual[:, :, None] * usual[:, None, :])
        cov_scale = sd[:, :, None] * sd[:, None, :] + floor
        unknown = run.open
        unknown_cov = unknown[:, :, None] | unknown[:, None, :]
        nowhere, nowhere_cov = np.zeros_like(unknown), np.zeros_like(unknown_cov)
        found = {
            name: Answer(run.mean, scale, ~unknown, unknown if hide else nowhere),
            f"{name}_cov": Answer(run.cov, cov_scale, ~unknown_cov, unknown_cov if hide else nowhere_cov),
        }
        if not hide:
            found[f"{name}.open"] = Answer(run.mean, scale, unknown, nowhere)
            found[f"{name}_cov.open"] = Answer(run.cov, cov_scale, unknown_cov, nowhere_cov)
        return found

    def _usual(self) -> tuple[Floats, Floats]:
        """The usual variance of each state [n], never zero, and the largest, that of a shock included."""
        known = np.where(self.predicted.open, np.nan, self.predicted.var)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            usual = np.nan_to_num(np.nanmedian(known, axis=0))
            largest = np.maximum(np.nan_to_num(np.nanmax(known, axis=0)), self._shocks())
        reach = self._reach()
        shocks = np.median([np.diag(floats(each)) for each in self.system.noise], axis=0)
        usual = np.maximum(usual, (reach**2 * shocks).max(axis=1))
        largest = (reach**2 * largest).max(axis=1)
        return np.where(usual > 0, usual, largest), largest

    def _reach(self) -> Floats:
        """How much of each state arrives in each other, by the strongest path through the transitions [n, n]."""
        n = self.system.states
        reach: Floats = np.maximum(
            np.median([np.abs(floats(each)) for each in self.system.transition], axis=0), np.eye(n)
        )
        most = max(1.0, float(reach.max()))
        for k in range(n):
            reach = np.maximum(reach, np.minimum(reach[:, k : k + 1] * reach[k], most))
        return reach

    def _shocks(self) -> float:
        """The largest variance of a shock or of the noise."""
        return max(float(self.system.obs_var), *(float(np.diag(floats(each)).max()) for each in self.system.noise))

    def _observed(self, exact: list[Moments], first: int) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
        """Mean, variance, the usual variance, and what is open, of the observations from period `first` on."""
        mean, var, unknown = [], [], []
        obs_var = self.system.obs_var
        for t, each in enumerate(exact):
            z = self.system.at(self.system.design, first + t)
            zt = z.transpose()
            mean.append(float((z * each.mean)[0, 0]))
            var.append(float((z * each.cov * zt)[0, 0] + obs_var))
            infinite = float((z * each.infinite * zt)[0, 0])
            size = float((z * zt)[0, 0]) * max(float(np.trace(floats(each.infinite))), 1.0)
            unknown.append(infinite > OPEN * size)
        variances, open_ = np.array(var), np.array(unknown, dtype=bool)
        variances[np.abs(variances) <= 1e-100 * self._shocks()] = 0.0
        known = variances[~open_]
        usual = float(np.median(known)) if len(known) else 0.0
        return np.array(mean), variances, np.full(len(variances), usual if usual > 0 else self._shocks()), open_

    def _forecasts(self) -> dict[str, Answer]:
        mean, var, usual, unknown = self.seen
        sd = np.sqrt(np.maximum(var, 0))
        scale = sd + MEAN_FLOOR * np.maximum(np.abs(mean), self.largest)
        scale = np.where(var > 0, scale, self.largest)
        missing = np.isnan(self.y)
        nowhere = np.zeros_like(missing)
        error = np.where(missing, 0.0, self.y - mean)
        seen = self.joint.seen
        standing = np.array([t in seen and not seen[t].basis and bool(seen[t].size > 0) for t in range(self.length)])
        pivots = np.array([float(seen[t].size) if standing[t] else 1.0 for t in range(self.length)])
        errors = np.array([float(seen[t].error) if standing[t] else 0.0 for t in range(self.length)])
        standard = errors / np.sqrt(pivots)
        # The error of an error, in units of its own deviation.
        standard_scale = np.maximum(scale / np.sqrt(pivots), np.abs(standard) * (1 + COV_FLOOR * usual / pivots))
        return {
            "forecasts": Answer(mean, scale, ~unknown, nowhere),
            "forecasts.open": Answer(mean, scale, unknown, nowhere),
            "forecast_error": Answer(error, scale, ~unknown & ~missing, missing),
            "forecast_error_cov": Answer(var, var + COV_FLOOR * usual, ~unknown, nowhere),
            "standardized_forecast_error": Answer(standard, np.maximum(1, standard_scale), standing, ~standing),
        }

    def _ahead(self) -> dict[str, Answer]:
        mean, var, usual, unknown = self.seen_ahead
        scale = np.sqrt(np.maximum(var, 0)) + MEAN_FLOOR * np.maximum(np.abs(mean), self.largest)
        return {
            "mean": Answer(mean, scale, ~unknown, unknown),
            "variance": Answer(var, var + COV_FLOOR * usual, ~unknown, unknown),
        }


def _cut(run: _Means, first: int, last: int) -> _Means:
    return _Means(run.mean[first:last], run.cov[first:last], run.open[first:last], run.infinite[first:last])
