"""Adjustment of prices and volume for splits and dividends. Pure.

The convention of CRSP ("Data Descriptions Guide: Stock & Index", factors to adjust prices and shares) and of Yahoo
Finance's adjusted close: history is expressed in today's shares, so the newest bars stay as they were traded.

- A split of r new shares for one old one divides the prices before its ex-date by r and multiplies the volume by r.
- A cash dividend D with ex-date t multiplies the prices before t by 1 - D / C, where C is the close of the last bar
  before t, as it was traded. Returns across t are then total returns. Volume is not changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.indicators.bars import Bars
from luna_serving.prices.located import ActionKind, Adjust, CorporateAction


@dataclass(frozen=True, slots=True)
class _Step:
    """What an action does to the bars before it."""

    before: int
    """Number of these bars."""
    splits: float
    dividends: float


def adjusted(bars: Bars, actions: Sequence[CorporateAction], adjust: Adjust) -> Bars:
    """Bars adjusted for corporate actions; the same bars if none has an effect.

    Each value is divided once by a product of split ratios and multiplied once by a product of dividend factors, so its
    relative error is at most (actions + 2) units of rounding; for splits by powers of two it is zero.

    Args:
        bars: as they were traded, the whole history.
        actions: of the instrument, in any order. Those after the last bar have no effect yet.
        adjust: for what.
    """
    steps = [] if adjust is Adjust.NONE else _steps(bars, actions, adjust)
    if not steps:
        return bars
    size = len(bars)
    splits, dividends = np.ones(size), np.ones(size)
    ratio = factor = 1.0
    end = size
    for step in sorted(steps, key=lambda each: -each.before):
        splits[step.before : end], dividends[step.before : end] = ratio, factor
        ratio, factor, end = ratio * step.splits, factor * step.dividends, step.before
    splits[:end], dividends[:end] = ratio, factor
    return Bars(
        bars.timestamps,
        _price(bars.open, splits, dividends),
        _price(bars.high, splits, dividends),
        _price(bars.low, splits, dividends),
        _price(bars.close, splits, dividends),
        None if bars.volume is None else bars.volume * splits,
    )


def _price(
    values: NDArray[np.float64] | None, splits: NDArray[np.float64], dividends: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    return None if values is None else values / splits * dividends


def _steps(bars: Bars, actions: Sequence[CorporateAction], adjust: Adjust) -> list[_Step]:
    steps = []
    for action in actions:
        before = int(np.searchsorted(bars.timestamps, np.datetime64(action.ex_date, "us"), "left"))
        if before in (0, len(bars)):
            # Nothing lies before it, or it has not happened within these bars.
            continue
        if action.kind is ActionKind.SPLIT:
            steps.append(_Step(before, action.value, 1.0))
        elif adjust is Adjust.ALL and (close := _last_close(bars, before)) is not None and action.value < close:
            steps.append(_Step(before, 1.0, 1.0 - action.value / close))
    return steps


def _last_close(bars: Bars, before: int) -> float | None:
    """The close of the last bar that has one, of the first `before` bars."""
    if bars.close is None:
        return None
    there = np.flatnonzero(~np.isnan(bars.close[:before]))
    return float(bars.close[there[-1]]) if there.size else None
