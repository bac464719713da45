"""A formula of a request, made ready: what answers say of it, and how it is computed over bars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from luna_serving.capabilities.indicators.jobs.tasks import Formula
from luna_serving.capabilities.indicators.rendering.pieces import OWN
from luna_serving.engines.indicators.bars import Bars, Column
from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.compute import columns
from luna_serving.engines.indicators.expressions import evaluate, parse
from luna_serving.engines.indicators.gaps import Gaps


@dataclass(frozen=True, slots=True)
class Prepared:
    """A formula that is checked and parsed, for many histories."""

    outputs: tuple[str, ...]
    """`OWN` for an account's own indicator."""
    lookback: int
    stability: str
    lines: Callable[[Bars, Bars | None], Sequence[Column]]
    """Its outputs over all bars [T], given a benchmark's bars if it has one. What is not finite is null.

    Raises InputMissing: the bars lack a column that it reads.
    """


def prepared(formula: Formula) -> Prepared:
    """Make a formula ready."""
    gaps = Gaps(formula.gaps)
    anchor = None if formula.anchor is None else _instant(formula.anchor)
    if formula.expression is not None:
        expression = parse(formula.expression)
        return Prepared(
            (OWN,),
            expression.lookback,
            expression.stability.value,
            lambda bars, _: [evaluate(expression, bars, gaps=gaps, anchor=anchor)],
        )
    indicator, params = CATALOGUE[formula.name], dict(formula.params)
    return Prepared(
        indicator.outputs,
        int(indicator.lookback(params)),
        indicator.stability.value,
        lambda bars, benchmark: columns(indicator, params, bars, gaps=gaps, anchor=anchor, benchmark=benchmark),
    )


def _instant(at: datetime) -> np.datetime64:
    return np.datetime64(at.replace(tzinfo=None), "us")
