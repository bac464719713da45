"""The form that all formulas have."""

from collections.abc import Callable, Mapping, Sequence

from luna_serving.engines.indicators.bars import Column

Params = Mapping[str, int | float]
Formula = Callable[[Sequence[Column], Params], Sequence[Column]]
"""From input columns [T], T >= 1, without a NaN, to output columns [T] with NaN before the first value."""
Work = tuple[Sequence[Column], Params]
"""What a formula takes."""
BatchFormula = Callable[[Sequence[Work]], Sequence[Sequence[Column]]]
"""A formula that computes many series in one call."""
