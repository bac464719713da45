"""How precise estimates are: the observed information, by differences of exact gradients, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.objective import Objective
from luna_serving.engines.statespace.fit.quasi_newton import Evaluation

Floats = NDArray[np.float64]

# A coordinate is of about unit size. With four points the error goes with its fourth power, and the gradient's noise of
# 1e-10 is divided by it: seven digits.
STEP: Final = 1e-3
STENCIL: Final = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))
# An eigenvalue of the information below this share of the largest is one that the data do not determine.
SINGULAR: Final = 1e-9
# An eigenvalue of the Hessian is negative below this, of the largest and of coordinates of unit size: differences of
# gradients are off by less.
BENT: Final = 1e-5
# The share of a parameter's direction in what the data do not determine, above which it has no standard error.
LOADING: Final = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """The Hessian of the objective at the estimates, in the coordinates `inner` of the free ones."""

    objective: Objective
    x: Floats
    inner: NDArray[np.int_]
    """The free coordinates that are not on a bound."""
    hessian: Floats

    def newton_step(self, gradient: Floats) -> Floats | None:
        """Where Newton's method goes from here, by all free coordinates; None where the Hessian is not definite."""
        if not len(self.inner) or np.linalg.eigvalsh(self.hessian)[0] <= 0:
            return None
        step = np.zeros_like(self.x)
        step[self.inner] = -np.linalg.solve(self.hessian, gradient[self.inner])
        return step

    def downward(self) -> Floats | None:
        """The unit direction, by free coordinates, in which the objective is bent downwards; None at a minimum."""
        if not len(self.inner):
            return None
        sizes, directions = np.linalg.eigh(self.hessian)
        if sizes[0] >= -max(BENT, BENT * sizes[-1]):
            return None
        direction = np.zeros_like(self.x)
        direction[self.inner] = directions[:, 0]
        return direction

    def standard_errors(self) -> list[float | None]:
        """Standard errors of all k values (delta method); None at a bound or where the information is singular."""
        objective = self.objective
        errors: list[float | None] = [None] * len(objective.free)
        if not len(self.inner):
            return errors
        sizes, directions = np.linalg.eigh(self.hessian)
        known = sizes > SINGULAR * max(sizes[-1], 0.0)
        if not sizes[-1] > 0 or sizes[0] < -SINGULAR * sizes[-1]:
            return errors
        unknown = directions[:, ~known]
        cov = (directions[:, known] / sizes[known]) @ directions[:, known].T / objective.observations
        jacobian = objective.jacobian(self.x)[:, self.inner]
        variance = np.einsum("ki,ij,kj->k", jacobian, cov, jacobian)
        length = np.linalg.norm(jacobian, axis=1)
        lost = np.linalg.norm(jacobian @ unknown, axis=1) > LOADING * length
        bound = self._bound()
        for place in np.flatnonzero((length > 0) & ~lost & ~bound & objective.free):
            errors[place] = float(np.sqrt(variance[place]))
        return errors

    def _bound(self) -> NDArray[np.bool_]:
        return self.objective.space.at_bound(self.objective.whole(self.x))


def stencil(objective: Objective, x: Floats) -> tuple[NDArray[np.int_], list[Floats]]:
    """The coordinates that have an information, and the points around x at which their gradients are needed."""
    whole = objective.whole(x)
    inner = np.flatnonzero(~objective.space.at_bound(whole)[objective.free])
    steps = _steps(objective, x)
    return inner, [x + many * steps[i] * _unit(len(x), int(i)) for i in inner for many, _ in STENCIL]


def information(objective: Objective, x: Floats, gradients: Sequence[Evaluation]) -> Information | None:
    """The information from the gradients at `stencil`'s points; None where one of them is not defined."""
    inner, _ = stencil(objective, x)
    if not all(each.defined for each in gradients):
        return None
    steps = _steps(objective, x)
    rows = [
        sum(weight * each.gradient for (_, weight), each in zip(STENCIL, gradients[4 * j : 4 * j + 4], strict=True))
        / steps[i]
        for j, i in enumerate(inner)
    ]
    hessian = np.array(rows).reshape(len(inner), len(x))[:, inner]
    return Information(objective, x, inner, (hessian + hessian.T) / 2)


def _steps(objective: Objective, x: Floats) -> Floats:
    # A variance is the square of its coordinate and may be small with a small error: so must the step.
    variances = objective.space.variances[objective.free]
    return STEP * np.where(variances & (x != 0), np.abs(x), np.maximum(1.0, np.abs(x)))


def _unit(size: int, place: int) -> Floats:
    unit = np.zeros(size)
    unit[place] = 1.0
    return unit
