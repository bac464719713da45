"""What parameters are worth: minus the log-likelihood per observation, and its gradient.

The gradient is exact up to the derivative of the model's matrices, which are cheap: where they are affine in the
parameters (all variances of a model with a diffuse start) that is exact too; else it is a central difference of the
matrices, good to about ten digits.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.arma import Arma
from luna_serving.engines.statespace.fit.heads import Headed, headed
from luna_serving.engines.statespace.fit.layout import Lane, Tangent, TimeIsUp, combine, difference, lane, scores
from luna_serving.engines.statespace.fit.quasi_newton import Evaluation
from luna_serving.engines.statespace.fit.search_space import SearchSpace
from luna_serving.engines.statespace.fit.slopes import STEP
from luna_serving.engines.statespace.model.checks import LARGEST, ModelError

Floats = NDArray[np.float64]

# Relative: two ways to the same matrices agree to this if the matrices are affine.
AFFINE: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Lanes that are affine in the parameters for any series: what they are at zero, and how they move."""

    zero: Lane
    """All parameters zero, and a series of one zero."""
    tangents: tuple[Tangent, ...]

    def at(self, values: Floats, y: Floats) -> Lane:
        """The lane of a series at these parameters."""
        moved = combine(list(values), self.tangents)
        shift = self.zero.table[0, 0] + (0.0 if moved.table is None else moved.table[0, 0])
        return replace(self.zero, flat=self.zero.flat + moved.flat, table=y + shift)


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """One series whose parameters are sought; some may be held at zero."""

    space: SearchSpace
    y: Floats  # [T, m]
    affine: Affine | None
    free: NDArray[np.bool_]
    """Which of all k parameters are free; the others are variances, and zero."""
    x: Floats
    """All k coordinates, where the search begins."""
    arma: Arma | None = None
    """The lanes' closed form, if they have one."""
    exact: bool = False
    """Whether the first rows need more digits than float64 has."""
    observed: Floats = field(init=False)
    """What `arma`'s lanes observe."""
    observations: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "observations", max(1, int(np.count_nonzero(~np.isnan(self.y)))))
        object.__setattr__(self, "observed", self.y if self.arma is None else self.arma.series(self.y))

    @property
    def floor(self) -> float:
        """An objective so low that the model explains the series exactly: the likelihood has no maximum.

        That of noise which is only the observations' rounding (`deterministic.ROUNDING`).
        """
        explained = self.space.explained
        return -np.inf if explained is None else explained.floor

    def values(self, x: Floats) -> Floats:
        """The wire's numbers [k] at the free ones' coordinates."""
        whole = self.whole(x)
        with np.errstate(over="ignore", under="ignore"):
            return np.where(self.free, self.space.values(whole), 0.0)

    def whole(self, x: Floats) -> Floats:
        """All k coordinates at the free ones'; of what is held at zero the coordinate is zero."""
        whole = np.where(self.free, self.x, 0.0)
        whole[self.free] = x
        return whole

    def jacobian(self, x: Floats) -> Floats:
        """The derivative of `values` [k, free]."""
        slope: Floats = self.space.jacobian(self.whole(x))[:, self.free] * self.free[:, None]
        return slope

    def lanes(self, x: Floats) -> list[tuple[Lane, Tangent | None]]:
        """A lane for each free parameter's derivative; one without where there is none.

        Raises:
            ModelError: no model has these parameters.
        """
        if self.arma is not None:
            (lanes,) = _closed(self.arma, [(self, x)])
            if lanes is None:
                raise ModelError("", "overflows")
            return lanes
        here, along = self._affine(x) if self.affine is not None else self._general(x)
        return [(here, tangent) for tangent in along] or [(here, None)]

    @property
    def scales(self) -> bool:
        """Whether all noise goes with the parameters that are `noise`."""
        return self.space.explained is not None and self.space.explained.scales

    def along_scale(self, x: Floats) -> tuple[Lane, Tangent | None]:
        """A lane, and its derivative by the logarithm of a factor of all variances if all noise goes with it.

        Raises:
            ModelError: no model has these parameters.
        """
        values = self.values(x)
        moved = np.where(self.space.noise, values, 0.0)
        if self.affine is not None:
            return self.affine.at(values, self.y), combine(list(moved), self.affine.tangents)
        here = lane(self.space.model(values), self.y)
        if not self.scales:
            return here, None
        # All that depends on the factor is proportional to it.
        return here, difference(lane(self.space.model(values + moved), self.y), here, 1.0)

    def _affine(self, x: Floats) -> tuple[Lane, list[Tangent]]:
        assert self.affine is not None  # noqa: S101  the caller asked
        values, slopes = self.values(x), self.jacobian(x)
        if not (np.abs(values).max(initial=0.0) <= LARGEST and np.isfinite(slopes).all()):
            raise ModelError("", "overflows")
        if not values.any():
            # The one model within these bounds that may be none.
            self.space.model(values)
        return self.affine.at(values, self.y), [combine(list(slope), self.affine.tangents) for slope in slopes.T]

    def _general(self, x: Floats) -> tuple[Lane, list[Tangent]]:
        values, here = self.values(x), self._lane(x)
        # One scalar observation: all that depends on a variance is affine in it, and doubling it is exact.
        affine = self.space.variances & (values > 0) & (here.form.observed == 1)
        slopes = np.diagonal(self.space.jacobian(self.whole(x)))
        along = []
        for i, place in enumerate(np.flatnonzero(self.free)):
            if affine[place]:
                twice = np.where(np.arange(len(values)) == place, 2 * values, values)
                moved = difference(lane(self.space.model(twice), self.y), here, values[place])
                along.append(combine([slopes[place]], [moved]))
                continue
            step = np.zeros_like(x)
            step[i] = STEP * max(1.0, abs(x[i]))
            along.append(difference(self._lane(x + step), self._lane(x - step), 2 * step[i]))
        return here, along

    def _lane(self, x: Floats) -> Lane:
        return lane(self.space.model(self.values(x)), self.y)


