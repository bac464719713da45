"""Technical indicators of price bars: a catalogue, checks of parameters, and columns computed from whole histories.

Rooms, each importing only those before it: `bars` and `formula`; `gaps`; `functions`, the formulas that TA-Lib does not
have; `catalogue`, one table of all indicators with their parameters, lookbacks and formulas; `compute`, which handles
gaps, anchors and benchmarks and is the only caller of a formula; `expressions`, custom indicators as text. Prices,
caches and HTTP belong to capabilities.

TA-Lib 0.8 is the reference. Its settings (unstable periods, compatibility, candle settings) belong to the whole
process: nothing here reads or changes them.
"""
