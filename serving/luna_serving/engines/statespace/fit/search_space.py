"""What is sought for one model: the wire's numbers, and as many coordinates of about unit size for the search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.deterministic import Build, Deterministic, explain
from luna_serving.engines.statespace.fit.slopes import slopes
from luna_serving.engines.statespace.kinds.estimable import estimable
from luna_serving.engines.statespace.kinds.parameters import Parameters, free_parameters
from luna_serving.engines.statespace.kinds.transforms import CONSTRAINTS
from luna_serving.engines.statespace.model.model import Model

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Beyond these coordinates a bounded number is so near to its bound that the likelihood is flat: a partial
# autocorrelation within 5e-5 of 1, a share within 6e-6 of 0 or 1.
AT_BOUND: Final[Mapping[str, float]] = {"stationary": 100.0, "invertible": 100.0, "unit_interval": 12.0, "period": 12.0}
# Standard deviations of a caller are moved to within these multiples of the guess's: further off the gradient is so
# small that it says nothing, and at zero it vanishes.
NEAREST: Final = 1e-2
FARTHEST: Final = 1e2
# The sum of a guess's variances by the variance of the steps: where it is beyond these, the guess is not of their size.
FAR_OFF: Final = (1e-3, 1e1)
# A lag's coordinate beyond which its partial autocorrelation is the bound in float64.
FARTHEST_LAG: Final = 20.0
# A covariance whose correlations' smallest eigenvalue is below this is on the edge of being singular.
SINGULAR: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class SearchSpace:
    """The parameters of a model that are to be estimated, k numbers.

    A coordinate is `Parameters`' unconstrained number by its `scale` [k]: BFGS takes steps of unit size at first. Of a
    vector of lags it is the inverse hyperbolic tangent of a partial autocorrelation, so that a unit root, where many
    short series have their maximum, is a few steps away.
    """

    parameters: Parameters
    build: Build
    scale: Floats
    explained: Deterministic | None = None
    """What explains the series that it was made for, without noise."""
    names: tuple[str, ...] = field(init=False)
    """The wire's names."""
    constraints: tuple[str, ...] = field(init=False)
    """What binds each [k]."""
    variances: Mask = field(init=False)
    """Which may be zero independently of the others [k]."""
    noise: Mask = field(init=False)
    """Which are variances or belong to covariances: their coordinates go with the root of the noise [k]."""
    lags: Mask = field(init=False)
    """Which belong to a vector of lags [k]."""
    runs: tuple[tuple[str, slice], ...] = field(init=False)
    """The constraint and the places of each field."""

    def __post_init__(self) -> None:
        free = self.parameters.free
        ends = np.cumsum([0, *(len(each.names) for each in free)]).tolist()
        constraints = np.array([each.constraint for each in free for _ in each.names])
        for name, value in (
            ("names", self.parameters.names),
            ("constraints", tuple(constraints.tolist())),
            ("variances", constraints == "variance"),
            ("noise", np.isin(constraints, ("variance", "covariance"))),
            ("lags", _lags(self.parameters)),
            ("runs", tuple((each.constraint, slice(*span)) for each, span in zip(free, pairwise(ends), strict=True))),
        ):
            object.__setattr__(self, name, value)

    def values(self, x: Floats) -> Floats:
        """The wire's numbers at coordinates x [k]."""
        theta = self.theta(x)
        return np.concatenate([CONSTRAINTS[constraint].values(theta[here]) for constraint, here in self.runs])

    def theta(self, x: Floats) -> Floats:
        """`Parameters`' unconstrained numbers at coordinates x [k]."""
        return np.where(self.lags, np.sinh(np.clip(x, -FARTHEST_LAG, FARTHEST_LAG)), x) * self.scale

    def coordinates(self, values: Floats) -> Floats:
        """The coordinates of the wire's numbers."""
        return _coordinates(self.parameters, self.parameters.theta(values), self.scale)

    def jacobian(self, x: Floats) -> Floats:
        """The derivative of `values` by coordinates [k, k]."""
        found, theta = np.zeros((len(x), len(x))), self.theta(x)
        # d sinh = cosh
        along = np.where(self.lags & (np.abs(x) <= FARTHEST_LAG), np.hypot(1.0, theta), 1.0) * self.scale
        for constraint, here in self.runs:
            found[here, here] = slopes(constraint, theta[here]) * along[here]
        return found

    def model(self, values: Floats) -> Model:
        """The model with these numbers.

        Raises:
            ModelError: there is none.
        """
        return self.build(self.fields(values))

    def fields(self, values: Floats) -> dict[str, Any]:
        """The wire's fields with these numbers in them."""
        return self.parameters.with_values(values)

    def at_bound(self, x: Floats) -> NDArray[np.bool_]:
        """Which of the numbers are on a bound, where their errors are not normal [k]."""
        values, theta, found = self.values(x), self.theta(x), []
        first = 0
        for each in self.parameters.free:
            here = slice(first, first + len(each.names))
            if each.constraint == "covariance":
                found.append(np.full(len(each.names), _singular(np.array(each.read(self.fields(values))))))
            else:
                # A vector of lags is bound as a whole: one partial autocorrelation at 1 is a unit root.
                far = np.abs(theta[here]) > AT_BOUND.get(each.constraint, np.inf)
                found.append(np.full(len(far), far.any()))
            first = here.stop
        return np.concatenate(found)