def evaluate(points: Sequence[tuple[Objective, Floats]], out_of_time: Callable[[], bool]) -> list[Evaluation]:
    """The value of each objective at coordinates of its free parameters; +inf where there is no model.

    Raises:
        TimeIsUp: before all were evaluated.
    """
    lanes: list[tuple[Lane, Tangent | None]] = []
    parts: list[slice | None] = []
    heads = [_headed(objective, x, out_of_time) if objective.exact else None for objective, x in points]
    for some in _laid_out(points, out_of_time, heads=heads):
        if some is None:
            parts.append(None)
            continue
        parts.append(slice(len(lanes), len(lanes) + len(some)))
        lanes += some
    found = scores(lanes, out_of_time)
    evaluations = []
    for (objective, x), part, head in zip(points, parts, heads, strict=True):
        if part is None:
            evaluations.append(Evaluation(x, np.inf, np.zeros_like(x)))
            continue
        slope, loglike, met = found.slope[part][: len(x)], found.loglike[part][:1].sum(), int(found.met[part][:1].sum())
        if head is not None:
            slope = head.slopes + (slope if len(slope) else 0.0)
            loglike, met = loglike + head.head.loglike, met + head.head.met
        evaluations.append(
            Evaluation(x, -float(loglike) / objective.observations, -slope / objective.observations, met)
        )
    return evaluations


def _headed(objective: Objective, x: Floats, out_of_time: Callable[[], bool], *, slopes: bool = True) -> Headed | None:
    """None where there is no model."""
    with suppress(ModelError, np.linalg.LinAlgError):
        return headed(
            lambda at: objective.space.model(objective.values(at)), x, objective.y, out_of_time, slopes=slopes
        )
    return None


def profile(points: Sequence[tuple[Objective, Floats]], out_of_time: Callable[[], bool]) -> list[tuple[float, Floats]]:
    """The objective of each point without its gradient, all variances by the common factor that is best for them.

    With the variances the sum of squares S = Σ v²/F scales, so that the best factor is S / (N - d). What it is worth
    follows from the value and its derivative along the factor's logarithm, (S - N + d) / 2. Where other noise does not
    scale with them, the point is taken as it is. +inf where there is no model.

    Raises:
        TimeIsUp: before all were evaluated.
    """
    if any(objective.exact for objective, _ in points):
        return _plainly(points, out_of_time)
    laid_out = _laid_out(points, out_of_time, _Along.SCALE)
    lanes = [some[0] for some in laid_out if some is not None]
    found = scores(lanes, out_of_time)
    worth = iter(zip(found.loglike, found.slope, found.met, strict=True))
    answers = []
    for (objective, x), some in zip(points, laid_out, strict=True):
        if some is None:
            answers.append((np.inf, x))
            continue
        loglike, slope, met = next(worth)
        regular = objective.observations - met
        factor, scaled = 1 + 2 * slope / max(1, regular), x
        if objective.scales and regular > 0 and np.isfinite(factor) and factor > 0:
            loglike += regular / 2 * (factor - 1 - np.log(factor))
            scaled = np.where(objective.space.noise[objective.free], x * np.sqrt(factor), x)
        answers.append((-float(loglike) / objective.observations if np.isfinite(loglike) else np.inf, scaled))
    return answers


