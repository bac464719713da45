"""The ten indicators as Polars expressions with TA-Lib's conventions, over a frame of many symbols.

Polars' `ewm_mean` starts from the first value, TA-Lib from an average: the values before that average become null and
the average takes the place of the value at its bar, so that both agree to the last digits. An indicator is a list of
stages; each adds columns that later ones use, since Polars computes an expression again wherever it stands.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

SYMBOL: Final = "symbol"
ROW: Final = pl.int_range(pl.len())
HIGH, LOW, CLOSE, VOLUME = (pl.col(name) for name in ("high", "low", "close", "volume"))
Stages = list[dict[str, pl.Expr]]


def smoothed(values: pl.Expr, period: int, alpha: float, first: int = 0) -> pl.Expr:
    """An average that begins with the mean of `period` values after the first `first`."""
    return seeded(values, values.rolling_mean(period), alpha, first + period - 1)


def seeded(values: pl.Expr, seed: pl.Expr, alpha: float, start: int) -> pl.Expr:
    """An average that begins with `seed` at a row."""
    chosen = pl.when(start < ROW).then(values).when(start == ROW).then(seed)
    return chosen.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)


def ema(values: pl.Expr, period: int, first: int = 0) -> pl.Expr:
    """Exponential average."""
    return smoothed(values, period, 2 / (period + 1), first)


def share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Percent, 0 of nothing."""
    return pl.when(whole == 0).then(0.0).otherwise(100 * part / whole)


def true_range() -> pl.Expr:
    """Range with the close before."""
    return pl.max_horizontal(HIGH, CLOSE.shift(1)) - pl.min_horizontal(LOW, CLOSE.shift(1))


def rsi(period: int) -> Stages:
    """Relative strength index."""
    sides = {"gain": CLOSE.diff().clip(lower_bound=0), "loss": (-CLOSE.diff()).clip(lower_bound=0)}
    means = {name: smoothed(side, period, 1 / period, 1) for name, side in sides.items()}
    return [means, {"rsi": share(pl.col("gain"), pl.col("gain") + pl.col("loss"))}]


def macd(fast_period: int, slow_period: int, signal_period: int) -> Stages:
    """Both averages begin at the same bar."""
    line, signal = pl.col("line"), pl.col("macdsignal")
    return [
        {"line": ema(CLOSE, fast_period, slow_period - fast_period) - ema(CLOSE, slow_period)},
        {"macdsignal": ema(line, signal_period, slow_period - 1)},
        {"macd": pl.when(signal.is_not_null()).then(line), "macdhist": line - signal},
    ]


def bbands(period: int, nbdev_up: float, nbdev_dn: float) -> Stages:
    """Bands of population deviations; `rolling_std` takes samples' by default."""
    middle, deviation = pl.col("middleband"), pl.col("deviation")
    return [
        {"middleband": CLOSE.rolling_mean(period), "deviation": CLOSE.rolling_std(period, ddof=0)},
        {"upperband": middle + nbdev_up * deviation, "lowerband": middle - nbdev_dn * deviation},
    ]


def adx(period: int) -> Stages:
    """Directional movement, all three lines.

    Wilder's sum S - S / p + x is p times an average that begins with the sum of p - 1 values over p.
    """
    up, down = HIGH.diff(), -LOW.diff()
    movements = {
        "up": pl.when((up > down) & (up > 0)).then(up).otherwise(0.0),
        "down": pl.when((down > up) & (down > 0)).then(down).otherwise(0.0),
        "range": true_range(),
    }
    means = {
        f"mean_{name}": seeded(pl.col(name), pl.col(name).rolling_sum(period - 1) / period, 1 / period, period - 1)
        for name in movements
    }
    plus, minus, average = pl.col("plus"), pl.col("minus"), pl.col("adx")
    return [
        movements,
        means,
        {
            "plus": share(pl.col("mean_up"), pl.col("mean_range")),
            "minus": share(pl.col("mean_down"), pl.col("mean_range")),
        },
        {"dx": share((plus - minus).abs(), plus + minus)},
        {"adx": smoothed(pl.col("dx"), period, 1 / period, period)},
        {
            "plus_di": pl.when(average.is_not_null()).then(plus),
            "minus_di": pl.when(average.is_not_null()).then(minus),
        },
    ]


def stoch(fastk_period: int, slowk_period: int, slowd_period: int) -> Stages:
    """Stochastic oscillator."""
    bottom, top = pl.col("bottom"), pl.col("top")
    return [
        {"bottom": LOW.rolling_min(fastk_period), "top": HIGH.rolling_max(fastk_period)},
        {"slow": share(CLOSE - bottom, top - bottom).rolling_mean(slowk_period)},
        {"slowd": pl.col("slow").rolling_mean(slowd_period)},
        {"slowk": pl.when(pl.col("slowd").is_not_null()).then(pl.col("slow"))},
    ]


def cci(period: int) -> Stages:
    """Commodity channel index: as many shifted columns as bars in the window, since no rolling function has it."""
    typical, middle, deviation = pl.col("typical"), pl.col("middle"), pl.col("deviation")
    distances = [(typical.shift(k) - middle).abs() for k in range(period)]
    value = (typical - middle) / (0.015 * deviation)
    return [
        {"typical": (HIGH + LOW + CLOSE) / 3},
        {"middle": typical.rolling_mean(period)},
        {"deviation": pl.sum_horizontal(*distances) / period},
        {"cci": pl.when(middle.is_null()).then(None).when(deviation == 0).then(0.0).otherwise(value)},
    ]


LINES: Final[Mapping[str, Callable[..., Stages]]] = MappingProxyType(
    {
        "sma": lambda period: [{"sma": CLOSE.rolling_mean(period)}],
        "ema": lambda period: [{"ema": ema(CLOSE, period)}],
        "atr": lambda period: [{"range": true_range()}, {"atr": smoothed(pl.col("range"), period, 1 / period, 1)}],
        "obv": lambda: [{"obv": (CLOSE.diff().sign().fill_null(1.0) * VOLUME).cum_sum()}],
        "rsi": rsi,
        "macd": macd,
        "bbands": bbands,
        "adx": adx,
        "stoch": stoch,
        "cci": cci,
    }
)


def computed(
    rows: pl.DataFrame, name: str, params: Mapping[str, int | float], outputs: tuple[str, ...]
) -> pl.DataFrame:
    """An indicator's outputs, each within its symbol."""
    query = rows.lazy()
    for stage in LINES[name](**params):
        query = query.with_columns(**{column: line.over(SYMBOL) for column, line in stage.items()})
    return query.select(outputs).collect()
