"""Portfolios, frontiers, and the measures of a portfolio."""

from luna_serving.engines.finance.markowitz.cvar import cvar_of, value_at_risk
from luna_serving.engines.finance.markowitz.efficient import Frontier
from luna_serving.engines.finance.markowitz.solution import Solution
from luna_serving.engines.finance.markowitz.solve import frontier, solve
from luna_serving.engines.finance.markowitz.stopping import Stop, Stopped

__all__ = ["Frontier", "Solution", "Stop", "Stopped", "cvar_of", "frontier", "solve", "value_at_risk"]
