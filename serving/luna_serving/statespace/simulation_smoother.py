"""Random paths of the states, and of what was not observed, given the observations.

The simulation smoother by mean correction (Durbin & Koopman 2002, Biometrika 89(3), algorithm 2; 2012, section 4.9.1):
draw states x⁺ and observations y⁺ from the model, and move them by what the observations say,

    x̃ = x⁺ + E[x | y] - E[x | y⁺],

with y⁺ missing where y is. Under an exact diffuse start the diffuse part of x⁺ is zero: the smoother estimates it from
the data alone, so that whatever x⁺ held of it would be taken out again (2012, section 5.5).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.batch import smooth_batch
from luna_serving.statespace.model import Model, over_time
from luna_serving.statespace.results import BatchReport, SeriesResult
from luna_serving.statespace.simulate import Floats, Paths, paths, regression, streams

Item = tuple[Floats, Model]

# The smoother computes a covariance [n, n] a period for every draw, though only the means are kept: 32 MB of it at a
# time, and a few times that beside.
COVARIANCES_AT_A_TIME: Final = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The draws of one series; its observed elements are as they were observed."""

    paths: Paths  # [draws, T + steps, ...]
    finite: bool  # False: the model or the series overflowed, and the numbers must not be shown
    # False: the observations leave a state of the diffuse start open, which then has no distribution to draw from, and
    # the numbers must not be shown.
    determined: bool


@dataclass(frozen=True, slots=True)
class DrawnBatch:
    """The draws in the order of the items, and how they were smoothed."""

    series: list[Drawn]
    report: BatchReport


def simulate_given(items: Sequence[Item], draws: int, seed: int, *, steps: int = 0) -> DrawnBatch:
    """Draw from the joint distribution of all states and missing observations given the observed ones.

    An item is (y, model), y [T] or [T, m], NaN where missing. `steps` periods beyond the end of each series are drawn
    as well: as if they were missing observations, which makes them exact draws of whole futures.
    A draw depends on its item, the seed, its own number, the item's place and `steps`; on the number of draws only up
    to the rounding of the smoother.

    Raises:
        ModelError: a model covers fewer periods.
    """
    series = [_extended(y, model, steps) for y, model in items]
    simulated = [
        paths(model, len(y), model.start, streams(seed, place, draws))
        for place, (y, (_, model)) in enumerate(zip(series, items, strict=True))
    ]
    observed = [(y, model) for y, (_, model) in zip(series, items, strict=True)]
    imagined = [
        (np.where(np.isnan(y), np.nan, draw), model)
        for (y, model), plus in zip(observed, simulated, strict=True)
        for draw in plus.observations
    ]
    given, report = _smoothed(observed)
    corrections, second = _smoothed(imagined)
    answers = [
        _drawn(y, model, plus, result, corrections[place * draws : (place + 1) * draws])
        for place, ((y, model), plus, result) in enumerate(zip(observed, simulated, given, strict=True))
    ]
    shape = max(report.batch_shape, second.batch_shape, key=lambda shape: shape[0] * shape[1])
    return DrawnBatch(answers, replace(report, batch_shape=shape, batches=report.batches + second.batches))


def _extended(y: Floats, model: Model, steps: int) -> Floats:
    """The series [T + steps, m], its future missing."""
    return np.concatenate([y.reshape(len(y), model.observed), np.full((steps, model.observed), np.nan)])


@dataclass(frozen=True, slots=True)
class _Mean:
    """What is kept of a smoothed series."""

    state: Floats  # [T, n]
    finite: bool
    diffuse: bool


def _smoothed(items: Sequence[Item]) -> tuple[list[_Mean], BatchReport]:
    means: list[_Mean] = []
    reports: list[BatchReport] = []
    for part in _parts(items):
        batch = smooth_batch(part)
        means.extend(map(_mean, batch.series))
        reports.append(batch.report)
    largest = max(reports, key=lambda report: report.batch_shape[0] * report.batch_shape[1])
    warnings = tuple(dict.fromkeys(warning for report in reports for warning in report.warnings))
    return means, replace(largest, batches=sum(report.batches for report in reports), warnings=warnings)


def _mean(result: SeriesResult) -> _Mean:
    smoothed = result.smoothed
    assert smoothed is not None  # noqa: S101  smooth_batch fills it
    # A copy: the array is a view into those of the whole batch.
    return _Mean(smoothed.smoothed_state.copy(), result.finite, bool(smoothed.smoothed_state_diffuse.any()))


def _parts(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Cut into runs whose smoothed covariances fit; at least one item each."""
    part: list[Item] = []
    size = 0
    for y, model in items:
        numbers = len(y) * model.states**2
        if part and size + numbers > COVARIANCES_AT_A_TIME:
            yield part
            part, size = [], 0
        part.append((y, model))
        size += numbers
    yield part


def _drawn(y: Floats, model: Model, plus: Paths, given: _Mean, corrections: Sequence[_Mean]) -> Drawn:
    moved = given.state - np.array([correction.state for correction in corrections])
    states, observations = plus.states + moved, _observations(y, model, plus.observations, moved)
    finite = given.finite and all(correction.finite for correction in corrections)
    finite = finite and bool(np.isfinite(states).all() and np.isfinite(observations).all())
    return Drawn(Paths(states, observations), finite, determined=not given.diffuse)


def _observations(y: Floats, model: Model, plus: Floats, moved: Floats) -> Floats:
    """The observed elements as they are, and draws of the missing ones [draws, T, m].

    The noise of a missing element is corrected like the states, by what the observed elements of its own period say
    through obs_cov.
    """
    drawn = plus + np.einsum("tij,dtj->dti", over_time(model.design, 2, 0, len(y)), moved)
    obs_cov, missing = over_time(model.obs_cov, 2, 0, len(y)), np.isnan(y)
    for periods in _alike(model, missing):
        gone = missing[periods[0]]
        if obs_cov[periods[0]][np.ix_(gone, ~gone)].any():
            weights = regression(obs_cov[periods[0]], gone, ~gone)
            rows, there = np.array(periods)[:, None], np.flatnonzero(~gone)
            surprise = y[rows, there] - drawn[:, rows, there]
            drawn[:, rows, np.flatnonzero(gone)] += surprise @ weights.T
    return np.where(missing, drawn, y)


def _alike(model: Model, missing: NDArray[np.bool_]) -> list[list[int]]:
    """Periods that miss some elements and not all, those with the same elements and the same obs_cov together."""
    alike: dict[object, list[int]] = {}
    for t in np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1)).tolist():
        alike.setdefault(missing[t].tobytes() if model.obs_cov.ndim == 2 else t, []).append(t)
    return list(alike.values())
