"""The searches for one series, from several starts, and the best that they have found."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.information import Information
from luna_serving.engines.statespace.fit.objective import Objective
from luna_serving.engines.statespace.fit.parallel_search import Trace
from luna_serving.engines.statespace.fit.quasi_newton import Evaluation
from luna_serving.engines.statespace.fit.stop import Stop
from luna_serving.engines.statespace.model.model import Model

Floats = NDArray[np.float64]

# Log-likelihoods that differ by less are the same maximum.
SAME: Final = 1e-4
# A search that ends for rounding with no component of the gradient above this, per observation, has arrived.
ROUGH: Final = 1e-5
# In a coordinate's unit (a start's standard deviation): a variance this far below its start may be zero.
NEAR_ZERO: Final = 1e-2
# What setting a variance to zero may cost in log-likelihood and still be rounding and a search's end.
ZERO_COST: Final = 1e-6


@dataclass(slots=True, eq=False)
class Multistart:
    """What is known about the best parameters of one series."""

    objective: Objective
    own: Floats
    """Coordinates of the model's own values."""
    guessed: Floats
    """Coordinates of a guess from the data."""
    guess: Model
    """The model of that guess."""
    traces: list[Trace] = field(default_factory=list)
    winner: Trace | None = None
    """The search that ended, or was continued, at the best."""
    best: Evaluation | None = None
    """The best evaluation, at the objective's free coordinates."""
    stop: Stop = Stop.DEADLINE
    iterations: int = 0
    extra_evaluations: int = 0
    saddle: bool = False
    """The likelihood is bent upwards in some direction at the best."""
    precision: Information | None = None
    """The information at the best, once a pass of searches is finished."""
    above_zero: set[int] = field(default_factory=set)
    """Small variances that are not zero."""

    def whole(self, x: Floats | None = None) -> Objective:
        """The objective with nothing held at zero, at coordinates x, or at its own values."""
        return replace(self.objective, free=np.ones_like(self.objective.free), x=self.own if x is None else x)

    def enter(self, objective: Objective, trace: Trace) -> bool:
        """Take a search's end, or where it was cut short; whether it is better than what there was."""
        if trace.evaluations:
            self.traces.append(trace)
        if trace.best is None or -trace.best.value * objective.observations <= self.loglike + ZERO_COST:
            return False
        self.objective, self.best, self.iterations = objective, trace.best, trace.iterations
        self.stop = trace.outcome.stop if trace.outcome is not None else Stop.DEADLINE
        self.winner = trace
        self.above_zero.clear()
        return True

    def replace(self, objective: Objective, trace: Trace) -> None:
        """Take the end of a search with other parameters held at zero."""
        self.extra_evaluations += trace.evaluations
        if trace.best is not None:
            self.objective, self.best = objective, trace.best
            self.iterations += trace.iterations
            self.stop = trace.outcome.stop if trace.outcome is not None else Stop.DEADLINE

    def improve(self, there: Evaluation, tolerance: float) -> None:
        """Take a Newton step's end if it is flatter there and no higher."""
        self.extra_evaluations += 1
        best = self.best
        if best is None or not there.defined or there.steepness >= best.steepness:
            return
        if there.value <= best.value + 1e-12 * max(1.0, abs(best.value)):
            self.best = there
            if there.steepness <= tolerance and self.stop is Stop.NO_IMPROVEMENT:
                self.stop = Stop.FLAT

    @property
    def loglike(self) -> float:
        """The log-likelihood of the best; -inf where there is none."""
        return -np.inf if self.best is None else -self.best.value * self.objective.observations

    @property
    def converged(self) -> bool:
        """Whether the best is a maximum, as far as the gradient and the Hessian show."""
        if self.best is None or self.saddle:
            return False
        arrived = self.stop is Stop.NO_IMPROVEMENT and self.best.steepness <= ROUGH
        return arrived or self.stop is Stop.FLAT

    @property
    def agreed(self) -> int:
        """Searches that ended where the best is."""
        lowest = (SAME - self.loglike) / self.objective.observations
        ends = [each for each in self.traces if each.best is not None and each.best.value <= lowest]
        return len(ends) + (self.winner is not None and self.winner not in ends)

    @property
    def evaluations(self) -> int:
        """Over all searches."""
        return self.extra_evaluations + sum(trace.evaluations for trace in self.traces)

    def nearly_zero(self) -> list[int]:
        """The free variances, among all k, that may be zero."""
        if self.best is None or self.stop is Stop.NO_MAXIMUM:
            return []
        whole = self.objective.whole(self.best.x)
        small = self.objective.free & self.objective.space.variances & (np.abs(whole) < NEAR_ZERO)
        return [int(place) for place in np.flatnonzero(small) if int(place) not in self.above_zero]

    def without(self, places: list[int]) -> Objective:
        """The objective at its best, with these variances held at zero too."""
        assert self.best is not None  # noqa: S101  nearly_zero has looked
        free = self.objective.free.copy()
        free[places] = False
        return replace(self.objective, free=free, x=self.objective.whole(self.best.x))
