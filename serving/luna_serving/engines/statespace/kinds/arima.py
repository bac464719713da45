"""Seasonal ARIMA with its differences inside the state, so that levels are filtered and forecast."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.kinds import blocks
from luna_serving.engines.statespace.kinds.arma_moments import Lags, arma_moments
from luna_serving.engines.statespace.kinds.blocks import Block
from luna_serving.engines.statespace.kinds.fields import pointing_to, refuse_more_states
from luna_serving.engines.statespace.kinds.lag_polynomials import coefficients, product, require_stationary
from luna_serving.engines.statespace.kinds.polynomial_trend import polynomial_trend
from luna_serving.engines.statespace.kinds.regressors import AT
from luna_serving.engines.statespace.kinds.regressors import regression as regression_block
from luna_serving.engines.statespace.model.checks import ModelError, magnitude, variance
from luna_serving.engines.statespace.model.initial import Blocks, Diffuse, Initial, Known, Stationary
from luna_serving.engines.statespace.model.model import MAX_STATES, Model

Floats = NDArray[np.float64]
LONGEST_PERIOD: Final = 1_000_000
# Numbers: 32 MB. A trend needs no rows in the request, which would bound it otherwise.
LARGEST_DESIGN: Final = 4_000_000
TOO_LONG: Final = (
    "a long season is better described by a few harmonics: freq_seasonal of kind structural, or sines and cosines as "
    "regressors"
)


def arima(
    *,
    order: Sequence[int],
    var: float,
    seasonal_order: Sequence[int] = (0, 0, 0, 0),
    ar: Sequence[float] = (),
    ma: Sequence[float] = (),
    seasonal_ar: Sequence[float] = (),
    seasonal_ma: Sequence[float] = (),
    intercept: float = 0.0,
    obs_var: float = 0.0,
    regression: Mapping[str, Any] | None = None,
    trend: Sequence[int] = (),
    periods: int = 1,
    initial: Initial | None = None,
) -> Model:
    """y[t] = regressors[t] · beta + trend(t) + z[t] + error of measurement, where z is a seasonal ARIMA process.

    (1 - ar L ...)(1 - seasonal_ar L^s ...) (1 - L)^d (1 - L^s)^D z[t] = intercept + (1 + ma L ...)(1 + ...) e[t].

    The representation is Harvey's (1989, p. 170; Durbin & Koopman 2012, section 3.4), the signs, the order of the
    states (d differences, D·s seasonal ones, then max(p + P·s, q + Q·s + 1) of the ARMA part) and the matrices those
    of statsmodels' `SARIMAX`. The regression explains the level of y, as `SARIMAX`'s `exog` and R's `arima(xreg=)`;
    so does the trend, where `SARIMAX` adds its `trend` to the differenced series instead.

    Args:
        order: p, d, q.
        var: of e.
        seasonal_order: P, D, Q and the period s.
        ar: p coefficients.
        ma: q coefficients.
        seasonal_ar: P coefficients.
        seasonal_ma: Q coefficients.
        intercept: of the differenced series: a drift where d = 1.
        obs_var: of an error of measurement besides.
        regression: {"regressors", "var"}; a state for each coefficient, after those of z.
        trend: powers of t = 0, 1, 2, ..., counted from the first period; a state for each coefficient, after those
            of the regression.
        periods: how many the trend covers, those to forecast included; where there are regressors, as many as they.
        initial: None starts the differences, coefficients and trend exact diffuse and the ARMA part stationary.
    """
    p, d, q = _orders("/order", order, 3)
    seasonal_p, seasonal_d, seasonal_q, s = _orders("/seasonal_order", seasonal_order, 4)
    if max(seasonal_p, seasonal_d, seasonal_q) and s < 2:
        raise ModelError("/seasonal_order/3", f"is the period and must be at least 2; got {s}")
    differences = d + seasonal_d * s
    k = max(p + seasonal_p * s, q + seasonal_q * s + 1)
    seasonal = seasonal_p or seasonal_d or seasonal_q
    refuse_more_states(
        "/seasonal_order" if seasonal else "/order", differences + k, TOO_LONG if seasonal else "use lower orders"
    )
    explained = [] if regression is None else [regression_block(regression)]
    covered = len(explained[0].design) if explained else periods
    explained += polynomial_trend(trend, d + seasonal_d, covered)
    n = differences + k + sum(len(block.names) for block in explained)
    refuse_more_states(AT if regression else "/trend", n, "use fewer regressors, or lower orders")
    if trend and periods * n > LARGEST_DESIGN:
        most = LARGEST_DESIGN // n
        raise ModelError("/trend", f"covers {periods} periods of {n} states; at most {most} are supported: split them")
    lags = product(
        coefficients("/ar", ar, p, "order[0]"),
        coefficients("/seasonal_ar", seasonal_ar, seasonal_p, "seasonal_order[0]"),
        s,
        -1.0,
    )
    errors = product(
        coefficients("/ma", ma, q, "order[2]"),
        coefficients("/seasonal_ma", seasonal_ma, seasonal_q, "seasonal_order[2]"),
        s,
        1.0,
    )
    transition = _differencing(d, seasonal_d, s, differences + k)
    transition[differences:, differences:] = np.eye(k, k=1)
    transition[differences : differences + len(lags), differences] = lags
    state_intercept = np.zeros(n)
    state_intercept[differences] = magnitude("/intercept", intercept)
    design = _design(d, seasonal_d, s, k)
    parts = [Block("/order", _names(d, seasonal_d, s, k), transition, design), *explained]
    walks = [var for block in explained for var in block.variances]
    selection = np.zeros((n, 1 + len(walks)))
    selection[differences] = np.eye(1, 1 + len(walks))
    selection[differences + 1 : differences + 1 + len(errors), 0] = errors
    if walks:
        selection[:, 1:] = blocks.selection(parts)
    shocks = [variance("/var", var), *walks]
    by_kind = initial is None or (isinstance(initial, Stationary) and n == k)
    if initial is None or by_kind:
        require_stationary("/ar", ar)
        require_stationary("/seasonal_ar", seasonal_ar)
        initial = _start(differences, Lags(ar, ma, seasonal_ar, seasonal_ma, s), k, shocks[0], intercept, explained)
    at = f"/initial/blocks/{int(differences > 0)}"
    scales = {f"{at}/cov": "/var", f"{at}/mean": "/intercept"} if by_kind else {}
    # Noise of measurement is rare: where nothing varies, it is `var` that is missing.
    pointers = {"/obs_cov": "/var", "/transition": "/ar", "/selection": "/ma", "/state_cov": "/var", "/design": AT}
    with pointing_to(pointers | scales):
        return Model(
            transition=blocks.transition(parts),
            design=blocks.design(parts),
            obs_cov=np.full((1, 1), variance("/obs_var", obs_var)),
            state_cov=np.diag(shocks),
            selection=selection,
            state_intercept=state_intercept,
            initial=initial,
            state_names=blocks.names(parts),
            varies_by=AT if regression else "/trend",
            unknown_periods=blocks.unknown(parts),
        )


def _start(
    differences: int, lags: Lags, states: int, var: float, intercept: float, explained: Sequence[Block]
) -> Blocks:
    """Diffuse differences, the stationary ARMA part, and what the regressors and the trend start from."""
    mean, cov = arma_moments(lags, states)
    arma = (states, Known(intercept * mean, var * cov))
    diffuse = ((differences, Diffuse()),) if differences else ()
    return Blocks((*diffuse, arma, *((len(block.names), block.start) for block in explained)))


def _orders(pointer: str, values: Sequence[int], count: int) -> list[int]:
    if len(values) != count:
        raise ModelError(pointer, f"must hold {count} whole numbers; got {len(values)}")
    for i, value in enumerate(values):
        most = LONGEST_PERIOD if i == 3 else MAX_STATES
        if value != int(value) or not 0 <= value <= most:
            raise ModelError(f"{pointer}/{i}", f"must be a whole number from 0 to {most}; got {value:g}")
    return [int(value) for value in values]


def _season(s: int) -> Floats:
    """What a run of seasonal differences adds to the level: its last value."""
    return np.eye(1, s, s - 1)[0] if s else np.zeros(0)


def _design(d: int, seasonal_d: int, s: int, k: int) -> Floats:
    """[n]: the level is the sum of its differences and of the ARMA part's first state."""
    return np.concatenate([np.ones(d), np.tile(_season(s), seasonal_d), np.eye(1, k)[0]])


def _differencing(d: int, seasonal_d: int, s: int, n: int) -> Floats:
    """The rows [n, n] that undo (1 - L)^d and (1 - L^s)^D; zeros below them."""
    arma = d + seasonal_d * s
    transition = np.zeros((n, n))
    transition[:d, :d] = np.triu(np.ones((d, d)))
    transition[:d, d:arma] = np.tile(_season(s), seasonal_d)
    transition[:d, arma] = 1.0
    for first in range(d, arma, s or 1):
        run = slice(first, first + s)
        transition[run, run] = np.eye(s, k=-1)
        # Each difference is the one s steps ago plus all of the higher differences.
        transition[first, first + s - 1 : arma : s] = 1.0
        transition[first, arma] = 1.0
    return transition


def _names(d: int, seasonal_d: int, s: int, k: int) -> tuple[str, ...]:
    return (
        *(f"diff.{i}" for i in range(d)),
        *(f"seasonal_diff.{i}.L{j}" for i in range(seasonal_d) for j in range(s)),
        *(f"arma.{i}" for i in range(k)),
    )
