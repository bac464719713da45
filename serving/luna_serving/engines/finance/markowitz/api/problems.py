"""Constraints, objectives, estimates of moments, refusals, and checks that cost little."""

from luna_serving.engines.finance.markowitz.assets import Assets
from luna_serving.engines.finance.markowitz.conflicts import refuse_contradictions
from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats, Group, Place, Tracking, Turnover
from luna_serving.engines.finance.markowitz.moments.black_litterman import Posterior, View, black_litterman
from luna_serving.engines.finance.markowitz.moments.estimates import (
    Moments,
    exponentially_weighted,
    ledoit_wolf,
    oas,
    sample,
)
from luna_serving.engines.finance.markowitz.objectives import (
    Hierarchical,
    MaxSharpe,
    MinCvar,
    MinVariance,
    Objective,
    RiskParity,
    TargetReturn,
    TargetRisk,
)
from luna_serving.engines.finance.markowitz.refusals import (
    Infeasible,
    NoExcessReturn,
    NotPositiveSemidefinite,
    Riskless,
    Undetermined,
    Unsolved,
)
from luna_serving.engines.finance.markowitz.solve import assets_of, check_feasible

__all__ = [
    "Assets",
    "Constraints",
    "Floats",
    "Group",
    "Hierarchical",
    "Infeasible",
    "MaxSharpe",
    "MinCvar",
    "MinVariance",
    "Moments",
    "NoExcessReturn",
    "NotPositiveSemidefinite",
    "Objective",
    "Place",
    "Posterior",
    "RiskParity",
    "Riskless",
    "TargetReturn",
    "TargetRisk",
    "Tracking",
    "Turnover",
    "Undetermined",
    "Unsolved",
    "View",
    "assets_of",
    "black_litterman",
    "check_feasible",
    "exponentially_weighted",
    "ledoit_wolf",
    "oas",
    "refuse_contradictions",
    "sample",
]
