"""Market data: imports and versions of the server's market, instruments, and prices over HTTP.

How prices are located, mapped and adjusted belongs to `luna_serving.prices`, their rows to `luna_store.prices`: other
capabilities use both. Indicators are a capability of their own; data sets of type `ohlcv` are markets, too, and the
capability `datasets` publishes them.
"""
