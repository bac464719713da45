"""Conditions between parameters that several entries share."""

from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Constraint

# TA-Lib exchanges the two without a word, so that a caller's mistake would look like an answer.
FAST_BEFORE_SLOW: Final = Constraint(
    "fast_period",
    "must be smaller than slow_period",
    lambda params: params["fast_period"] < params["slow_period"],
)
# TA-Lib lowers the acceleration to the maximum likewise.
ACCELERATION_BELOW_MAXIMUM: Final = Constraint(
    "acceleration",
    "must not be larger than maximum",
    lambda params: params["acceleration"] <= params["maximum"],
)
SLOW_LIMIT_BELOW_FAST: Final = Constraint(
    "slow_limit",
    "must not be larger than fast_limit",
    lambda params: params["slow_limit"] <= params["fast_limit"],
)
