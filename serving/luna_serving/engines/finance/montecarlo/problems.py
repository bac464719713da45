"""A problem as a value, and what follows from it: dates, draws, blocks, control variates."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from luna_serving.engines.finance.montecarlo.black_scholes import european, geometric_asian
from luna_serving.engines.finance.montecarlo.exercise.dual import INNER, OUTER
from luna_serving.engines.finance.montecarlo.exercise.policies import Exercise
from luna_serving.engines.finance.montecarlo.models.diffusion import Diffusion
from luna_serving.engines.finance.montecarlo.models.moves import Model
from luna_serving.engines.finance.montecarlo.payoffs.asian import Asian
from luna_serving.engines.finance.montecarlo.payoffs.extremes import Barrier, Lookback
from luna_serving.engines.finance.montecarlo.payoffs.observers import Payoff, Setting
from luna_serving.engines.finance.montecarlo.payoffs.portfolio import Portfolio
from luna_serving.engines.finance.montecarlo.payoffs.terminal import Basket, Digital, European, Extreme, Spread
from luna_serving.engines.finance.montecarlo.reduction.estimates import Layout
from luna_serving.engines.finance.montecarlo.sampling.draws import Drawing, Needs, Sampling
from luna_serving.engines.finance.montecarlo.sampling.sobol import MOST_DIMENSIONS

MOST_PATHS_PER_BLOCK: Final = 1 << 14
LEAST_PATHS_PER_BLOCK: Final = 1 << 10
# Numbers of a block: some 0.1 s of one core.
NUMBERS_PER_BLOCK: Final = 1 << 22
# By default nets have no more dimensions: setting one up costs 0.1 ms a dimension and scramble.
DEFAULT_DIMENSIONS: Final = 256
# Payoffs of the whole path or of the tail that a net does not help, or whose error it could not say.
PSEUDO_ONLY: Final = (Exercise, Portfolio)


@dataclass(frozen=True, eq=False)
class Problem:
    """What is estimated. All that a block computes follows from it and the block's number."""

    model: Model
    payoff: Payoff
    expiry: float
    """Years, or periods where the model is periodic."""
    steps: int
    """Equal steps to expiry; dates of the payoff are added to them."""
    seed: int
    sampling: Sampling | None = None
    """None: a net where the payoff allows it and the dimensions are few."""
    antithetic: bool = True
    controls: bool = True

    @cached_property
    def times(self) -> tuple[float, ...]:
        """Ends of the steps."""
        if self.model.periodic:
            return tuple(float(i) for i in range(1, round(self.expiry) + 1))
        own = tuple(t for t in self.payoff.dates(self.expiry) if t < self.expiry)
        # Steps that only fill gaps give way to dates of the payoff next to them.
        near = self.expiry * 1e-9
        filling = (self.expiry * i / self.steps for i in range(1, self.steps))
        dates = np.array(own)
        kept = [t for t in filling if not own or np.abs(dates - t).min() > near]
        return (*sorted({*own, *kept}), self.expiry)

    @cached_property
    def setting(self) -> Setting:
        """What the payoff is valued under."""
        return Setting(self.model, self.expiry, self.times)

    @cached_property
    def needs(self) -> Needs:
        """Numbers that the model and the payoff draw in a step; the payoff's uniforms are the last."""
        return Needs(self.model.needs.normals, self.model.needs.uniforms + self.payoff.uniforms)

    @property
    def nets(self) -> bool:
        """Whether the problem may be sampled by a net."""
        return not isinstance(self.payoff, PSEUDO_ONLY) and not self.model.periodic

    @cached_property
    def drawing(self) -> Drawing:
        """How its blocks draw."""
        per_path = len(self.times) * max(1, self.needs.normals + self.needs.uniforms)
        room = max(1, NUMBERS_PER_BLOCK // per_path)
        paths = min(MOST_PATHS_PER_BLOCK, max(LEAST_PATHS_PER_BLOCK, 1 << (room.bit_length() - 1)))
        sampling = self.sampling
        if sampling is None:
            small = per_path <= DEFAULT_DIMENSIONS
            sampling = Sampling.SOBOL if self.nets and small else Sampling.PSEUDO
        # Order statistics need independent paths, and so do draws from the past.
        mirrored = self.antithetic and not isinstance(self.payoff, Portfolio) and not self.model.periodic
        return Drawing(sampling, paths, self.times, self.needs, mirrored and sampling is Sampling.PSEUDO)

    @cached_property
    def layout(self) -> Layout:
        """What its moments are of: the value, then the control variates with their expectations."""
        found = self._controls() if self.controls else {}
        return Layout(("value",), tuple(found), tuple(found.values()))

    def _controls(self) -> dict[str, float]:
        """Control variates that help, with their expectations."""
        model, payoff, pseudo = self.model, self.payoff, self.drawing.sampling is Sampling.PSEUDO
        found: dict[str, float] = {}
        if isinstance(model, Diffusion) and model.assets == 1:
            of = (model.spots[0], payoff, model)
            match payoff:
                case Asian(arithmetic=True):
                    found["geometric"] = geometric_asian(
                        payoff.side,
                        of[0],
                        payoff.strike,
                        model.rate,
                        model.yields[0],
                        model.volatilities[0],
                        np.array(payoff.fixings),
                        self.expiry,
                    )
                case Barrier() | Exercise():
                    found["european"] = float(
                        european(
                            payoff.side,
                            of[0],
                            payoff.strike,
                            model.rate,
                            model.yields[0],
                            model.volatilities[0],
                            self.expiry,
                        )
                    )
                case _:
                    pass
        if pseudo and "geometric" not in found and not isinstance(payoff, Portfolio | Exercise):
            # A net integrates the prices at expiry to more digits than a regression on them would bring.
            found |= {f"underlying_{i}": mean for i, mean in model.martingales(self.expiry).items() if i < 8}
        return found

    @property
    def nanoseconds(self) -> float:
        """A path takes about so long on one core."""
        each = self.model.nanoseconds
        match self.payoff:
            case Exercise():
                each += 60.0
            case Barrier() | Lookback():
                each += 15.0
            case European() | Digital() | Basket() | Spread() | Extreme() | Asian() | Portfolio():
                each += 3.0
        if self.drawing.antithetic:
            each *= 0.7
        count = len(self.times)
        total = each * count + 45.0
        if isinstance(self.payoff, Exercise) and self.payoff.upper_bound:
            total += each * OUTER * INNER * count * (count + 1) / 2 / self.drawing.paths
        return total

    def blocks(self, paths: int) -> int:
        """Whole blocks for so many paths."""
        return max(1, math.ceil(paths / self.drawing.paths))


def dimensions_allowed(problem: Problem) -> bool:
    """Whether a net has as many dimensions."""
    return problem.drawing.dimensions <= MOST_DIMENSIONS
