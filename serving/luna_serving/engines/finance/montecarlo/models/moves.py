"""The contract of a model: a state of n paths, and one step of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.sampling.draws import Needs, Step


@dataclass(slots=True)
class State:
    """n paths at one date."""

    logs: Float[np.ndarray, "assets n"]
    """Logarithms of the assets' prices."""
    variance: Float[np.ndarray, " n"] | None = None
    """Of stochastic-volatility models, per year."""
    own: Float[np.ndarray, "..."] | None = None
    """What else a model keeps of its paths."""


@dataclass(frozen=True, slots=True)
class Move:
    """One step of n paths. Jumps fall on its end: what monitors a path continuously sees the diffusion up to them."""

    start: Float[np.ndarray, "assets n"]
    diffused: Float[np.ndarray, "assets n"]
    """Before the jumps; the same array as `end` where there are none."""
    end: Float[np.ndarray, "assets n"]
    variance: Float[np.ndarray, " n"] | float
    """Of the first asset's diffusion over the step: sigma^2 dt."""
    level: Float[np.ndarray, " n"] | None = None
    """The variance per year at the end, of models that have one."""


class Model(Protocol):
    """A model; n paths of it are a `State`."""

    @property
    def assets(self) -> int:
        """How many."""

    @property
    def rate(self) -> float:
        """Continuously compounded, per year (per period where `periodic`)."""

    @property
    def needs(self) -> Needs:
        """Numbers that a step draws."""

    @property
    def periodic(self) -> bool:
        """Whether time counts in periods of data, not in years: every step is one period."""

    @property
    def nanoseconds(self) -> float:
        """A step of a path takes about so long on one core (benchmarks/finance/montecarlo.py)."""

    def begin(self, n: int) -> State:
        """N paths at time 0."""

    def advance(self, state: State, dt: float, step: Step) -> Move:
        """Move the state by `dt`."""

    def martingales(self, expiry: float) -> Mapping[int, float]:
        """Known expectations of the discounted prices at expiry, by asset; empty where they are not known."""