def search_space(
    kind: str, fields: Mapping[str, Any], build: Build, names: Sequence[str], y: Floats
) -> tuple[SearchSpace, list[Floats]]:
    """The named parameters for a series y [T, m], and coordinates to start from: the fields' own and a guess.

    Raises:
        NotEstimable: see `kinds.parameters`.
    """
    parameters = free_parameters(kind, fields, names)
    explained = explain(parameters, build, y)
    # An ARIMA model's guess takes the differences off by itself, and then wants what is left.
    left = y if explained is None or explained.exact or kind == "arima" else explained.residual
    guess = parameters.start([left])
    if kind == "structural":
        guess = _of_size(parameters, guess, left)
    scale = _scale(parameters, guess, left)
    space = SearchSpace(parameters, build, scale, explained)
    guess = _coordinates(parameters, guess, scale)
    own = _coordinates(parameters, parameters.unconstrain(fields), scale)
    return space, [_in_reach(parameters, own, guess), guess]


def default_parameters(kind: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """What is estimated where the caller names nothing: what the model has and is not zero.

    Of a `state_space` model only the covariances: its other matrices are rarely identified all together.
    """
    found = []
    for name, each in estimable(kind, fields).items():
        held_at_zero = each.constraint in {"variance", "free"} and not each.read(fields).any()
        if not held_at_zero and not (kind == "state_space" and each.constraint == "free"):
            found.append(name)
    return tuple(found)


def _lags(parameters: Parameters) -> NDArray[np.bool_]:
    constraints = [each.constraint for each in parameters.free for _ in each.names]
    return np.isin(constraints, ("stationary", "invertible"))


def _coordinates(parameters: Parameters, theta: Floats, scale: Floats) -> Floats:
    return np.where(_lags(parameters), np.arcsinh(theta / scale), theta / scale)


def _in_reach(parameters: Parameters, own: Floats, guess: Floats) -> Floats:
    """The caller's coordinates, variances that are far from the guess brought nearer: there the likelihood is flat."""
    near, first = own.copy(), 0
    for each in parameters.free:
        here = slice(first, first + len(each.names))
        if each.constraint == "variance":
            sizes = np.clip(np.abs(own[here]), NEAREST, FARTHEST)
            near[here] = np.where(own[here] == 0, guess[here], sizes)
        elif each.constraint == "covariance":
            largest = float(np.abs(own[here]).max())
            factor = float(np.clip(largest, NEAREST, FARTHEST)) / (largest or 1.0)
            near[here] = own[here] * factor if largest else guess[here]
        first = here.stop
    return near


def _of_size(parameters: Parameters, guess: Floats, left: Floats) -> Floats:
    """The guess with its variances scaled to the steps of what the model leaves of the series, if they are far off."""
    steps = np.diff(left, axis=0)
    known = steps[np.isfinite(steps)]
    spread = float(np.var(known)) if len(known) > 1 else 0.0
    variances = np.array([each.constraint == "variance" for each in parameters.free for _ in each.names], dtype=bool)
    # Theta is their root.
    total = float(np.sum(guess[variances] ** 2))
    if not (spread > 0 and total > 0) or FAR_OFF[0] < total / spread < FAR_OFF[1]:
        return guess
    return np.where(variances, guess * np.sqrt(spread / total), guess)


def _scale(parameters: Parameters, guess: Floats, y: Floats) -> Floats:
    """The size that each unconstrained number has, about."""
    steps = np.diff(y, axis=0)
    known = steps[np.isfinite(steps)]
    spread = float(np.std(known)) if len(known) > 1 and np.std(known) > 0 else 1.0
    scale, first = np.ones(parameters.size), 0
    for each in parameters.free:
        here = slice(first, first + len(each.names))
        match each.constraint:
            case "variance":
                scale[here] = np.where(guess[here] != 0, np.abs(guess[here]), spread)
            case "covariance":
                rows = np.sqrt(np.diagonal(_square(each.shape[0], guess[here])))
                scale[here] = np.repeat(np.where(rows > 0, rows, spread), np.arange(1, each.shape[0] + 1))
            case "free" if each.path[-1] in {"intercept", "obs_intercept", "state_intercept"}:
                scale[here] = spread
        first = here.stop
    return scale


def _square(size: int, factor: Floats) -> Floats:
    lower = np.zeros((size, size))
    lower[np.tril_indices(size)] = factor
    product: Floats = lower @ lower.T
    return product


def _singular(elements: Floats) -> bool:
    size = round((np.sqrt(8 * len(elements) + 1) - 1) / 2)
    cov = np.zeros((size, size))
    cov[np.tril_indices(size)] = elements
    cov = cov + np.tril(cov, -1).T
    sizes = np.sqrt(np.diagonal(cov))
    if not sizes.all():
        return True
    return bool(np.linalg.eigvalsh(cov / np.outer(sizes, sizes))[0] < SINGULAR)
