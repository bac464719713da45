"""Payoffs of the prices at expiry: European, digital, basket, spread, best and worst of."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.models.moves import Move
from luna_serving.engines.finance.montecarlo.payoffs.observers import Paid, Setting, Side, Values
from luna_serving.engines.finance.montecarlo.sampling.draws import Step


@dataclass(slots=True)
class _AtExpiry:
    payoff: "_Terminal"
    setting: Setting
    logs: Float[np.ndarray, "assets n"] | None = None

    def observe(self, k: int, move: Move, step: Step, own: Float[np.ndarray, "uniforms n"]) -> None:
        del k, step, own
        self.logs = move.end

    def paid(self) -> Paid:
        assert self.logs is not None  # noqa: S101  there is a step
        return Paid({"value": self.setting.discount * self.payoff.of(np.exp(self.logs))}, {})


@dataclass(frozen=True, slots=True)
class _Terminal(ABC):
    uniforms: int = field(default=0, init=False)

    def dates(self, expiry: float) -> tuple[float, ...]:
        """None but expiry."""
        del expiry
        return ()

    def begin(self, setting: Setting, n: int) -> _AtExpiry:
        """See `Payoff`."""
        del n
        return _AtExpiry(self, setting)

    @abstractmethod
    def of(self, prices: Float[np.ndarray, "assets n"]) -> Values:
        """What is paid at expiry."""


@dataclass(frozen=True, slots=True)
class European(_Terminal):
    """max(S - K, 0) or max(K - S, 0)."""

    side: Side
    strike: float

    def of(self, prices: Float[np.ndarray, "assets n"]) -> Values:
        """Of the first asset."""
        return self.side.pays(prices[0], self.strike)


@dataclass(frozen=True, slots=True)
class Digital(_Terminal):
    """Cash if S > K (call) or S < K (put)."""

    side: Side
    strike: float
    cash: float

    def of(self, prices: Float[np.ndarray, "assets n"]) -> Values:
        """Of the first asset."""
        above = prices[0] > self.strike if self.side is Side.CALL else prices[0] < self.strike
        out: Values = above * self.cash
        return out


@dataclass(frozen=True, slots=True)
class Basket(_Terminal):
    """An option on sum of w_i S_i."""

    side: Side
    strike: float
    weights: tuple[float, ...]

    def of(self, prices: Float[np.ndarray, "assets n"]) -> Values:
        """Of all assets."""
        total = self.weights[0] * prices[0]
        for weight, price in zip(self.weights[1:], prices[1:], strict=True):
            total += weight * price
        return self.side.pays(total, self.strike)


@dataclass(frozen=True, slots=True)
class Spread(_Terminal):
    """An option on S1 - S2."""

    side: Side
    strike: float

    def of(self, prices: Float[np.ndarray, "assets n"]) -> Values:
        """Of the first two assets."""
        return self.side.pays(prices[0] - prices[1], self.strike)


@dataclass(frozen=True, slots=True)
class Extreme(_Terminal):
    """An option on the best or the worst of the assets."""

    side: Side
    strike: float
    best: bool

    def of(self, prices: Float[np.ndarray, "assets n"]) -> Values:
        """Of all assets."""
        return self.side.pays((np.max if self.best else np.min)(prices, axis=0), self.strike)
