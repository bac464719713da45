"""Kalman filters of our own engine."""

from collections.abc import Mapping, Sequence
from typing import Final

from luna_serving.engines.indicators.bars import Column
from luna_serving.engines.indicators.catalogue.entry import Constraint, Group, Indicator, Lookback, Stability
from luna_serving.engines.indicators.catalogue.inputs import CLOSE
from luna_serving.engines.indicators.catalogue.lookbacks import NONE, ONE, constant
from luna_serving.engines.indicators.catalogue.talib_entry import number
from luna_serving.engines.indicators.formula import BatchFormula, Params
from luna_serving.engines.indicators.functions.kalman import kalman_beta, kalman_level, kalman_trend

LARGEST_VARIANCE: Final = 1e12
SMALLEST_VARIANCE: Final = 1e-24
"""Smaller ones than this are zero or nothing: the ratio of two keeps within float64's digits."""


def _entry(
    name: str,
    title: str,
    variances: Mapping[str, float],
    outputs: tuple[str, ...],
    lookback: Lookback,
    batch: BatchFormula,
    *,
    needs_benchmark: bool = False,
) -> Indicator:
    def formula(columns: Sequence[Column], params: Params) -> Sequence[Column]:
        return batch([(columns, params)])[0]

    return Indicator(
        name=name,
        title=title,
        group=Group.STATE_SPACE,
        inputs=CLOSE,
        parameters=tuple(number(each, default, 0.0, LARGEST_VARIANCE) for each, default in variances.items()),
        outputs=outputs,
        stability=Stability.CONVERGING,
        lookback_rule=lookback,
        formula=formula,
        batch=batch,
        needs_benchmark=needs_benchmark,
        constraints=(*map(_whole, variances), SOME_VARIANCE),
    )


def _whole(name: str) -> Constraint:
    """A variance is zero or large enough to be told from zero."""
    return Constraint(
        name,
        f"must be zero or at least {SMALLEST_VARIANCE:g}",
        lambda params: params[name] == 0 or params[name] >= SMALLEST_VARIANCE,
    )


SOME_VARIANCE: Final = Constraint(
    "obs_var", "must be above zero when every other variance is zero", lambda params: any(params.values())
)

ENTRIES: Final[tuple[Indicator, ...]] = (
    _entry(
        "kalman_level",
        "Filtered level of a local level model",
        {"obs_var": 1.0, "level_var": 0.1},
        ("kalman_level",),
        NONE,
        kalman_level,
    ),
    _entry(
        "kalman_trend",
        "Filtered level and trend of a local linear trend model",
        {"obs_var": 1.0, "level_var": 0.1, "trend_var": 0.01},
        ("level", "trend"),
        ONE,
        kalman_trend,
    ),
    _entry(
        "kalman_beta",
        "Filtered beta and alpha of returns on the benchmark's",
        {"obs_var": 1e-4, "beta_var": 1e-3, "alpha_var": 1e-8},
        ("kalman_beta", "kalman_alpha"),
        constant(2),
        kalman_beta,
        needs_benchmark=True,
    ),
)
