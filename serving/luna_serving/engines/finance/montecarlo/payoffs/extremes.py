"""Payoffs of continuously monitored extremes: barrier and lookback, by the Brownian bridge between dates.

Given the ends of a step, the extreme of the log price in between has a known law: Glasserman (2004), section 6.4. It is
exact for geometric Brownian motion, whatever the steps, and for other models as the steps become short.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.models.moves import Move
from luna_serving.engines.finance.montecarlo.payoffs.observers import Paid, Setting, Side, Values, bounded
from luna_serving.engines.finance.montecarlo.sampling.draws import Step


@dataclass(slots=True)
class _Barrier:
    payoff: "Barrier"
    setting: Setting
    alive: Values
    """Probability that the barrier was not touched yet, given the path's dates."""
    rebates: Values
    """Discounted, of `out`."""
    logs: Values | None = None

    def observe(self, k: int, move: Move, step: Step, own: Float[np.ndarray, "uniforms n"]) -> None:
        del own
        level, sign = np.log(self.payoff.barrier), 1.0 if self.payoff.up else -1.0
        # Distances to the barrier, positive on the side where the path is alive.
        a, b = sign * (level - move.start[0]), sign * (level - move.diffused[0])
        variance = move.variance
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            touch = np.where((a > 0) & (b > 0), np.exp(-2.0 * a * b / variance), 1.0)
        if move.end is not move.diffused:
            touch = np.where(sign * (level - move.end[0]) > 0, touch, 1.0)
        touch = np.nan_to_num(touch, nan=1.0)
        if self.payoff.out and self.payoff.rebate:
            begin = self.setting.times[k - 1] if k else 0.0
            hit = _hit(a, b, variance, step.auxiliary) * (self.setting.times[k] - begin) + begin
            self.rebates += self.alive * touch * np.exp(-self.setting.model.rate * hit)
        self.alive *= 1.0 - touch
        self.logs = move.end[0]

    def paid(self) -> Paid:
        assert self.logs is not None  # noqa: S101  there is a step
        payoff, discount = self.payoff, self.setting.discount
        vanilla = discount * payoff.side.pays(np.exp(self.logs), payoff.strike)
        if payoff.out:
            value = self.alive * vanilla + payoff.rebate * self.rebates
        else:
            value = (1.0 - self.alive) * vanilla + (payoff.rebate * discount) * self.alive
        return Paid({"value": value}, {})


def _hit(a: Values, b: Values, variance: Values | float, stream: np.random.Generator) -> Values:
    """When a bridge that touches the barrier does so first, as a fraction of its step.

    By t = s / (1 + s) the bridge is a Brownian motion that meets a line: s is inverse Gaussian with mean a / |a + c|
    and shape a^2, where a and b are distances in units of the step's deviation, and c = b for a path that crosses.
    """
    deviation = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        start = np.maximum(a / deviation, 1e-12)
        slope = np.maximum(np.abs(b / deviation), 1e-12)
    shape = start * start
    mean = start / slope
    # Michael, Schucany and Haas, "Generating random variates using transformations with multiple roots" (1976).
    y = stream.standard_normal(a.shape) ** 2
    w = mean * y / shape
    x = 2.0 * mean / (2.0 + w + np.sqrt(w * (4.0 + w)))
    s = np.where(stream.random(a.shape) <= mean / (mean + x), x, mean * mean / x)
    out: Values = np.nan_to_num(s / (1.0 + s), nan=0.5)
    return out


@dataclass(frozen=True, slots=True)
class Barrier:
    """A European option that starts (`in`) or ends (`out`) where the price touches a barrier."""

    side: Side
    strike: float
    barrier: float
    up: bool
    out: bool
    rebate: float
    """Paid at the hit by `out`, at expiry by `in` that was never touched."""
    uniforms: int = field(default=0, init=False)

    def dates(self, expiry: float) -> tuple[float, ...]:
        """None but expiry."""
        del expiry
        return ()

    def begin(self, setting: Setting, n: int) -> _Barrier:
        """See `Payoff`."""
        return _Barrier(self, setting, np.ones(n), np.zeros(n))


@dataclass(slots=True)
class _Extreme:
    payoff: "Lookback"
    setting: Setting
    extreme: Values
    logs: Values | None = None

    def observe(self, k: int, move: Move, step: Step, own: Float[np.ndarray, "uniforms n"]) -> None:
        del step
        x, y = move.start[0], move.diffused[0]
        spread = np.sqrt((y - x) ** 2 - 2.0 * move.variance * np.log(bounded(own[0])))
        if self.payoff.of_maximum:
            here = np.maximum(0.5 * (x + y + spread), move.end[0])
            self.extreme = here if k == 0 else np.maximum(self.extreme, here)
        else:
            here = np.minimum(0.5 * (x + y - spread), move.end[0])
            self.extreme = here if k == 0 else np.minimum(self.extreme, here)
        self.logs = move.end[0]

    def paid(self) -> Paid:
        assert self.logs is not None  # noqa: S101  there is a step
        payoff, extreme = self.payoff, np.exp(self.extreme)
        if payoff.strike is not None:
            value = payoff.side.pays(extreme, payoff.strike)
        else:
            last = np.exp(self.logs)
            value = last - extreme if payoff.side is Side.CALL else extreme - last
        return Paid({"value": self.setting.discount * value}, {})


@dataclass(frozen=True, slots=True)
class Lookback:
    """With a strike, an option on the extreme; without, a call pays S - min and a put max - S."""

    side: Side
    strike: float | None
    uniforms: int = field(default=1, init=False)

    @property
    def of_maximum(self) -> bool:
        """Whether the maximum counts."""
        return (self.side is Side.CALL) == (self.strike is not None)

    def dates(self, expiry: float) -> tuple[float, ...]:
        """None but expiry."""
        del expiry
        return ()

    def begin(self, setting: Setting, n: int) -> _Extreme:
        """See `Payoff`."""
        return _Extreme(self, setting, np.zeros(n))
