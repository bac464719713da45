"""Seasonal ARIMA with its differences inside the state, so that levels are filtered and forecast."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.checks import ModelError, magnitude, variance
from luna_serving.statespace.initial import Blocks, Diffuse, Initial, Stationary
from luna_serving.statespace.kinds.fields import refuse_more_states, told_by
from luna_serving.statespace.kinds.lag_polynomials import coefficients, product, require_stationary
from luna_serving.statespace.model import MAX_STATES, Model

Floats = NDArray[np.float64]


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
    initial: Initial | None = None,
) -> Model:
    """(1 - ar L ...)(1 - seasonal_ar L^s ...) (1 - L)^d (1 - L^s)^D y[t] = intercept + (1 + ma L ...)(1 + ...) e[t].

    The representation is Harvey's (1989, p. 170; Durbin & Koopman 2012, section 3.4), the signs, the order of the
    states (d differences, D·s seasonal ones, then max(p + P·s, q + Q·s + 1) of the ARMA part) and the matrices those
    of statsmodels' `SARIMAX`.

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
        initial: None starts the differences exact diffuse and the ARMA part stationary.
    """
    p, d, q = _orders("/order", order, 3)
    seasonal_p, seasonal_d, seasonal_q, s = _orders("/seasonal_order", seasonal_order, 4)
    if max(seasonal_p, seasonal_d, seasonal_q) and s < 2:
        raise ModelError("/seasonal_order/3", f"is the period and must be at least 2; got {s}")
    differences = d + seasonal_d * s
    k = max(p + seasonal_p * s, q + seasonal_q * s + 1)
    seasonal = seasonal_p or seasonal_d or seasonal_q
    refuse_more_states(
        "/seasonal_order" if seasonal else "/order", differences + k, "take a shorter period or lower orders"
    )
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
    if initial is None:
        require_stationary("/ar", ar)
        require_stationary("/seasonal_ar", seasonal_ar)
    n = differences + k
    transition = _differencing(d, seasonal_d, s, n)
    transition[differences:, differences:] = np.eye(k, k=1)
    transition[differences : differences + len(lags), differences] = lags
    selection = np.zeros((n, 1))
    selection[differences] = 1.0
    selection[differences + 1 : differences + 1 + len(errors), 0] = errors
    state_intercept = np.zeros(n)
    state_intercept[differences] = magnitude("/intercept", intercept)
    arma: tuple[int, Diffuse | Stationary] = (k, Stationary())
    default = Blocks(((differences, Diffuse()), arma)) if differences else Stationary()
    start = {"/initial": "/ar", "/initial/parts/1": "/ar"} if initial is None else {}
    # Noise of measurement is rare: where nothing varies, it is `var` that is missing.
    with told_by({"/obs_cov": "/var", "/transition": "/ar", "/selection": "/ma", "/state_cov": "/var", **start}):
        return Model(
            transition=transition,
            design=_design(d, seasonal_d, s, k),
            obs_cov=np.full((1, 1), variance("/obs_var", obs_var)),
            state_cov=np.full((1, 1), variance("/var", var)),
            selection=selection,
            state_intercept=state_intercept,
            initial=initial or default,
            state_names=_names(d, seasonal_d, s, k),
        )


def _orders(pointer: str, values: Sequence[int], count: int) -> list[int]:
    if len(values) != count:
        raise ModelError(pointer, f"must hold {count} whole numbers; got {len(values)}")
    for i, value in enumerate(values):
        if value != int(value) or not 0 <= value <= MAX_STATES:
            raise ModelError(f"{pointer}/{i}", f"must be a whole number from 0 to {MAX_STATES}; got {value:g}")
    return [int(value) for value in values]


def _season(s: int) -> Floats:
    """What a run of seasonal differences adds to the level: its last value."""
    return np.eye(1, s, s - 1)[0] if s else np.zeros(0)


def _design(d: int, seasonal_d: int, s: int, k: int) -> Floats:
    """[1, n]: the level is the sum of its differences and of the ARMA part's first state."""
    return np.concatenate([np.ones(d), np.tile(_season(s), seasonal_d), np.eye(1, k)[0]])[None]


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
