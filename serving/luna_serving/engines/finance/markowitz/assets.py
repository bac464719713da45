"""What is known of assets: their expected returns and covariance."""

from dataclasses import dataclass
from typing import Final

from luna_serving.engines.finance.markowitz.constraints import Floats, deviation

# Relative to the largest variance.
LOST: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Assets:
    """What is known of n assets."""

    mean: Floats
    """[n]"""
    cov: Floats
    """[n, n], positive semidefinite."""
    definite: Floats
    """[n, n], the covariance itself, or with a small ridge where it is singular."""

    @property
    def least_gradient(self) -> float:
        """A gradient of the variance below this is lost in the rounding of larger terms."""
        return LOST * float(self.cov.diagonal().max())

    def expected(self, weights: Floats) -> float:
        """The expected return of a portfolio."""
        return float(self.mean @ weights)

    def risk(self, weights: Floats) -> float:
        """Its standard deviation."""
        return deviation(self.cov, weights)
