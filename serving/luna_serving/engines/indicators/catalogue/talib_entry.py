"""Entries whose formula is a function of TA-Lib."""

import inspect
from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import talib
from numpy.typing import NDArray

from luna_serving.engines.indicators.bars import Column
from luna_serving.engines.indicators.catalogue.entry import (
    Constraint,
    Group,
    Indicator,
    Lookback,
    Parameter,
    Stability,
)
from luna_serving.engines.indicators.formula import Formula, Params

LONGEST: Final = 100_000
"""The longest period that TA-Lib accepts."""
LARGEST: Final = 3e37
"""The largest real number that TA-Lib accepts."""
# TA-Lib writes the periods of stochastics with an underscore, as we do.
UNCHANGED: Final = frozenset({"fastk_period", "fastd_period", "slowk_period", "slowd_period"})


def period(default: int, least: int = 2, name: str = "period") -> Parameter:
    """A number of bars."""
    return Parameter(name, "integer", default, least, LONGEST)


def number(name: str, default: float, least: float, most: float) -> Parameter:
    """A real number."""
    return Parameter(name, "number", default, least, most)


def talib_name(name: str) -> str:
    """A parameter's name in TA-Lib's Python functions: `timeperiod` for `period`, `nbdevup` for `nbdev_up`."""
    if name in UNCHANGED:
        return name
    return ("time" + name if name.startswith("period") else name).replace("_", "")


def of_talib(
    function: str,
    title: str,
    group: Group,
    inputs: tuple[str, ...],
    stability: Stability,
    lookback: Lookback,
    parameters: tuple[Parameter, ...] = (),
    outputs: tuple[str, ...] = (),
    *,
    name: str | None = None,
    constraints: tuple[Constraint, ...] = (),
    takes_anchor: bool = False,
) -> Indicator:
    """The entry of a TA-Lib function; its name is TA-Lib's in lower case, and so is a single output."""
    own = name or function.lower()
    return Indicator(
        name=own,
        title=title,
        group=group,
        inputs=inputs,
        parameters=parameters,
        outputs=outputs or (own,),
        stability=stability,
        lookback_rule=lookback,
        formula=talib_formula(function, parameters, lookback),
        constraints=constraints,
        takes_anchor=takes_anchor,
    )


def talib_formula(function: str, parameters: tuple[Parameter, ...], lookback: Lookback) -> Formula:
    """A TA-Lib function as a formula.

    TA-Lib writes 0 before the first value of an integer output: those become NaN.
    """
    # Without the wheel's wrapper for data frames, which costs as much as a short history's computation.
    call = inspect.unwrap(getattr(talib, function))
    names = [(each.name, talib_name(each.name)) for each in parameters]

    def formula(columns: Sequence[Column], params: Params) -> Sequence[Column]:
        answer = call(*columns, **{theirs: params[ours] for ours, theirs in names})
        return [
            _real(column, int(lookback.of(params))) for column in (answer if isinstance(answer, tuple) else (answer,))
        ]

    return formula


def _real(column: NDArray[np.float64] | NDArray[np.int32], lookback: int) -> Column:
    if column.dtype == np.float64:
        return cast("Column", column)
    real = column.astype(np.float64)
    real[:lookback] = np.nan
    return real
