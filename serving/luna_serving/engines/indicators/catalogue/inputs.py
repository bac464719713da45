"""The columns that formulas take."""

from typing import Final

CLOSE: Final = ("close",)
VOLUME: Final = ("volume",)
HL: Final = ("high", "low")
HLC: Final = ("high", "low", "close")
OC: Final = ("open", "close")
OHLC: Final = ("open", "high", "low", "close")
HLCV: Final = ("high", "low", "close", "volume")
CV: Final = ("close", "volume")
HLV: Final = ("high", "low", "volume")
