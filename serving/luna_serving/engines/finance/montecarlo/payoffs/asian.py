"""Asian options on an average of prices at fixings."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.models.moves import Move
from luna_serving.engines.finance.montecarlo.payoffs.observers import Paid, Setting, Side, Values
from luna_serving.engines.finance.montecarlo.sampling.draws import Step


@dataclass(slots=True)
class _Average:
    payoff: "Asian"
    setting: Setting
    fixed: frozenset[int]
    """Steps that end on a fixing."""
    prices: Values
    logs: Values

    def observe(self, k: int, move: Move, step: Step, own: Float[np.ndarray, "uniforms n"]) -> None:
        del step, own
        if k in self.fixed:
            self.logs += move.end[0]
            if self.payoff.arithmetic:
                self.prices += np.exp(move.end[0])

    def paid(self) -> Paid:
        payoff, count = self.payoff, len(self.payoff.fixings)
        geometric = self.setting.discount * payoff.side.pays(np.exp(self.logs / count), payoff.strike)
        if not payoff.arithmetic:
            return Paid({"value": geometric}, {})
        value = self.setting.discount * payoff.side.pays(self.prices / count, payoff.strike)
        return Paid({"value": value}, {"geometric": geometric})


@dataclass(frozen=True, slots=True)
class Asian:
    """An option on the mean of the prices at the fixings."""

    side: Side
    strike: float
    arithmetic: bool
    """Else the geometric mean."""
    fixings: tuple[float, ...]
    """Years, increasing, at most expiry."""
    uniforms: int = field(default=0, init=False)

    def dates(self, expiry: float) -> tuple[float, ...]:
        """The fixings."""
        del expiry
        return self.fixings

    def begin(self, setting: Setting, n: int) -> _Average:
        """See `Payoff`."""
        at = {t: k for k, t in enumerate(setting.times)}
        return _Average(self, setting, frozenset(at[t] for t in self.fixings), np.zeros(n), np.zeros(n))
