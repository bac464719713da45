"""Profit and loss of a portfolio at a horizon, as a fraction of its value."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.models.moves import Move
from luna_serving.engines.finance.montecarlo.payoffs.observers import Paid, Setting
from luna_serving.engines.finance.montecarlo.sampling.draws import Step


@dataclass(slots=True)
class _Profit:
    payoff: "Portfolio"
    start: Float[np.ndarray, "assets n"] | None = None
    end: Float[np.ndarray, "assets n"] | None = None

    def observe(self, k: int, move: Move, step: Step, own: Float[np.ndarray, "uniforms n"]) -> None:
        del step, own
        if k == 0:
            self.start = move.start
        self.end = move.end

    def paid(self) -> Paid:
        assert self.start is not None  # noqa: S101  there is a step
        assert self.end is not None  # noqa: S101
        total = np.zeros(self.end.shape[1])
        for weight, begin, end in zip(self.payoff.weights, self.start, self.end, strict=True):
            total += weight * np.expm1(end - begin)
        return Paid({"value": total}, {})


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Sum of w_i (S_i(h) / S_i(0) - 1), not discounted; held from 0 to the horizon, which is the expiry."""

    weights: tuple[float, ...]
    levels: tuple[float, ...]
    """Of VaR and expected shortfall: 0.95, say."""
    uniforms: int = field(default=0, init=False)

    def dates(self, expiry: float) -> tuple[float, ...]:
        """None but the horizon."""
        del expiry
        return ()

    def begin(self, setting: Setting, n: int) -> _Profit:
        """See `Payoff`."""
        del setting, n
        return _Profit(self)
