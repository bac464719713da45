"""Markets: their versions, the instruments in them, and where the bars are. The bars themselves are objects.

Here, below the capabilities, because two of them publish markets: `market` imports the server's own, `datasets` makes
one of each valid set of type `ohlcv`, in the transaction that makes the set valid.
"""
