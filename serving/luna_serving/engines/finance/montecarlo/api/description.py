"""Problems, their parts and checks, and runs of them."""

from luna_serving.engines.finance.montecarlo.blocks import Block, NotFinite, Pilot
from luna_serving.engines.finance.montecarlo.correlation import ROUNDING, factor, least_eigenvalue, nearest
from luna_serving.engines.finance.montecarlo.exercise.policies import Exercise
from luna_serving.engines.finance.montecarlo.models.bootstrap import Bootstrap
from luna_serving.engines.finance.montecarlo.models.diffusion import Diffusion
from luna_serving.engines.finance.montecarlo.models.heston import Heston
from luna_serving.engines.finance.montecarlo.models.jumps import Jumps
from luna_serving.engines.finance.montecarlo.models.moves import Model
from luna_serving.engines.finance.montecarlo.models.state_space import StateSpace
from luna_serving.engines.finance.montecarlo.payoffs.asian import Asian
from luna_serving.engines.finance.montecarlo.payoffs.extremes import Barrier, Lookback
from luna_serving.engines.finance.montecarlo.payoffs.observers import Payoff, Side
from luna_serving.engines.finance.montecarlo.payoffs.portfolio import Portfolio
from luna_serving.engines.finance.montecarlo.payoffs.terminal import Basket, Digital, European, Extreme, Spread
from luna_serving.engines.finance.montecarlo.problems import Problem, dimensions_allowed
from luna_serving.engines.finance.montecarlo.reduction.estimates import LEVEL, Estimate
from luna_serving.engines.finance.montecarlo.runs import Run, reproducible_on
from luna_serving.engines.finance.montecarlo.sampling.draws import SCRAMBLES, Sampling
from luna_serving.engines.finance.montecarlo.sampling.sobol import MOST_DIMENSIONS

__all__ = [
    "LEVEL",
    "MOST_DIMENSIONS",
    "ROUNDING",
    "SCRAMBLES",
    "Asian",
    "Barrier",
    "Basket",
    "Block",
    "Bootstrap",
    "Diffusion",
    "Digital",
    "Estimate",
    "European",
    "Exercise",
    "Extreme",
    "Heston",
    "Jumps",
    "Lookback",
    "Model",
    "NotFinite",
    "Payoff",
    "Pilot",
    "Portfolio",
    "Problem",
    "Run",
    "Sampling",
    "Side",
    "Spread",
    "StateSpace",
    "dimensions_allowed",
    "factor",
    "least_eigenvalue",
    "nearest",
    "reproducible_on",
]
