"""Candlestick patterns: 100 bullish, -100 bearish, 0 none (80 and 200 where TA-Lib grades them)."""

from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Stability
from luna_serving.engines.indicators.catalogue.inputs import OHLC
from luna_serving.engines.indicators.catalogue.lookbacks import constant
from luna_serving.engines.indicators.catalogue.talib_entry import LARGEST, number, of_talib

# Bars before the first value, under TA-Lib's own candle settings.
LOOKBACKS: Final = {
    "CDL2CROWS": ("Two crows", 12),
    "CDL3BLACKCROWS": ("Three black crows", 13),
    "CDL3INSIDE": ("Three inside up or down", 12),
    "CDL3LINESTRIKE": ("Three-line strike", 8),
    "CDL3OUTSIDE": ("Three outside up or down", 3),
    "CDL3STARSINSOUTH": ("Three stars in the south", 12),
    "CDL3WHITESOLDIERS": ("Three advancing white soldiers", 12),
    "CDLABANDONEDBABY": ("Abandoned baby", 12),
    "CDLADVANCEBLOCK": ("Advance block", 12),
    "CDLBELTHOLD": ("Belt hold", 10),
    "CDLBREAKAWAY": ("Breakaway", 14),
    "CDLCLOSINGMARUBOZU": ("Closing marubozu", 10),
    "CDLCONCEALBABYSWALL": ("Concealing baby swallow", 13),
    "CDLCOUNTERATTACK": ("Counterattack", 11),
    "CDLDARKCLOUDCOVER": ("Dark cloud cover", 11),
    "CDLDOJI": ("Doji", 10),
    "CDLDOJISTAR": ("Doji star", 11),
    "CDLDRAGONFLYDOJI": ("Dragonfly doji", 10),
    "CDLENGULFING": ("Engulfing", 2),
    "CDLEVENINGDOJISTAR": ("Evening doji star", 12),
    "CDLEVENINGSTAR": ("Evening star", 12),
    "CDLGAPSIDESIDEWHITE": ("Side-by-side white lines after a gap", 7),
    "CDLGRAVESTONEDOJI": ("Gravestone doji", 10),
    "CDLHAMMER": ("Hammer", 11),
    "CDLHANGINGMAN": ("Hanging man", 11),
    "CDLHARAMI": ("Harami", 11),
    "CDLHARAMICROSS": ("Harami cross", 11),
    "CDLHIGHWAVE": ("High wave", 10),
    "CDLHIKKAKE": ("Hikkake", 5),
    "CDLHIKKAKEMOD": ("Modified hikkake", 10),
    "CDLHOMINGPIGEON": ("Homing pigeon", 11),
    "CDLIDENTICAL3CROWS": ("Identical three crows", 12),
    "CDLINNECK": ("In-neck", 11),
    "CDLINVERTEDHAMMER": ("Inverted hammer", 11),
    "CDLKICKING": ("Kicking", 11),
    "CDLKICKINGBYLENGTH": ("Kicking, by the longer marubozu", 11),
    "CDLLADDERBOTTOM": ("Ladder bottom", 14),
    "CDLLONGLEGGEDDOJI": ("Long-legged doji", 10),
    "CDLLONGLINE": ("Long line", 10),
    "CDLMARUBOZU": ("Marubozu", 10),
    "CDLMATCHINGLOW": ("Matching low", 6),
    "CDLMATHOLD": ("Mat hold", 14),
    "CDLMORNINGDOJISTAR": ("Morning doji star", 12),
    "CDLMORNINGSTAR": ("Morning star", 12),
    "CDLONNECK": ("On-neck", 11),
    "CDLPIERCING": ("Piercing", 11),
    "CDLRICKSHAWMAN": ("Rickshaw man", 10),
    "CDLRISEFALL3METHODS": ("Rising or falling three methods", 14),
    "CDLSEPARATINGLINES": ("Separating lines", 11),
    "CDLSHOOTINGSTAR": ("Shooting star", 11),
    "CDLSHORTLINE": ("Short line", 10),
    "CDLSPINNINGTOP": ("Spinning top", 10),
    "CDLSTALLEDPATTERN": ("Stalled", 12),
    "CDLSTICKSANDWICH": ("Stick sandwich", 7),
    "CDLTAKURI": ("Takuri", 10),
    "CDLTASUKIGAP": ("Tasuki gap", 7),
    "CDLTHRUSTING": ("Thrusting", 11),
    "CDLTRISTAR": ("Tristar", 12),
    "CDLUNIQUE3RIVER": ("Unique three river", 12),
    "CDLUPSIDEGAP2CROWS": ("Upside gap two crows", 12),
    "CDLXSIDEGAP3METHODS": ("Upside or downside gap three methods", 2),
}
# How far the last bar must reach into the first one's body, as a share of that body.
PENETRATIONS: Final = {
    "CDLABANDONEDBABY": 0.3,
    "CDLDARKCLOUDCOVER": 0.5,
    "CDLEVENINGDOJISTAR": 0.3,
    "CDLEVENINGSTAR": 0.3,
    "CDLMATHOLD": 0.5,
    "CDLMORNINGDOJISTAR": 0.3,
    "CDLMORNINGSTAR": 0.3,
}


def _pattern(function: str, title: str, bars: int) -> Indicator:
    share = PENETRATIONS.get(function)
    parameters = () if share is None else (number("penetration", share, 0.0, LARGEST),)
    return of_talib(function, title, Group.PATTERN, OHLC, Stability.WINDOW, constant(bars), parameters)


ENTRIES: Final[tuple[Indicator, ...]] = (
    *(_pattern(function, title, bars) for function, (title, bars) in LOOKBACKS.items()),
)
