"""Historical bootstrap: blocks of consecutive periods drawn with replacement, all assets together.

Kuensch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17 (1989); blocks
wrap around (Politis and Romano, 1992), so that every period is drawn as often as any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.models.moves import Move, State
from luna_serving.engines.finance.montecarlo.sampling.draws import Needs, Step


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """Returns of the past."""

    logs: Float[np.ndarray, "assets periods"]
    """log(1 + r) of the simple returns r."""
    block: int
    """Consecutive periods that are drawn together."""
    spots: tuple[float, ...]
    rate: float = 0.0
    periodic: bool = field(default=True, init=False)

    @classmethod
    def of(
        cls, returns: Float[np.ndarray, "periods assets"], block: int, spots: tuple[float, ...], rate: float = 0.0
    ) -> "Bootstrap":
        """Of simple returns above -1, a row a period."""
        return cls(np.ascontiguousarray(np.log1p(returns).T), block, spots, rate)

    @property
    def assets(self) -> int:
        """See `Model`, as for the following."""
        return len(self.logs)

    @property
    def needs(self) -> Needs:
        """A uniform, which chooses a block's start; the others of a block are not used."""
        return Needs(0, 1)

    @property
    def nanoseconds(self) -> float:
        """A uniform, and a look-up for each asset."""
        return 12.0 + 6.0 * self.assets

    def begin(self, n: int) -> State:
        """All at the spots, at the start of a block."""
        logs = np.repeat(np.log(np.asarray(self.spots))[:, None], n, axis=1)
        return State(logs, own=np.array([0.0]))

    def advance(self, state: State, dt: float, step: Step) -> Move:
        """One period."""
        del dt
        periods = self.logs.shape[1]
        n = state.logs.shape[1]
        if state.own is None or state.own.size != n + 1:
            state.own = np.concatenate([[0.0], np.zeros(n)])
        position, rows = int(state.own[0]), state.own[1:]
        if position % self.block == 0:
            np.floor(step.uniforms[0] * periods, out=rows)
            np.minimum(rows, periods - 1, out=rows)
        else:
            rows += 1.0
            rows[rows >= periods] -= periods
        state.own[0] = position + 1
        start = state.logs
        state.logs = start + self.logs[:, rows.astype(np.intp)]
        return Move(start, state.logs, state.logs, 0.0)

    def martingales(self, expiry: float) -> Mapping[int, float]:
        """Not known: returns of the past are not risk-neutral."""
        del expiry
        return {}
