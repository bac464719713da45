"""Structural time series: a sum of components, each with a meaning (Harvey 1989; Durbin & Koopman 2012, ch. 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.checks import ModelError, variance
from luna_serving.statespace.initial import Blocks, Diffuse, Initial
from luna_serving.statespace.kinds.fields import OBS_VAR, refuse_more_states, told_by
from luna_serving.statespace.kinds.structural_parts import (
    Block,
    autoregression,
    cycle,
    freq_seasonal,
    level_and_trend,
    regression,
    seasonal,
)
from luna_serving.statespace.model import Model

Words = Mapping[str, Any]


def structural(
    *,
    obs_var: float = 0.0,
    level: Words | None = None,
    trend: Words | None = None,
    seasonal: Words | None = None,
    freq_seasonal: Sequence[Words] = (),
    cycle: Words | None = None,
    ar: Words | None = None,
    regression: Words | None = None,
    initial: Initial | None = None,
) -> Model:
    """The sum of the components that are given, plus noise of `obs_var`, as statsmodels' `UnobservedComponents`.

    Args:
        obs_var: variance of the irregular component.
        level: {"var"}; {} is a constant.
        trend: {"var"}; {} is a constant slope.
        seasonal: {"period", "var"}, by dummies.
        freq_seasonal: each {"period", "harmonics", "var"}, by sines and cosines.
        cycle: {"period", "damping", "var"}.
        ar: {"coefficients", "var"}.
        regression: {"regressors", "var"}; regressors one row a period, the forecast's periods included.
        initial: None starts an autoregression and a damped cycle stationary and all else exact diffuse.
    """
    obs = variance("/obs_var", obs_var)
    blocks = _blocks(level, trend, seasonal, freq_seasonal, cycle, ar, regression, stationary=initial is None)
    states = sum(len(block.names) for block in blocks)
    largest = max(blocks, key=lambda block: len(block.names))
    refuse_more_states(largest.pointer, states, "leave components out, or make this one smaller")
    starts = tuple((len(block.names), block.start) for block in blocks)
    default = Diffuse() if all(isinstance(each, Diffuse) for _, each in starts) else Blocks(starts)
    to_blame = {f"/initial/parts/{i}": block.pointer for i, block in enumerate(blocks)} if initial is None else {}
    with told_by({**OBS_VAR, "/design": "/regression/regressors", **to_blame}):
        return Model(
            transition=_transition(blocks, states),
            design=_design(blocks),
            obs_cov=np.full((1, 1), obs),
            state_cov=np.diag([var for block in blocks for var in block.variances] or [0.0]),
            selection=_selection(blocks, states),
            initial=initial or default,
            state_names=tuple(name for block in blocks for name in block.names),
            varies_by="/regression/regressors",
        )


def _blocks(
    level: Words | None,
    trend: Words | None,
    dummies: Words | None,
    waves: Sequence[Words],
    wave: Words | None,
    ar: Words | None,
    regressors: Words | None,
    *,
    stationary: bool,
) -> list[Block]:
    """In the order of statsmodels' states."""
    blocks = []
    if level is not None or trend is not None:
        blocks.append(level_and_trend(level, trend))
    if dummies is not None:
        blocks.append(seasonal(dummies))
    blocks += [freq_seasonal(i, each) for i, each in enumerate(waves)]
    if wave is not None:
        blocks.append(cycle(wave))
    if ar is not None:
        blocks.append(autoregression(ar, starts_stationary=stationary))
    if regressors is not None:
        blocks.append(regression(regressors))
    if not blocks:
        raise ModelError("", "needs a component: level, seasonal, freq_seasonal, cycle, ar or regression")
    return blocks


def _design(blocks: Sequence[Block]) -> NDArray[np.float64]:
    """[1, n], or [T, 1, n] with regressors."""
    rows = np.broadcast_shapes(*(block.design.shape[:-1] for block in blocks))
    parts = [np.broadcast_to(block.design, (*rows, block.design.shape[-1])) for block in blocks]
    return np.concatenate(parts, axis=-1)[..., None, :]


def _transition(blocks: Sequence[Block], states: int) -> NDArray[np.float64]:
    """[n, n]: each block on the diagonal."""
    whole = np.zeros((states, states))
    first = 0
    for block in blocks:
        here = slice(first, first + len(block.names))
        whole[here, here] = block.transition
        first += len(block.names)
    return whole


def _selection(blocks: Sequence[Block], states: int) -> NDArray[np.float64]:
    """[n, r]: a column a shock; one of zeros where there is none."""
    first, shocked = 0, []
    for block in blocks:
        shocked += [first + state for state in block.shocked]
        first += len(block.names)
    return np.eye(states)[:, shocked] if shocked else np.zeros((states, 1))
