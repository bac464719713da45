"""Structural time series: a sum of components, each with a meaning (Harvey 1989; Durbin & Koopman 2012, ch. 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from luna_serving.engines.statespace.kinds import blocks
from luna_serving.engines.statespace.kinds.blocks import Block
from luna_serving.engines.statespace.kinds.fields import OBS_VAR, pointing_to, refuse_more_states
from luna_serving.engines.statespace.kinds.regressors import regression as regression_block
from luna_serving.engines.statespace.kinds.structural_parts import (
    autoregression,
    cycle,
    freq_seasonal,
    level_and_trend,
    refuse_more_periods,
    seasonal,
)
from luna_serving.engines.statespace.model.checks import ModelError, variance
from luna_serving.engines.statespace.model.initial import Blocks, Diffuse, Initial, Stationary
from luna_serving.engines.statespace.model.model import Model

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
    periods: int = 1,
    initial: Initial | None = None,
) -> Model:
    """The sum of the components that are given, plus noise of `obs_var`, as statsmodels' `UnobservedComponents`.

    Args:
        obs_var: variance of the irregular component.
        level: {"var"}; {} is a constant.
        trend: {"var"}; {} is a constant slope.
        seasonal: {"period", "duration", "var"}, by dummies.
        freq_seasonal: each {"period", "harmonics", "var"}, by sines and cosines.
        cycle: {"period", "damping", "var"}.
        ar: {"coefficients", "var"}.
        regression: {"regressors", "var"}; regressors one row per period, the forecast's periods included.
        periods: how many a seasonal with a duration covers, those to forecast included; where there are regressors, as
            many as they.
        initial: None starts an autoregression and a damped cycle stationary and all else exact diffuse.
    """
    obs = variance("/obs_var", obs_var)
    by_kind = initial is None or isinstance(initial, Stationary)
    explained = [] if regression is None else [regression_block(regression)]
    covered = len(explained[0].design) if explained else periods
    components = _components(level, trend, seasonal, covered, freq_seasonal, cycle, ar, stationary=by_kind) + explained
    if not components:
        raise ModelError("", "needs a component: level, seasonal, freq_seasonal, cycle, ar or regression")
    states = sum(len(block.names) for block in components)
    largest = max(components, key=lambda block: len(block.names))
    refuse_more_states(largest.pointer, states, "leave components out, or make this one smaller")
    if any(block.transition.ndim == 3 for block in components):
        refuse_more_periods(covered, states)
    scales = {f"/initial/blocks/{i}/cov": block.scale for i, block in enumerate(components)} if by_kind else {}
    with pointing_to({**OBS_VAR, "/design": "/regression/regressors", **scales}):
        return Model(
            transition=blocks.transition(components),
            transition_rest=blocks.transition_rest(components),
            design=blocks.design(components),
            obs_cov=np.full((1, 1), obs),
            state_cov=blocks.state_cov(components),
            selection=blocks.selection(components),
            initial=_start(components, initial),
            state_names=blocks.names(components),
            varies_by="/seasonal/duration" if regression is None else "/regression/regressors",
            unknown_periods=blocks.unknown(components),
        )


def _start(components: Sequence[Block], initial: Initial | None) -> Initial:
    """The components' own starts, unless another one was given; exact where all of them are stationary."""
    starts = tuple((len(block.names), block.start) for block in components)
    diffuse = [isinstance(start, Diffuse) for _, start in starts]
    if initial is None:
        return Diffuse() if all(diffuse) else Blocks(starts)
    return Blocks(starts) if isinstance(initial, Stationary) and not any(diffuse) else initial


def _components(
    level: Words | None,
    trend: Words | None,
    dummies: Words | None,
    periods: int,
    waves: Sequence[Words],
    wave: Words | None,
    ar: Words | None,
    *,
    stationary: bool,
) -> list[Block]:
    """In the order of statsmodels' states."""
    found = []
    if level is not None or trend is not None:
        found.append(level_and_trend(level, trend))
    if dummies is not None:
        found.append(seasonal(dummies, periods))
    found += [freq_seasonal(i, each) for i, each in enumerate(waves)]
    if wave is not None:
        found.append(cycle(wave))
    if ar is not None:
        found.append(autoregression(ar, starts_stationary=stationary))
    return found
