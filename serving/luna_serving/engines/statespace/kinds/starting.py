"""Where an estimation starts: rough values from the data, in their unit, for an optimiser to improve."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.engines.statespace.kinds.estimable import Estimable
from luna_serving.engines.statespace.kinds.lag_polynomials import largest_root, product
from luna_serving.engines.statespace.kinds.regressors import regressor_rows

Floats = NDArray[np.float64]
Fields = Mapping[str, Any]

# The share of the differences' variance that each shock starts with: every one has some, for at zero the gradient
# vanishes, and what is added up period by period (a slope) has little.
SHARES: Final[Mapping[str, float]] = {
    "level": 0.3,
    "trend": 0.01,
    "seasonal": 0.05,
    "freq_seasonal": 0.02,
    "cycle": 0.1,
    "ar": 0.3,
    "obs_var": 0.3,
}
DAMPING: Final = 0.9
# Partial autocorrelations are kept below it: nearer to a unit root the climb starts in a corner.
STRONGEST: Final = 0.95
FIRST_LAG: Final = 0.5


def starting_values(kind: str, fields: Fields, free: Sequence[Estimable], series: Sequence[Floats]) -> list[Floats]:
    """One vector for each that is free, in order. What the data do not determine keeps the fields' value."""
    columns = [column for y in series for column in (y[None] if y.ndim == 1 else y.T)]
    match kind:
        case "structural":
            guess = _structural(fields, columns)
        case "arima":
            guess = _arima(fields, columns)
        case "state_space":
            guess = {}
        case _:
            guess = _simple(fields, columns)
    spread = _spread(columns, 1)
    return [_fitting(each, guess.get(each.name), fields, spread) for each in free]


def _fitting(each: Estimable, guess: ArrayLike | None, fields: Fields, spread: float) -> Floats:
    """As many numbers as `each` has names."""
    if guess is not None:
        return np.broadcast_to(np.asarray(guess, dtype=np.float64), (len(each.names),)).copy()
    standing = each.read(fields)
    if each.constraint in {"variance", "covariance"} and not standing.any():
        # Zero is where the gradient vanishes.
        unit = np.eye(each.shape[0]) if len(each.shape) == 2 else np.ones(each.shape)
        return each.flat(SHARES["level"] * spread * unit)
    return standing


def _simple(fields: Fields, columns: Sequence[Floats]) -> dict[str, ArrayLike]:
    """Moments of differences: where a level walks, Var Δy = level_var + 2 obs_var and E Δy[t] Δy[t-1] = -obs_var."""
    spread = _spread(columns, 1)
    noise = float(np.clip(-_lagged([np.diff(y) for y in columns], 1), 0.05 * spread, 0.45 * spread))
    steps = np.asarray(fields.get("dt", 1.0), dtype=np.float64)
    dt = float(np.mean(steps, where=steps > 0)) if (steps > 0).any() else 1.0
    return {
        "obs_var": noise,
        "level_var": spread - 2 * noise,
        "trend_var": SHARES["trend"] * spread,
        "accel_var": 0.1 * _spread(columns, 2) / dt**4,
    }


def _structural(fields: Fields, columns: Sequence[Floats]) -> dict[str, ArrayLike]:
    """A share of the variance of what the regressors and the season leave to each component."""
    guess: dict[str, ArrayLike] = {}
    regression = fields.get("regression")
    if regression is not None:
        regressors = regressor_rows(regression)
        columns = [_residual(y, regressors[: len(y)]) for y in columns]
    seasons = [part for part in (fields.get("seasonal"), *fields.get("freq_seasonal", ())) if part]
    periods = [part["period"] * (part.get("duration") or 1) for part in seasons]
    season = max((round(period) for period in periods), default=1)
    spread = _spread([y[season:] - y[:-season] for y in columns], 0) / 2 if season > 1 else _spread(columns, 1)
    for name, share in SHARES.items():
        guess[name if name == "obs_var" else f"{name}.var"] = share * spread
    for i in range(len(fields.get("freq_seasonal", ()))):
        guess[f"freq_seasonal.{i}.var"] = guess["freq_seasonal.var"]
    if regression is not None:
        guess["regression.var"] = _walks(regression, regressors, spread)
    if (ar := fields.get("ar")) is not None:
        guess["ar.coefficients"] = FIRST_LAG * np.eye(1, len(ar["coefficients"]))[0]
    return guess | {"cycle.damping": DAMPING}


