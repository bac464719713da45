"""Which loop is the reference of which indicator, and the call that answers as the engine does."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, Final

from tests.engines.indicators.oracle import averages, oscillators, relative, stops, volumes
from tests.engines.indicators.oracle.windows import Line

from luna_serving.engines.indicators.catalogue import Indicator

MODULES: Final = (averages, oscillators, stops, volumes, relative)
NAMES: Final = (
    *("sma", "ema", "wma", "dema", "tema", "kama", "trix", "bbands", "donchian", "linearreg", "stddev"),
    *("rsi", "macd", "ppo", "mom", "roc", "stoch", "stochrsi", "willr", "cci", "aroon", "ultosc", "adx", "atr", "natr"),
    *("obv", "ad", "adosc", "mfi", "vwap", "keltner", "supertrend", "sar", "ichimoku", "pivot_points"),
    *("beta", "correl", "kalman_level", "kalman_trend", "kalman_beta"),
)


def _loop(name: str) -> Callable[..., Any]:
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


LOOPS: Final[Mapping[str, Callable[..., Any]]] = {name: _loop(name) for name in NAMES}


def expected(
    indicator: Indicator, params: Mapping[str, int | float], columns: Sequence[Sequence[float]]
) -> dict[str, Line]:
    """What the loop answers to the indicator's inputs (and its benchmark's), by the names of outputs."""
    answer = LOOPS[indicator.name](*columns, **params)
    lines = answer if isinstance(answer, tuple) else (answer,)
    return dict(zip(indicator.outputs, lines, strict=True))


def fits(name: str, inputs: int) -> bool:
    """Whether a loop takes so many columns before its parameters."""
    return len(signature(LOOPS[name]).parameters) >= inputs
