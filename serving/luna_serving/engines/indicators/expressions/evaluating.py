"""Values of an expression over the bars of one symbol."""

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.indicators import bars as price_bars
from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.compute import InputMissing, compute
from luna_serving.engines.indicators.gaps import Gaps, histories

from .expression import Expression
from .tree import Binary, Column, Constant, Cross, Lag, Negation, Node, Not, Output, Use, Where

Values = NDArray[np.float64]
"""Numbers, or conditions as 1 and 0; NaN is null. Of shape [T], constants of shape []."""

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    }
)


def evaluate(
    expression: Expression, bars: Bars, *, gaps: Gaps = Gaps.SKIP, anchor: np.datetime64 | None = None
) -> price_bars.Column:
    """The value at each bar, [T]; conditions as 1 and 0; NaN where there is no value, never an infinity.

    A value depends on its bar and earlier ones only. Null are: the first `lookback` bars; arithmetic and comparisons
    with a null operand; a division by zero and an overflow; `where` with a null condition. `and` and `or` follow SQL:
    `false and null` is false, `true or null` is true.

    An indicator, `lag` and `cross_over` treat nulls of their inputs as gaps, each on its own, so that a call has the
    same values inside an expression as alone: with `Gaps.SKIP`, `close - lag(close, 1)` is `mom(close, 1)` across a
    gap, too. `anchor` is where indicators that take one begin to count.

    Raises:
        InputMissing: the bars lack a column that the expression reads.
    """
    with np.errstate(all="ignore"):
        return np.array(_Evaluation(bars, gaps, anchor).values(expression.root))


class _Evaluation:
    """One pass over a tree. Equal calls of an indicator are computed once."""

    def __init__(self, bars: Bars, gaps: Gaps, anchor: np.datetime64 | None) -> None:
        self._bars = bars
        self._gaps = gaps
        self._anchor = anchor
        self._uses: dict[Use, Mapping[str, Values]] = {}

    def values(self, node: Node) -> Values:
        match node:
            case Constant(value):
                return np.asarray(value)
            case Column(name):
                return self._column(name)
            case Negation(operand):
                return -self.values(operand)
            case Not(operand):
                return 1 - self.values(operand)
            case Binary():
                return self._binary(node)
            case Where():
                return self._where(node)
            case Lag(operand, bars):
                return self._over_gaps([self.values(operand)], lambda of: _lagged(of[0], bars))
            case Cross():
                left, right = np.broadcast_arrays(self.values(node.left), self.values(node.right))
                return self._over_gaps([left, right], lambda of: _crossed(of[0], of[1], over=node.over))
            case Output(of, name):
                return self._outputs(of)[name]

    def _column(self, name: str) -> Values:
        column = self._bars.column(name)
        if column is None:
            raise InputMissing(name, "the expression reads this column")
        return column

    def _binary(self, node: Binary) -> Values:
        left, right = self.values(node.left), self.values(node.right)
        match node.operator:
            case "and":
                # Minima and maxima of 0 and 1; NaN gives way to the number that decides.
                decided = np.where((left == 0) | (right == 0), 0.0, np.minimum(left, right))
                return self._after_start(decided, node.lookback)
            case "or":
                decided = np.where((left == 1) | (right == 1), 1.0, np.maximum(left, right))
                return self._after_start(decided, node.lookback)
            case "+" | "-" | "*" | "/" as sign:
                result = _OPERATORS[sign](left, right)
                return np.where(np.isfinite(result), result, np.nan)
            case comparison:
                known = ~(np.isnan(left) | np.isnan(right))
                return np.where(known, _OPERATORS[comparison](left, right), np.nan)

    def _where(self, node: Where) -> Values:
        condition = self.values(node.condition)
        chosen = np.where(condition == 1, self.values(node.then), self.values(node.otherwise))
        return self._after_start(np.where(np.isnan(condition), np.nan, chosen), node.lookback)

    def _outputs(self, use: Use) -> Mapping[str, Values]:
        if use not in self._uses:
            bars, benchmark = self._bars, None
            if use.inputs:
                [column] = use.indicator.inputs
                bars = self._bars.with_column(column, self.values(use.inputs[0]))
                if len(use.inputs) > 1:
                    benchmark = self._bars.with_column(column, self.values(use.inputs[1]))
            self._uses[use] = compute(
                use.indicator, dict(use.params), bars, gaps=self._gaps, anchor=self._anchor, benchmark=benchmark
            )
        return self._uses[use]

    def _over_gaps(self, inputs: Sequence[Values], run: Callable[[Sequence[Values]], Values]) -> Values:
        """Run a windowed formula as `compute` does: within histories that have no nulls."""
        values = np.full(len(self._bars), np.nan)
        missing = np.logical_or.reduce([np.isnan(column) for column in inputs])
        for part in histories(missing, self._gaps, recursive=False):
            values[part] = run([column[part] for column in inputs])
        return values

    @staticmethod
    def _after_start(values: Values, lookback: int) -> Values:
        """Null before all parts can have a value, even where one part alone decides."""
        values = np.array(values)
        values[:lookback] = np.nan
        return values


def _lagged(values: Values, bars: int) -> Values:
    lagged = np.full(len(values), np.nan)
    lagged[bars:] = values[: len(values) - bars] if bars <= len(values) else []
    return lagged


def _crossed(left: Values, right: Values, *, over: bool) -> Values:
    above, below = (left, right) if over else (right, left)
    crossed = np.full(len(left), np.nan)
    crossed[1:] = (above[1:] > below[1:]) & (above[:-1] <= below[:-1])
    return crossed