def _arima(fields: Fields, columns: Sequence[Floats]) -> dict[str, ArrayLike]:
    """Yule and Walker's equations for the autoregressions of the differenced series; moving averages start at zero."""
    p, d, _ = fields["order"]
    seasonal_p, seasonal_d, _, s = fields.get("seasonal_order", (0, 0, 0, 0))
    guess: dict[str, ArrayLike] = {}
    if (regression := fields.get("regression")) is not None:
        guess["regression.var"] = _walks(regression, regressor_rows(regression), _spread(columns, 1))
    columns = [_explained(y, fields) for y in columns]
    for lag in (1,) * d + (s,) * seasonal_d:
        columns = [y[lag:] - y[:-lag] for y in columns]
    mean = float(np.mean(known)) if len(known := _known(columns)) else 0.0
    centred = [y - mean for y in columns]
    ar, seasonal_ar = _yule_walker(centred, p, 1), _yule_walker(centred, seasonal_p, s)
    lags = product(ar, seasonal_ar, s, -1.0)
    # What the autoregression leaves of the variance, near enough.
    left = float(np.clip(1 - np.sum(lags**2), 0.1, 1.0))
    spread = _spread(columns, 0)
    return guess | {
        "ar": ar,
        "seasonal_ar": seasonal_ar,
        "ma": 0.0,
        "seasonal_ma": 0.0,
        "intercept": mean * float(1 - lags.sum()),
        "var": left * spread,
        "obs_var": 0.1 * spread,
    }


def _yule_walker(columns: Sequence[Floats], order: int, lag: int) -> Floats:
    """Autoregression on lags `lag`, 2 `lag`, ...; always made stationary."""
    if order == 0:
        return np.zeros(0)
    power = _spread(columns, 0)
    moments = np.array([1.0, *(_lagged(columns, lag * k) / power for k in range(1, order + 1))])
    # A ridge: with gaps the moments need not be those of any series.
    matrix = moments[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))] + 0.1 * np.eye(order)
    ar: Floats = np.linalg.lstsq(matrix, moments[1:], rcond=None)[0]
    largest = largest_root(ar)
    return ar if largest < STRONGEST else ar * (STRONGEST / largest) ** np.arange(1, order + 1)


def _walks(regression: Fields, regressors: Floats, spread: float) -> Floats | float:
    """Variances of the coefficients' walks, one or one a regressor."""
    power = np.nanmean(np.square(regressors), axis=0)
    each = SHARES["trend"] * spread / np.where(power > 0, power, 1.0)
    return each if isinstance(regression.get("var"), list | tuple) else float(each.mean())


def _explained(y: Floats, fields: Fields) -> Floats:
    """What an ARIMA model's regression and trend leave of a series [T], but for its level."""
    regression, powers = fields.get("regression"), fields.get("trend", ())
    if regression is None and not powers:
        return y
    # Of the length of one, so that no power of it is large.
    time = np.arange(len(y), dtype=np.float64) / len(y)
    parts = [time[:, None] ** np.array([power for power in powers if power], dtype=np.float64)]
    parts += [] if regression is None else [regressor_rows(regression)[: len(y)]]
    left, known = _residual(y, np.column_stack(parts)), _known([y])
    return left if 0 in powers or not len(known) else left + np.mean(known)


def _residual(y: Floats, regressors: Floats) -> Floats:
    """What a constant and regressors [T, k] leave of a series [T]."""
    x = np.column_stack([np.ones(len(y)), regressors])
    known = ~np.isnan(y)
    if not known.any():
        return y
    scale = np.abs(x[known]).max(axis=0)
    x = x / np.where(scale > 0, scale, 1.0)
    return y - x @ np.linalg.lstsq(x[known], y[known], rcond=None)[0]


def _spread(columns: Sequence[Floats], differences: int) -> float:
    """The variance of all the columns' differences of that order; 1 where there is none to see."""
    known = _known([np.diff(y, differences) for y in columns])
    variance = float(np.var(known)) if len(known) > 1 else 0.0
    return variance if np.isfinite(variance) and variance > 0 else 1.0


def _lagged(columns: Sequence[Floats], lag: int) -> float:
    """The mean product of values `lag` apart; 0 where there are none."""
    known = _known([y[lag:] * y[:-lag] for y in columns])
    return float(known.mean()) if len(known) else 0.0


def _known(columns: Sequence[Floats]) -> Floats:
    whole = np.concatenate([*columns, np.zeros(0)])
    known: Floats = whole[~np.isnan(whole)]
    return known
