"""Kalman filters as indicators: means given the bars so far (filtered, never smoothed), from an exact diffuse start.

Variances are parameters: fitted to a history, they would let early values know later bars.

The state-space engine cuts series into chunks of known lengths, so that no length compiles anything, and filters many
series in one call. It loads JAX: a process that computes these calls `prepare` at the start. The plan is
forced, since the engine's own choice depends on a series' neighbours in a call, and plans differ in the last digits.
"""

from collections.abc import Sequence
from itertools import starmap

import numpy as np

from luna_serving.engines.indicators.bars import Column
from luna_serving.engines.indicators.formula import Params, Work
from luna_serving.engines.statespace.api.description import KINDS, Model

COMPILED_BARS = (30, 600)
"""A history of one chunk and one of several: they compile all that other lengths run."""


def prepare() -> None:
    """Let the process compute in float64. Call it at the start, before anything of JAX's runs."""
    from luna_serving.engines.statespace.api.compute import configure_jax

    configure_jax()


def compile_ahead() -> None:
    """Compile the programs of the three filters, after `prepare`."""
    for bars in COMPILED_BARS:
        close = np.arange(bars, dtype=np.float64) % 7 + 100
        kalman_level([([close], {"obs_var": 1.0, "level_var": 0.1})])
        kalman_trend([([close], {"obs_var": 1.0, "level_var": 0.1, "trend_var": 0.01})])
        kalman_beta([([close, close], {"obs_var": 1e-4, "beta_var": 1e-3, "alpha_var": 1e-8})])


def kalman_level(works: Sequence[Work]) -> Sequence[Sequence[Column]]:
    """The level of a local level model (Durbin & Koopman 2012, eq. 2.3) of the close."""
    models = [KINDS["local_level"](**params) for _, params in works]
    series = [columns[0] for columns, _ in works]
    return [[states[:, 0]] for states in _filtered(series, models)]


def kalman_trend(works: Sequence[Work]) -> Sequence[Sequence[Column]]:
    """The level, and the trend per bar, of a local linear trend model (eq. 3.2) of the close."""
    models = [KINDS["local_linear_trend"](**params) for _, params in works]
    series = [columns[0] for columns, _ in works]
    answers = []
    for states in _filtered(series, models):
        # One bar says nothing about a trend.
        states[:1] = np.nan
        answers.append([states[:, 0], states[:, 1]])
    return answers


def kalman_beta(works: Sequence[Work]) -> Sequence[Sequence[Column]]:
    """Beta and alpha of close returns on the benchmark's close returns, both of which walk at random.

    y[t] = alpha[t] + beta[t] x[t] + e[t] with simple returns y and x: a regression with moving coefficients (Durbin &
    Koopman 2012, section 3.6). Null until two different returns of the benchmark have been seen, which is as long as
    the start is diffuse.
    """
    returns = list(starmap(_returns, works))
    known = [place for place, (y, _) in enumerate(returns) if len(y)]
    models = [_regression(returns[place][1], works[place][1]) for place in known]
    states = dict(zip(known, _filtered([returns[place][0] for place in known], models), strict=True))
    answers = []
    for place, (columns, _) in enumerate(works):
        lines = np.full((2, len(columns[0])), np.nan)
        if place in states:
            y, x = returns[place]
            seen = np.flatnonzero(~np.isnan(y))
            other = seen[x[seen] != x[seen[:1]]]
            if len(other):
                lines[:, 1 + other[0] :] = states[place][other[0] :].T
        answers.append([*lines])
    return answers


def _returns(columns: Sequence[Column], _: Params) -> tuple[Column, Column]:
    """Simple returns of the close and of the benchmark; where one does not exist, NaN and zero: a missing period."""
    with np.errstate(divide="ignore", invalid="ignore"):
        y, x = (column[1:] / column[:-1] - 1 for column in columns)
    missing = ~(np.isfinite(y) & np.isfinite(x))
    return np.where(missing, np.nan, y), np.where(missing, 0.0, x)


def _regression(x: Column, params: Params) -> Model:
    return Model(
        transition=np.eye(2),
        design=np.stack([x, np.ones_like(x)], axis=-1)[:, None, :],
        obs_cov=np.full((1, 1), params["obs_var"]),
        state_cov=np.diag([params["beta_var"], params["alpha_var"]]),
        state_names=("beta", "alpha"),
    )


def _filtered(series: Sequence[Column], models: Sequence[Model]) -> list[Column]:
    """Filtered states [T, n] of each series; NaN where the numbers overflow."""
    from luna_serving.engines.statespace.api.compute import Options, filter_batch

    if not series:
        return []
    batch = filter_batch(
        list(zip(series, models, strict=True)), "means", options=Options(algorithm="per_series", precision="float64")
    )
    return [np.where(each.finite, each.filtered_state, np.nan) for each in batch.series]
