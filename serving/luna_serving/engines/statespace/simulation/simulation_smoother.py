"""Random paths of the states, and of what was not observed, given the observations.

The simulation smoother by mean correction (Durbin & Koopman 2002, Biometrika 89(3), algorithm 2; 2012, section 4.9.1):
draw states x⁺ and observations y⁺ from the model, and move them by what the observations say,

    x̃ = x⁺ + E[x | y] - E[x | y⁺],

with y⁺ missing where y is. The smoothed mean is linear in the observations: the difference is the smoothed mean of
y - y⁺ under the model without intercepts. Its weights are the same for all draws, which are smoothed as one matrix.
Under an exact diffuse start the diffuse part of x⁺ is zero: the smoother estimates it from the data alone, so that
any part of it in x⁺ would be taken out again (2012, section 5.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import jax
import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.process.deadline import Clock, never
from luna_serving.engines.statespace.results.quality import overflows
from luna_serving.engines.statespace.results.series import BatchReport
from luna_serving.engines.statespace.simulation.shared_means import shared_means
from luna_serving.engines.statespace.simulation.simulate import Floats, Paths, paths, regression, streams
from luna_serving.engines.statespace.soundness.checked import Work, require_possible, unsound

Item = tuple[Floats, Model]

# Series whose covariances are held at a time while they are checked.
AT_ONCE: Final = 32


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


def simulate_given(
    items: Sequence[Item], draws: int, seed: int, *, steps: int = 0, out_of_time: Clock = never
) -> DrawnBatch:
    """Draw from the joint distribution of all states and missing observations given the observed ones.

    An item is (y, model), y [T] or [T, m], NaN where missing. `steps` periods beyond the end of each series are drawn
    as well: as if they were missing observations, which makes them exact draws of whole futures.
    A draw depends on its item, the seed, its own number, the item's place and `steps`; on the number of draws, and on
    the other items, only up to the rounding of the smoother.

    Raises:
        ModelError: a model covers fewer periods.
        OutOfTime: `out_of_time` was true between two steps.
    """
    series = [_extended(y, model, steps) for y, model in items]
    simulated = [
        paths(model, len(y), model.start, streams(seed, place, draws), out_of_time)
        for place, (y, (_, model)) in enumerate(zip(series, items, strict=True))
    ]
    drawn: dict[int, Drawn] = {}
    together = _together(series, [model for _, model in items])
    lacking = _lacking_digits([(places[0], series[places[0]], items[places[0]][1]) for places in together], out_of_time)
    rooted = exact = False
    for places in together:
        model = items[places[0]][1]
        observed = [series[place] for place in places]
        imagined = [np.where(np.isnan(series[place]), np.nan, simulated[place].observations) for place in places]
        if places[0] in lacking:
            moves, signals, determined = _exactly(model, observed, imagined, out_of_time)
            exact = True
        else:
            surprises = np.concatenate([y - plus for y, plus in zip(observed, imagined, strict=True)])
            moved = shared_means(model, surprises, out_of_time)
            moves, signals, determined = moved.means, None, moved.determined
            rooted |= moved.root
        for number, place in enumerate(places):
            own = slice(number * draws, (number + 1) * draws)
            seen = _signal(model, moves[own]) if signals is None else signals[own]
            drawn[place] = _drawn(series[place], model, simulated[place], moves[own], seen, determined=determined)
    answers = [drawn[place] for place in range(len(items))]
    report = BatchReport(
        algorithm="multiprecision" if exact else "square_root" if rooted else "per_series",
        precision="float64",
        device=jax.default_backend(),
        batch_shape=(max(map(len, together), default=0) * draws, max(map(len, series), default=0)),
        batches=len(together),
        warnings=overflows([each.finite for each in answers]),
    )
    return DrawnBatch(answers, report)


def _lacking_digits(firsts: Sequence[tuple[int, Floats, Model]], out_of_time: Clock) -> set[int]:
    """The places among these series, (place, y, model), whose smoother needs more digits than float64 has."""
    found: set[int] = set()
    for first in range(0, len(firsts), AT_ONCE):
        some = firsts[first : first + AT_ONCE]
        work = Work(smooth=True, out_of_time=out_of_time)
        found |= {
            some[number][0] for places in unsound([(y, model) for _, y, model in some], work) for number in places
        }
    return found


def _exactly(
    model: Model, observed: Sequence[Floats], imagined: Sequence[Floats], out_of_time: Clock
) -> tuple[Floats, Floats, bool]:
    """E[x | y] - E[x | y⁺] of each draw in multi-precision, its signal, and whether no state is left open."""
    # Imported here: a process that needs no multi-precision need not load it.
    from luna_serving.engines.statespace.multiprecision import plan

    items = [(y, model) for y in (*observed, *(draw for each in imagined for draw in each))]
    results = plan.results(items, smooth=True, out_of_time=out_of_time)
    require_possible(results[: len(observed)])
    smoothed = [result.smoothed for result in results]
    means = np.array([each.smoothed_state for each in smoothed if each is not None])
    signals = np.array([each.signal.mean for each in smoothed if each is not None and each.signal is not None])
    # What overflows float64 in any answer is shown in none.
    overflown = [not result.finite for result in results]
    means[overflown] = np.nan
    first, draws, given = smoothed[0], len(imagined[0]), len(observed)

    def moved(values: Floats) -> Floats:
        differences: Floats = np.repeat(values[:given], draws, axis=0) - values[given:]
        return differences

    determined = first is not None and not first.smoothed_state_diffuse.any()
    return moved(means), moved(signals.reshape(*signals.shape[:2], model.observed)), determined


def _signal(model: Model, moved: Floats) -> Floats:
    """What moves of states [draws, T, n] do to the signal [draws, T, m]."""
    seen: Floats = np.einsum("tij,dtj->dti", over_time(model.design, 2, 0, moved.shape[1]), moved)
    return seen


def _extended(y: Floats, model: Model, steps: int) -> Floats:
    """The series [T + steps, m], its future missing."""
    return np.concatenate([y.reshape(len(y), model.observed), np.full((steps, model.observed), np.nan)])


def _together(series: Sequence[Floats], models: Sequence[Model]) -> list[list[int]]:
    """The places of series that share their model, length and missing observations."""
    alike: dict[object, list[int]] = {}
    for place, (y, model) in enumerate(zip(series, models, strict=True)):
        alike.setdefault((id(model), len(y), np.isnan(y).tobytes()), []).append(place)
    return list(alike.values())


def _drawn(y: Floats, model: Model, plus: Paths, moved: Floats, seen: Floats, *, determined: bool) -> Drawn:
    states, observations = plus.states + moved, _observations(y, model, plus.observations + seen)
    finite = bool(np.isfinite(states).all() and np.isfinite(observations).all())
    # States left open have no numbers, which is no overflow.
    return Drawn(Paths(states, observations), finite or not determined, determined)


def _observations(y: Floats, model: Model, drawn: Floats) -> Floats:
    """The observed elements as they are, and draws of the missing ones [draws, T, m].

    The noise of a missing element is corrected like the states, by what the observed elements of its own period say
    through obs_cov.
    """
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
