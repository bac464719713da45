"""The contract of a payoff: an observer sees each step of n paths, and then says what they paid."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.models.moves import Model, Move
from luna_serving.engines.finance.montecarlo.sampling.draws import Step

Values = Float[np.ndarray, " n"]


class Side(Enum):
    """Call or put."""

    CALL = "call"
    PUT = "put"

    def pays(self, price: Values, strike: float) -> Values:
        """max(price - strike, 0), or max(strike - price, 0)."""
        difference = price - strike if self is Side.CALL else strike - price
        return np.maximum(difference, 0.0, out=difference)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a payoff is valued under."""

    model: Model
    expiry: float
    times: tuple[float, ...]
    """Ends of the steps, the last at expiry."""

    @property
    def discount(self) -> float:
        """From expiry."""
        return float(np.exp(-self.model.rate * self.expiry))


@dataclass(frozen=True, slots=True)
class Paid:
    """What n paths paid, discounted to time 0."""

    values: Mapping[str, Values]
    """By what is estimated: `value`, `upper_bound`."""
    seen: Mapping[str, Values]
    """What control variates are made of: `geometric`."""


class Observer(Protocol):
    """Keeps what a payoff needs of n paths."""

    def observe(self, k: int, move: Move, step: Step, own: Float[np.ndarray, "uniforms n"]) -> None:
        """See step k; `own` are the payoff's uniforms."""

    def paid(self) -> Paid:
        """What the paths paid; called after the last step."""


class Payoff(Protocol):
    """A payoff."""

    @property
    def uniforms(self) -> int:
        """That it draws in each step."""

    def dates(self, expiry: float) -> tuple[float, ...]:
        """Dates that the steps must end on, beside expiry."""

    def begin(self, setting: Setting, n: int) -> Observer:
        """An observer of n paths."""


def bounded(uniforms: Values) -> Values:
    """In (0, 1], for a logarithm."""
    out: Values = np.maximum(uniforms, 1e-300)
    return out
