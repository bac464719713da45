"""What a portfolio shall do best."""

from dataclasses import dataclass

from luna_serving.engines.finance.markowitz.constraints import Floats


@dataclass(frozen=True, slots=True)
class MinVariance:
    """Have the least risk."""


@dataclass(frozen=True, slots=True)
class MaxSharpe:
    """Have the largest ratio of excess return to risk."""

    risk_free: float = 0.0


@dataclass(frozen=True, slots=True)
class TargetReturn:
    """Have the least risk with at least an expected return."""

    target: float


@dataclass(frozen=True, slots=True)
class TargetRisk:
    """Have the largest expected return with at most a risk."""

    target: float


@dataclass(frozen=True, slots=True)
class RiskParity:
    """Have equal contributions of all assets to the risk."""


@dataclass(frozen=True, slots=True)
class Hierarchical:
    """Split the risk along a tree of similar assets."""


@dataclass(frozen=True, slots=True)
class MinCvar:
    """Have the least mean of the worst losses."""

    returns: Floats
    """[T, n], scenarios of equal probability."""
    level: float
    """The share of scenarios that are better: 0.95."""


Objective = MinVariance | MaxSharpe | TargetReturn | TargetRisk | RiskParity | Hierarchical | MinCvar