def _plainly(points: Sequence[tuple[Objective, Floats]], out_of_time: Callable[[], bool]) -> list[tuple[float, Floats]]:
    """Each point as it is, where heads run."""
    heads = [_headed(objective, x, out_of_time, slopes=False) for objective, x in points]
    found = scores([head.lanes[0] for head in heads if head is not None and head.lanes], out_of_time)
    rest = iter(found.loglike)
    answers = []
    for (objective, x), head in zip(points, heads, strict=True):
        loglike = -np.inf if head is None else head.head.loglike + (float(next(rest)) if head.lanes else 0.0)
        answers.append((-loglike / objective.observations if np.isfinite(loglike) else np.inf, x))
    return answers


class _Along(Enum):
    """Which derivatives a point's lanes have."""

    EACH = auto()
    """A lane for the derivative by each free coordinate."""
    SCALE = auto()
    """One lane, for the derivative by the logarithm of a factor of all variances."""


Lanes = list[tuple[Lane, Tangent | None]]


def _laid_out(
    points: Sequence[tuple[Objective, Floats]],
    out_of_time: Callable[[], bool],
    along: _Along = _Along.EACH,
    heads: Sequence[Headed | None] = (),
) -> list[Lanes | None]:
    """The lanes of each point; None where there is no model."""
    found: list[Lanes | None] = [None] * len(points)
    # Points that differ in what is held at zero have derivatives of unlike shapes.
    together: dict[tuple[int, int], list[int]] = {}
    for place, (objective, x) in enumerate(points):
        if out_of_time():
            raise TimeIsUp
        if objective.exact:
            head = heads[place]
            found[place] = None if head is None else head.lanes
            continue
        if objective.arma is not None:
            together.setdefault((id(objective.arma), len(x)), []).append(place)
            continue
        with suppress(ModelError, np.linalg.LinAlgError):
            found[place] = objective.lanes(x) if along is _Along.EACH else [objective.along_scale(x)]
    for places in together.values():
        arma = points[places[0]][0].arma
        assert arma is not None  # noqa: S101  it was grouped by
        for place, lanes in zip(places, _closed(arma, [points[place] for place in places], along), strict=True):
            found[place] = lanes
    return found


def _closed(arma: Arma, points: Sequence[tuple[Objective, Floats]], along: _Along = _Along.EACH) -> list[Lanes | None]:
    values = np.array([objective.values(x) for objective, x in points])
    if along is _Along.EACH:
        jacobians = np.array([objective.jacobian(x) for objective, x in points])
    else:
        jacobians = np.where(points[0][0].space.noise, values, 0.0)[..., None]
    flats, tangents = arma.flats(values, jacobians)
    found: list[Lanes | None] = []
    sound = np.isfinite(flats).all(axis=1) & np.isfinite(tangents).all(axis=(1, 2))
    sound &= (np.abs(values).max(axis=1) <= LARGEST) & arma.noisy(values)
    for (objective, _), flat, moved, usable in zip(points, flats, tangents, sound, strict=True):
        if not usable:
            found.append(None)
            continue
        here = arma.lane(flat, objective.observed)
        found.append([(here, Tangent(tangent, None)) for tangent in moved] or [(here, None)])
    return found


def affine_in(space: SearchSpace, values: Floats) -> Affine | None:
    """The lane as an affine function of the parameters, if it is one and does not vary in time."""
    no_series = np.zeros((1, space.model(values).observed))
    here = lane(space.model(values), no_series)
    if here.form.observing_varies or not values.all():
        return None
    try:
        # Halving is exact, and so is then the derivative of a matrix that holds the parameter itself.
        halved = [np.where(np.arange(len(values)) == k, values / 2, values) for k in range(len(values))]
        lanes = [lane(space.model(other), no_series) for other in halved]
        far = values / (2 + np.arange(len(values)))
        there = lane(space.model(far), no_series)
    except ModelError:
        return None
    tangents = [difference(here, other, value / 2) for other, value in zip(lanes, values, strict=True)]
    moved = combine(list(values), tangents)
    flat = here.flat - moved.flat
    # What should cancel is exactly zero: the parameters of another series may be smaller than this one's rounding.
    flat[np.abs(flat) <= AFFINE * np.abs(here.flat)] = 0.0
    table = here.table if moved.table is None else here.table - moved.table
    affine = Affine(replace(here, flat=flat, table=table), tuple(tangents))
    guess = affine.at(far, no_series)
    same = there.form == guess.form and there.rank == guess.rank and there.unit == guess.unit
    return affine if same and _close(guess.flat, there.flat) and _close(guess.table, there.table) else None


def _close(left: Floats, right: Floats) -> bool:
    return bool((np.abs(left - right) <= AFFINE * (np.abs(left) + np.abs(right))).all())
