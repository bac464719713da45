"""The ten indicators as Polars expressions with TA-Lib's conventions, over a frame of many symbols.

Polars' `ewm_mean` starts from the first value. TA-Lib starts from an average, so that the values before it are replaced
by nulls and the first one by that average; the two then agree to the last digits.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

SYMBOL: Final = "symbol"
ROW: Final = pl.int_range(pl.len())
HIGH, LOW, CLOSE, VOLUME = (pl.col(name) for name in ("high", "low", "close", "volume"))


def smoothed(values: pl.Expr, period: int, alpha: float, first: int = 0) -> pl.Expr:
    """An average that begins with the mean of `period` values after the first `first`."""
    start = first + period - 1
    seeded = pl.when(start < ROW).then(values).when(start == ROW).then(values.rolling_mean(period))
    return seeded.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)


def ema(values: pl.Expr, period: int, first: int = 0) -> pl.Expr:
    return smoothed(values, period, 2 / (period + 1), first)


def wilder(values: pl.Expr, period: int, first: int) -> pl.Expr:
    return smoothed(values, period, 1 / period, first)


def share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Percent, 0 of nothing."""
    return pl.when(whole == 0).then(0.0).otherwise(100 * part / whole)


def true_range() -> pl.Expr:
    before = CLOSE.shift(1)
    return pl.max_horizontal(HIGH, before) - pl.min_horizontal(LOW, before)


def rsi(period: int) -> dict[str, pl.Expr]:
    change = CLOSE.diff()
    gain, loss = (wilder(part.clip(lower_bound=0), period, 1) for part in (change, -change))
    return {"rsi": share(gain, gain + loss)}


def macd(fast_period: int, slow_period: int, signal_period: int) -> dict[str, pl.Expr]:
    line = ema(CLOSE, fast_period, slow_period - fast_period) - ema(CLOSE, slow_period)
    signal = ema(line, signal_period, slow_period - 1)
    return {"macd": pl.when(signal.is_not_null()).then(line), "macdsignal": signal, "macdhist": line - signal}


def bbands(period: int, nbdev_up: float, nbdev_dn: float) -> dict[str, pl.Expr]:
    middle, deviation = CLOSE.rolling_mean(period), CLOSE.rolling_std(period, ddof=0)
    return {
        "upperband": middle + nbdev_up * deviation,
        "middleband": middle,
        "lowerband": middle - nbdev_dn * deviation,
    }


def adx(period: int) -> dict[str, pl.Expr]:
    up, down = HIGH.diff(), -LOW.diff()
    plus = pl.when((up > down) & (up > 0)).then(up).otherwise(0.0)
    minus = pl.when((down > up) & (down > 0)).then(down).otherwise(0.0)
    # Wilder's sum S - S / p + x is p times an average that begins with the sum of p - 1 values over p.
    sums = [
        pl.when(period - 1 < ROW)
        .then(each)
        .when(period - 1 == ROW)
        .then(each.rolling_sum(period - 1) / period)
        .ewm_mean(alpha=1 / period, adjust=False, ignore_nulls=True)
        for each in (plus, minus, true_range())
    ]
    plus_di, minus_di = (share(side, sums[2]) for side in sums[:2])
    average = wilder(share((plus_di - minus_di).abs(), plus_di + minus_di), period, period)
    known = average.is_not_null()
    return {"plus_di": pl.when(known).then(plus_di), "minus_di": pl.when(known).then(minus_di), "adx": average}


def stoch(fastk_period: int, slowk_period: int, slowd_period: int) -> dict[str, pl.Expr]:
    bottom, top = LOW.rolling_min(fastk_period), HIGH.rolling_max(fastk_period)
    slow = share(CLOSE - bottom, top - bottom).rolling_mean(slowk_period)
    signal = slow.rolling_mean(slowd_period)
    return {"slowk": pl.when(signal.is_not_null()).then(slow), "slowd": signal}


def cci(period: int) -> dict[str, pl.Expr]:
    typical = (HIGH + LOW + CLOSE) / 3
    middle = typical.rolling_mean(period)
    deviation = pl.sum_horizontal(*((typical.shift(k) - middle).abs() for k in range(period))) / period
    value = (typical - middle) / (0.015 * deviation)
    return {"cci": pl.when(middle.is_null()).then(None).when(deviation == 0).then(0.0).otherwise(value)}


def obv() -> dict[str, pl.Expr]:
    return {"obv": (CLOSE.diff().sign().fill_null(1.0) * VOLUME).cum_sum()}


def expressions(name: str, params: Mapping[str, int | float]) -> dict[str, pl.Expr]:
    """An indicator's outputs, each within its symbol."""
    p = {key: int(value) if key.endswith("period") else value for key, value in params.items()}
    match name:
        case "sma":
            lines = {"sma": CLOSE.rolling_mean(int(p["period"]))}
        case "ema":
            lines = {"ema": ema(CLOSE, int(p["period"]))}
        case "atr":
            lines = {"atr": wilder(true_range(), int(p["period"]), 1)}
        case _:
            lines = {"rsi": rsi, "macd": macd, "bbands": bbands, "adx": adx, "stoch": stoch, "cci": cci, "obv": obv}[
                name
            ](**p)
    return {output: line.over(SYMBOL) for output, line in lines.items()}
